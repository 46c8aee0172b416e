//! Binding of sessions to keys that never leave the device (docs/device-binding.md): the offer, the
//! registration of a key, and its proofs. `flows::access` refuses requests without a fresh proof.

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::Account,
        audit::{Actor, AuditEntry, Event, RequestOrigin},
        policy::effective::{DeviceBinding, EffectivePolicy},
        session::{DeviceKey, DeviceKeyId, DeviceProof, Session, SessionId, proof_lifetime},
        time::{Span, Timestamp},
    },
    live::sessions::LiveSession,
    second_factor::{
        challenge::ChallengeBinding,
        device_key::{DeviceAnswer, PublicKey},
    },
    store::{
        accounts,
        device_keys::{self, RegisteredKey},
        sessions,
    },
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// How long an offer can be answered. Browsers answer at once.
const OFFER_LIFETIME: Span = Span::from_secs(60);
/// Reasons of `device.proof_refused`.
const SIGNATURE: &str = "signature";
const CHALLENGE: &str = "challenge";
const LATE: &str = "late";

/// A browser's answer to a challenge.
#[derive(Debug)]
pub struct DeviceAnswerRequest {
    /// The signed answer.
    pub answer: String,
    /// The addresses for which it may be made.
    pub addresses: Vec<String>,
    /// Where it comes from.
    pub origin: RequestOrigin,
}

/// The session that a browser asks to bind, as it was admitted.
#[derive(Debug, Clone, Copy)]
pub struct BearerToBind<'a> {
    /// The session.
    pub session: &'a Arc<LiveSession>,
    /// Its account.
    pub account: &'a Account,
    /// The digest of the presented token.
    pub token_digest: &'a str,
    /// Whether sessions are bound here.
    pub binding: DeviceBinding,
}

/// A device that has just proved its key.
#[derive(Debug)]
pub struct ProvedDevice {
    /// The key.
    pub key: DeviceKeyId,
    /// The value of the device cookie.
    pub cookie: String,
    /// How long the cookie counts.
    pub lifetime: Span,
    /// The challenge of the next proof.
    pub challenge: String,
}

/// The result of a refresh.
#[derive(Debug)]
pub enum DeviceRefresh {
    Proved(ProvedDevice),
    /// The browser must answer this challenge.
    Challenged {
        key: DeviceKeyId,
        challenge: String,
    },
    /// There is no such key on this host, or its session is over.
    Gone,
}

/// Returns the challenge with which a browser may bind the session, or `None`: the policy does not
/// offer it, the session is bound there already, or it is too late.
pub fn offer_binding(
    ctx: &Ctx,
    session: &LiveSession,
    token_digest: &str,
    policy: &EffectivePolicy,
) -> Result<Option<String>, FlowError> {
    let Some(token) = session.token(token_digest) else {
        return Ok(None);
    };
    let (row, now) = (&session.row, ctx.now());
    let is_offered = policy.device.binding != DeviceBinding::Off
        && session.ended().is_none()
        && token.killed_at.is_none()
        && row.device_of(token).is_none()
        && now <= row.registrable_until(token);
    if !is_offered {
        return Ok(None);
    }
    let binding = ChallengeBinding::for_device_registration(session.id(), &token.host);
    let expires_at = now.saturating_add(OFFER_LIFETIME);
    ctx.issue_device_text(&binding, expires_at).map(Some)
}

/// Returns the proof in a device cookie; `None`: this installation did not issue it.
pub fn read_device_cookie(ctx: &Ctx, value: &str) -> Option<DeviceProof> {
    let (key, signed) = value.split_once('.')?;
    let key = DeviceKeyId(Uuid::parse_str(key).ok()?);
    let expires_at = ChallengeBinding::for_device_cookie(key).expiry_of(&ctx.factor_keys, signed)?;
    Some(DeviceProof { key, expires_at })
}

/// Binds the session of a request to the key of the answer. `None`: the answer proves no key, or
/// the session cannot be bound any longer.
pub async fn register_device(
    ctx: &Ctx,
    bearer: BearerToBind<'_>,
    request: DeviceAnswerRequest,
) -> Result<Option<ProvedDevice>, FlowError> {
    let BearerToBind { session, account, .. } = bearer;
    let Some(token) = session.token(bearer.token_digest) else {
        return Ok(None);
    };
    let actor = Actor::Account {
        id: account.id,
        name: account.name.clone(),
    };
    let initiator = Initiator {
        actor,
        origin: request.origin.clone(),
        session: Some(session.id()),
    };
    let Some(answer) = DeviceAnswer::parse(&request.answer) else {
        return Ok(None);
    };
    let binding = ChallengeBinding::for_device_registration(session.id(), &token.host);
    let expiry = binding.expiry_of(&ctx.factor_keys, answer.challenge());
    let key = match answer.key().filter(|key| answer.is_signed_by(key)) {
        Some(key) if answer.is_for(&request.addresses) => key.clone(),
        Some(_) | None => {
            ctx.note_refused_proof(session, &initiator, SIGNATURE).await?;
            return Ok(None);
        }
    };
    if expiry.is_none_or(|expiry| ctx.now() > expiry) || bearer.binding == DeviceBinding::Off {
        ctx.note_refused_proof(session, &initiator, CHALLENGE).await?;
        return Ok(None);
    }
    let registration = Registration {
        session: session.id(),
        token_digest: bearer.token_digest.to_owned(),
        key,
    };
    let outcome = ctx.write(&initiator, move |w| w.register_key(&registration)).await?;
    match outcome {
        RegistrationOutcome::Bound { key, hosts } => ctx.prove_device(key, 0, hosts).map(Some),
        RegistrationOutcome::Present => Ok(None),
        RegistrationOutcome::Late => {
            ctx.note_refused_proof(session, &initiator, LATE).await?;
            Ok(None)
        }
    }
}

