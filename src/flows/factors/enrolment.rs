//! Enrolling a second factor: who may, and how an authenticator app and a passkey are added. A
//! session that is required to enrol may do so. A session that has not proved an existing factor of
//! its account may not: otherwise a thief with a stolen password could enrol their own phone.

use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        factor::{FactorRequirement, Proof},
        policy::effective::{EnrolmentBarrier, FactorPolicy},
        secret::{self, Secret},
        session::Session,
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, FlowError, Initiator, Read, Write,
        factor_assertions::OpenChallenge,
        factor_emails::FactorNotification,
        factor_rules::factors_in_session,
        factors::{
            enrolment_refusal::{EnrolmentRefusal, EnrolmentRefusals},
            passkey_names::passkey_name,
            proving::ProvingSession,
        },
    },
    live::policy::PolicyInForce,
    second_factor::{
        SealedSecret,
        challenge::ChallengeBinding,
        passkeys::{NewCredential, PasskeyAnswer},
        qr, totp,
    },
    store::{
        StoreError, accounts,
        authenticator_apps::{self, AuthenticatorApp},
        enrolment_links,
        passkeys::{self, Passkey},
        sessions,
    },
};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// How long an authenticator app waits for its first code.
pub(super) const UNCONFIRMED: Span = Span::from_secs(15 * 60);
/// Most passkeys per account.
const MAX_PASSKEYS: u32 = 20;

/// A session that enrols a factor, and what allows it.
#[derive(Debug, Clone)]
pub struct FactorOwner {
    /// The session, its account, and where the request comes from.
    pub session: ProvingSession,
    /// Token of an enrolment link, if one was opened.
    pub link: Option<Secret>,
}

/// A new authenticator app that waits for its first code.
pub struct AppEnrolment {
    /// The secret in base32, for typing; shown only once.
    pub secret: Secret,
    /// The QR code as inline SVG, which contains the secret; shown only once.
    pub qr: Secret,
}

/// The outcome of the first code of an authenticator app.
pub enum AppConfirmation {
    /// The app is enrolled.
    ConfirmedVisitor {
        /// The account's first recovery codes; shown only once.
        recovery_codes: Option<Vec<Secret>>,
        /// The session's new id; `None`: it was replaced a moment ago.
        token: Option<Secret>,
    },
    /// It is not the app's code.
    Wrong,
    /// No app waits for a code, or it has expired; enrolment must start again.
    NoneStarted,
    /// The session may not enrol.
    Refused(EnrolmentRefusal),
}

/// Options of a new passkey.
pub enum PasskeyOptions {
    /// `{"publicKey": …}` for `navigator.credentials.create`.
    Options(Json),
    /// The session may not enrol one.
    Refused(EnrolmentRefusal),
}

/// The outcome of adding a passkey.
pub enum PasskeyEnrolment {
    /// The passkey was added.
    Added {
        /// Its identity.
        id: uuid::Uuid,
        /// Its name as stored.
        name: String,
        /// The account's first recovery codes; shown only once.
        recovery_codes: Option<Vec<Secret>>,
        /// The session's new id; `None`: it was replaced a moment ago.
        token: Option<Secret>,
    },
    /// The answer does not fit the challenge, or the challenge has expired.
    Invalid,
    /// This passkey is already enrolled.
    Known,
    /// The session may not enrol.
    Refused(EnrolmentRefusal),
}

/// A passkey whose registration was verified.
struct VerifiedPasskey {
    name: String,
    domain: String,
    credential: NewCredential,
    /// The challenge that it answered.
    challenge: OpenChallenge,
}

/// A kind that may be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnrolmentKind {
    App,
    Passkey,
}

/// Finds what keeps a session from enrolling each kind.
pub async fn find_enrolment_refusals(ctx: &Ctx, owner: &FactorOwner) -> Result<EnrolmentRefusals, FlowError> {
    let in_force = ctx.current_policy().await?;
    Ok(EnrolmentRefusals {
        app: ctx.judge_enrolment(&in_force, owner, EnrolmentKind::App).await?.err(),
        passkey: ctx
            .judge_enrolment(&in_force, owner, EnrolmentKind::Passkey)
            .await?
            .err(),
    })
}