/// Answers a browser that refreshes the proof of a key. Only the signature counts: such a request
/// may come without the cookie of the session. `host`: as tokens store it.
pub async fn refresh_device(
    ctx: &Ctx,
    id: &str,
    host: &str,
    request: Option<DeviceAnswerRequest>,
) -> Result<DeviceRefresh, FlowError> {
    let Ok(id) = Uuid::parse_str(id).map(DeviceKeyId) else {
        return Ok(DeviceRefresh::Gone);
    };
    let Some((registered, session)) = ctx.find_bound_session(id).await? else {
        return Ok(DeviceRefresh::Gone);
    };
    if registered.key.host != host || session.ended().is_some() {
        return Ok(DeviceRefresh::Gone);
    }
    let Some(request) = request else {
        return ctx.challenge_device(&registered, session.row.devices.len());
    };
    match ctx.check_proof(&registered, &request) {
        ProofCheck::Proved => {}
        ProofCheck::Expired => return ctx.challenge_device(&registered, session.row.devices.len()),
        ProofCheck::Refused(reason) => {
            let initiator = Initiator {
                actor: Actor::Anonymous,
                origin: request.origin,
                session: Some(session.id()),
            };
            ctx.note_refused_proof(&session, &initiator, reason).await?;
            return ctx.challenge_device(&registered, session.row.devices.len());
        }
    }
    let (now, proofs) = (ctx.now(), registered.proofs);
    let noted = ctx
        .store
        .write(move |connection| device_keys::note_proof(connection, id, proofs, now))
        .await?;
    if !noted {
        // Another answer to a challenge of the same age was first.
        return match ctx.find_bound_session(id).await? {
            Some((current, _)) => ctx.challenge_device(&current, session.row.devices.len()),
            None => Ok(DeviceRefresh::Gone),
        };
    }
    let proved = ctx.prove_device(id, proofs.saturating_add(1), session.row.devices.len())?;
    Ok(DeviceRefresh::Proved(proved))
}

/// The verdict on an answer to a challenge.
enum ProofCheck {
    Proved,
    /// The challenge can no longer be answered.
    Expired,
    /// The answer is wrong, for this reason.
    Refused(&'static str),
}

/// A verified key to which a session is to be bound.
struct Registration {
    session: SessionId,
    /// The digest of the token under which it was registered.
    token_digest: String,
    key: PublicKey,
}

/// The result of a [`Registration`].
enum RegistrationOutcome {
    /// The session is bound on this many hosts now.
    Bound { key: DeviceKeyId, hosts: usize },
    /// It is bound there already, or over.
    Present,
    /// It is too late to bind it.
    Late,
}

impl Ctx {
    fn issue_device_text(&self, binding: &ChallengeBinding, expires_at: Timestamp) -> Result<String, FlowError> {
        let text = binding.issue(&self.factor_keys, self.random_bytes(), expires_at);
        text.ok_or_else(|| FlowError::Internal("a device challenge cannot be signed".to_owned()))
    }

    /// Makes the cookie of a proof, and the challenge of the next one, which outlives the cookie so
    /// that a refresh is one request.
    fn prove_device(&self, key: DeviceKeyId, proofs: i64, hosts: usize) -> Result<ProvedDevice, FlowError> {
        let lifetime = proof_lifetime(&self.in_force().everyone().device, hosts);
        let expires_at = self.now().saturating_add(lifetime);
        let signed = self.issue_device_text(&ChallengeBinding::for_device_cookie(key), expires_at)?;
        Ok(ProvedDevice {
            key,
            cookie: format!("{}.{signed}", key.0),
            lifetime,
            challenge: self.next_challenge(key, proofs, hosts)?,
        })
    }

    fn next_challenge(&self, key: DeviceKeyId, proofs: i64, hosts: usize) -> Result<String, FlowError> {
        let lifetime = proof_lifetime(&self.in_force().everyone().device, hosts);
        let expires_at = self.now().saturating_add(lifetime).saturating_add(lifetime);
        self.issue_device_text(&ChallengeBinding::for_device_proof(key, proofs), expires_at)
    }