/// Makes the secret of a new authenticator app, which counts after a code has confirmed it.
pub async fn start_app(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: &FactorOwner,
) -> Result<Result<AppEnrolment, EnrolmentRefusal>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let account = match ctx.judge_enrolment(&in_force, owner, EnrolmentKind::App).await? {
        Ok(account) => account,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut secret = [0; totp::SECRET_BYTES];
    ctx.random.fill(&mut secret);
    let setup = totp::setup(&secret, &account.name);
    let qr = setup.as_ref().and_then(|setup| qr::draw(setup.url.expose()));
    let (Some(setup), Some(qr)) = (setup, qr) else {
        return Err(FlowError::Internal(
            "an authenticator app's secret cannot be shown".to_owned(),
        ));
    };
    let sealed = ctx.seal_secret(account.id, &secret)?;
    ctx.write(initiator, move |w| {
        let app = AuthenticatorApp {
            id: w.ctx.new_id(w.now),
            account: account.id,
            sealed_secret: sealed.text,
            key_id: sealed.key_id,
            last_step: 0,
            made_at: w.now,
            confirmed_at: None,
        };
        Ok(authenticator_apps::insert_unconfirmed(w.connection, &app)?)
    })
    .await?;
    Ok(Ok(AppEnrolment {
        secret: setup.secret,
        qr: Secret::new(qr),
    }))
}

/// Confirms the new authenticator app with its first code. An earlier app stops counting.
pub async fn confirm_app(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: FactorOwner,
    code: Secret,
) -> Result<AppConfirmation, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.write(initiator, move |w| w.confirm_app(&in_force, &owner, &code))
        .await
}

/// Starts to register a passkey.
pub async fn start_passkey(ctx: &Ctx, owner: &FactorOwner) -> Result<PasskeyOptions, FlowError> {
    let in_force = ctx.current_policy().await?;
    let account = match ctx.judge_enrolment(&in_force, owner, EnrolmentKind::Passkey).await? {
        Ok(account) => account,
        Err(refusal) => return Ok(PasskeyOptions::Refused(refusal)),
    };
    let Some(site) = ctx.relying_party().await? else {
        return Ok(PasskeyOptions::Refused(EnrolmentRefusal::NoPasskeysHere));
    };
    let id = account.id;
    let known = ctx.read(move |r| Ok(passkeys::of_account(r.connection, id)?)).await?;
    let known: Vec<String> = known.into_iter().map(|passkey| passkey.credential).collect();
    let challenge = ctx.issue_challenge(&owner.binding())?;
    let options = site
        .start_registration(&challenge, id, &account.name, &account.display_name, &known)
        .map_err(|error| FlowError::Internal(error.to_string()))?;
    Ok(PasskeyOptions::Options(options))
}

/// Adds the passkey that a browser made. `name` is as its owner typed it and may be empty.
pub async fn finish_passkey(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: FactorOwner,
    name: &str,
    answer: Json,
) -> Result<PasskeyEnrolment, FlowError> {
    let in_force = ctx.current_policy().await?;
    let name = passkey_name(name);
    let (Some(site), Some(domain)) = (ctx.relying_party().await?, ctx.config.passkey_domain()) else {
        return Ok(PasskeyEnrolment::Refused(EnrolmentRefusal::NoPasskeysHere));
    };
    let Some(answer) = PasskeyAnswer::read(answer) else {
        return Ok(PasskeyEnrolment::Invalid);
    };
    let (binding, asked) = (owner.binding(), answer.challenge.clone());
    let challenge = ctx.read(move |r| Ok(r.find_challenge(&binding, &asked)?)).await?;
    let Some(challenge) = challenge else {
        return Ok(PasskeyEnrolment::Invalid);
    };
    let Ok(credential) = site.finish_registration(&answer, challenge.text(), owner.account()) else {
        return Ok(PasskeyEnrolment::Invalid);
    };
    let new = VerifiedPasskey {
        name,
        domain,
        credential,
        challenge,
    };
    let added = ctx.write_at(ctx.now(), initiator, move |w| w.add_passkey(&in_force, &owner, new));
    match added.await {
        Ok(outcome) => Ok(outcome),
        Err(AddError::Known) => Ok(PasskeyEnrolment::Known),
        Err(AddError::Flow(error)) => Err(error),
    }
}

/// Why a passkey was not added. For a known passkey, the write is rolled back.
enum AddError {
    Known,
    Flow(FlowError),
}

impl From<StoreError> for AddError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict("passkey") => Self::Known,
            other => Self::Flow(other.into()),
        }
    }
}

impl From<FlowError> for AddError {
    fn from(error: FlowError) -> Self {
        Self::Flow(error)
    }
}

impl FactorOwner {
    fn account(&self) -> AccountId {
        self.session.account
    }

    fn binding(&self) -> ChallengeBinding {
        ChallengeBinding::for_enrolment(self.session.account, self.session.session)
    }
}

impl Ctx {
    /// Returns the account of a session that may enrol this kind.
    async fn judge_enrolment(
        &self,
        in_force: &Arc<PolicyInForce>,
        owner: &FactorOwner,
        kind: EnrolmentKind,
    ) -> Result<Result<Account, EnrolmentRefusal>, FlowError> {
        let (in_force, owner) = (in_force.clone(), owner.clone());
        let has_passkeys = self.config.passkey_domain().is_some();
        self.read(move |r| {
            let judged = r.judge_enrolment(&in_force, &owner, kind)?;
            Ok(judged.and_then(|account| match kind {
                EnrolmentKind::Passkey if !has_passkeys => Err(EnrolmentRefusal::NoPasskeysHere),
                EnrolmentKind::App | EnrolmentKind::Passkey => Ok(account),
            }))
        })
        .await
    }
}

impl Read<'_> {
    /// Judges an enrolment on the current state. `FlowError::NotFound`: the session has ended.
    fn judge_enrolment(
        &mut self,
        in_force: &PolicyInForce,
        owner: &FactorOwner,
        kind: EnrolmentKind,
    ) -> Result<Result<Account, EnrolmentRefusal>, FlowError> {
        let account = accounts::find(self.connection, owner.account())?.ok_or(FlowError::NotFound)?;
        let session = sessions::find(self.connection, owner.session.session)?;
        let live = session.filter(|session| session.ended_at.is_none() && session.account_id == account.id);
        let session = live.ok_or(FlowError::NotFound)?;
        let rules = factors_in_session(in_force, &account, &session.applications);
        let is_off = match kind {
            EnrolmentKind::App => !rules.authenticator_app,
            EnrolmentKind::Passkey => !rules.passkeys,
        };
        if is_off {
            return Ok(Err(EnrolmentRefusal::Off));
        }
        let needs_passkey = rules.strictest == FactorRequirement::Passkey
            && !rules
                .strictest
                .is_met_by(session.proofs_under(&owner.session.token_digest));
        if kind == EnrolmentKind::App && needs_passkey {
            return Ok(Err(EnrolmentRefusal::PasskeyRequired));
        }
        if kind == EnrolmentKind::Passkey && account.factors.passkeys >= MAX_PASSKEYS {
            return Ok(Err(EnrolmentRefusal::TooMany));
        }
        Ok(match self.find_enrolment_right(&account, &session, &rules, owner)? {
            Some(refusal) => Err(refusal),
            None => Ok(account),
        })
    }

    /// Finds what an enrolment of any kind lacks.
    fn find_enrolment_right(
        &mut self,
        account: &Account,
        session: &Session,
        rules: &FactorPolicy,
        owner: &FactorOwner,
    ) -> Result<Option<EnrolmentRefusal>, StoreError> {
        let proofs = session.proofs_under(&owner.session.token_digest);
        let has_link = self.find_link(account, rules, owner.link.as_ref())?.is_some();
        let barrier = rules.enrolment_barrier(account.factors, proofs, has_link);
        Ok(barrier.map(|barrier| match barrier {
            EnrolmentBarrier::UnprovedFactor => EnrolmentRefusal::ProveFirst,
            EnrolmentBarrier::MissingLink => EnrolmentRefusal::LinkNeeded,
        }))
    }

    /// Returns the digest of a link that allows this account to enrol.
    fn find_link(
        &mut self,
        account: &Account,
        rules: &FactorPolicy,
        link: Option<&Secret>,
    ) -> Result<Option<String>, StoreError> {
        let Some(token) = link else { return Ok(None) };
        let found = enrolment_links::find(self.connection, &secret::digest(token.expose()))?;
        let works = found.filter(|link| super::administration::is_link_valid(link, account, rules, self.now));
        Ok(works.map(|link| link.digest))
    }
}