    fn challenge_device(&self, registered: &RegisteredKey, hosts: usize) -> Result<DeviceRefresh, FlowError> {
        let key = registered.key.id;
        let challenge = self.next_challenge(key, registered.proofs, hosts)?;
        Ok(DeviceRefresh::Challenged { key, challenge })
    }

    fn check_proof(&self, registered: &RegisteredKey, request: &DeviceAnswerRequest) -> ProofCheck {
        let key = PublicKey::parse(&registered.public_key);
        let answer = DeviceAnswer::parse(&request.answer);
        let (Some(key), Some(answer)) = (key, answer) else {
            return ProofCheck::Refused(SIGNATURE);
        };
        if !answer.is_signed_by(&key) || !answer.is_for(&request.addresses) {
            return ProofCheck::Refused(SIGNATURE);
        }
        let binding = ChallengeBinding::for_device_proof(registered.key.id, registered.proofs);
        match binding.expiry_of(&self.factor_keys, answer.challenge()) {
            Some(expiry) if self.now() <= expiry => ProofCheck::Proved,
            Some(_) => ProofCheck::Expired,
            // Answered before, or never issued for this key.
            None => ProofCheck::Refused(CHALLENGE),
        }
    }

    /// Finds a key and the session that is bound to it, as this instance knows it.
    async fn find_bound_session(
        &self,
        id: DeviceKeyId,
    ) -> Result<Option<(RegisteredKey, Arc<LiveSession>)>, FlowError> {
        let found = self.read(move |r| Ok(device_keys::find(r.connection, id)?)).await?;
        let Some(registered) = found else { return Ok(None) };
        let session = self.find_session(registered.session).await?;
        Ok(session.map(|session| (registered, session)))
    }

    /// Records `device.proof_refused`, a bounded number per session and minute.
    async fn note_refused_proof(
        &self,
        session: &LiveSession,
        initiator: &Initiator,
        reason: &'static str,
    ) -> Result<(), FlowError> {
        if !session.may_record_denial(self.now()) {
            return Ok(());
        }
        let (id, account) = (session.id(), session.row.account_id);
        self.write(initiator, move |w| {
            let entry = w.entry(Event::DeviceProofRefused).in_session(id).failed(reason);
            let owner = accounts::find(w.connection, account)?;
            let entry = match owner {
                Some(owner) => entry.with_account(owner.id, &owner.name),
                None => entry,
            };
            Ok(w.record(&entry)?)
        })
        .await
    }
}

impl Write<'_> {
    /// Binds a session to a key, if it is live and can still be bound under this token.
    fn register_key(&mut self, registration: &Registration) -> Result<RegistrationOutcome, FlowError> {
        let Some(session) = sessions::find(self.connection, registration.session)? else {
            return Ok(RegistrationOutcome::Present);
        };
        sessions::lock_account_sessions(self.connection, session.account_id)?;
        let Some(session) = sessions::find(self.connection, registration.session)? else {
            return Ok(RegistrationOutcome::Present);
        };
        let mut tokens = session.tokens.iter();
        let token = tokens.find(|token| token.digest == registration.token_digest && token.killed_at.is_none());
        let Some(token) = token.filter(|_| session.ended_at.is_none()) else {
            return Ok(RegistrationOutcome::Present);
        };
        if session.device_of(token).is_some() {
            return Ok(RegistrationOutcome::Present);
        }
        if self.now > session.registrable_until(token) {
            return Ok(RegistrationOutcome::Late);
        }
        let registered = RegisteredKey {
            key: DeviceKey {
                id: DeviceKeyId(self.ctx.new_id(self.now)),
                host: token.host.clone(),
                thumbprint: registration.key.thumbprint(),
                registered_at: self.now,
                proved_at: self.now,
            },
            session: session.id,
            public_key: registration.key.to_jwk(),
            proofs: 0,
        };
        if !device_keys::insert(self.connection, &registered)? {
            return Ok(RegistrationOutcome::Present);
        }
        let entry = self.bound_entry(&session, &registered.key)?;
        self.record(&entry)?;
        self.forget_session(session.id);
        Ok(RegistrationOutcome::Bound {
            key: registered.key.id,
            hosts: session.devices.len().saturating_add(1),
        })
    }

    /// Creates `device.bound`.
    fn bound_entry(&mut self, session: &Session, key: &DeviceKey) -> Result<AuditEntry, FlowError> {
        let detail = json!({ "host": key.host, "key": key.thumbprint });
        let entry = self
            .entry(Event::DeviceBound)
            .in_session(session.id)
            .with_detail(detail);
        Ok(match accounts::find(self.connection, session.account_id)? {
            Some(owner) => entry.with_account(owner.id, &owner.name),
            None => entry,
        })
    }
}