impl Write<'_> {
    fn confirm_app(
        &mut self,
        in_force: &PolicyInForce,
        owner: &FactorOwner,
        code: &Secret,
    ) -> Result<AppConfirmation, FlowError> {
        sessions::lock_account_sessions(self.connection, owner.account())?;
        let account = match self.as_read().judge_enrolment(in_force, owner, EnrolmentKind::App)? {
            Ok(account) => account,
            Err(refusal) => return Ok(AppConfirmation::Refused(refusal)),
        };
        let Some(app) = self.find_waiting_app(account.id)? else {
            return Ok(AppConfirmation::NoneStarted);
        };
        let sealed = SealedSecret {
            text: app.sealed_secret.clone(),
            key_id: app.key_id.clone(),
        };
        let Some(secret) = self.ctx.factor_keys.open(account.id, &sealed) else {
            return Ok(AppConfirmation::NoneStarted);
        };
        let step = totp::read_code(code.expose()).and_then(|code| totp::check_code(&secret, &code, self.now));
        let Some(step) = step else {
            return Ok(AppConfirmation::Wrong);
        };
        if !authenticator_apps::confirm(self.connection, &app, step, self.now)? {
            return Ok(AppConfirmation::NoneStarted);
        }
        let entry = self.entry(Event::FactorAdded).with_account(account.id, &account.name);
        let is_replaced = account.factors.authenticator_app;
        let detail = json!({ "kind": "authenticator_app", "replaced": is_replaced });
        self.record(&entry.with_detail(detail))?;
        let news = if is_replaced {
            FactorNotification::AppReplaced
        } else {
            FactorNotification::AppAdded
        };
        self.notify_factor_change(&account, &news)?;
        let recovery_codes = self.finish_enrolment(&account)?;
        let token = self.add_proof(&owner.session, &account, Proof::Totp, false)?;
        Ok(AppConfirmation::ConfirmedVisitor { recovery_codes, token })
    }

    fn find_waiting_app(&mut self, account: AccountId) -> Result<Option<AuthenticatorApp>, StoreError> {
        let app = authenticator_apps::find_unconfirmed(self.connection, account)?;
        let until = |app: &AuthenticatorApp| app.made_at.saturating_add(UNCONFIRMED);
        let now: Timestamp = self.now;
        Ok(app.filter(|app| now <= until(app)))
    }

    fn add_passkey(
        &mut self,
        in_force: &PolicyInForce,
        owner: &FactorOwner,
        new: VerifiedPasskey,
    ) -> Result<PasskeyEnrolment, AddError> {
        sessions::lock_account_sessions(self.connection, owner.account())?;
        let account = match self
            .as_read()
            .judge_enrolment(in_force, owner, EnrolmentKind::Passkey)?
        {
            Ok(account) => account,
            Err(refusal) => return Ok(PasskeyEnrolment::Refused(refusal)),
        };
        if !self.spend_challenge(&new.challenge)? {
            return Ok(PasskeyEnrolment::Invalid);
        }
        let passkey = Passkey {
            id: self.ctx.new_id(self.now),
            account: account.id,
            name: new.name,
            credential_id: new.credential.credential_id,
            credential: new.credential.credential,
            domain: new.domain,
            added_at: self.now,
            last_used_at: None,
            synced: new.credential.synced,
        };
        passkeys::insert(self.connection, &passkey)?;
        let entry = self.entry(Event::FactorAdded).with_account(account.id, &account.name);
        self.record(&entry.with_detail(json!({
            "kind": "passkey", "passkey": passkey.name, "passkey_id": passkey.id, "synced": passkey.synced,
        })))?;
        self.notify_factor_change(&account, &FactorNotification::PasskeyAdded(&passkey.name))?;
        let recovery_codes = self.finish_enrolment(&account)?;
        let token = self.add_proof(&owner.session, &account, Proof::PasskeyVerified, false)?;
        Ok(PasskeyEnrolment::Added {
            id: passkey.id,
            name: passkey.name,
            recovery_codes,
            token,
        })
    }

    /// Consumes the account's enrolment link, and makes recovery codes with the first factor.
    fn finish_enrolment(&mut self, before: &Account) -> Result<Option<Vec<Secret>>, FlowError> {
        // No other link of the account counts from here on either.
        enrolment_links::delete_of_account(self.connection, before.id)?;
        self.forget_account(before.id);
        if before.factors.recovery_codes > 0 {
            return Ok(None);
        }
        self.write_recovery_codes(before).map(Some)
    }
}
