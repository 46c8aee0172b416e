//! Verifies the answers of passkeys. The credential is read in its current state, and a wrong
//! answer counts only against the address. The write that settles an answer also uses its challenge
//! up: of several answers one is settled, and after a crash either both happened or neither.

use super::{
    Ctx, FlowError, Initiator, Read, Write,
    attempts::{AttemptReservation, PasswordAttempt},
    factor_checks::{FactorReservation, refusal_entry},
    factor_emails::FactorNotification,
};
use crate::{
    domain::{
        account::Account,
        client::Client,
        factor::Proof,
        login::SignInRefusal,
        secret,
        time::{Span, Timestamp},
    },
    second_factor::{
        challenge::{ChallengeBinding, ChallengePurpose},
        passkeys::{AnswerFault, PasskeyAnswer, RelyingParty, VerifiedAnswer},
    },
    store::{
        StoreError, accounts,
        passkeys::{self, Passkey},
        used_passkey_challenges,
    },
};
use serde_json::json;
use std::sync::Arc;

/// How long a passkey challenge can be answered.
pub(super) const CHALLENGE_LIFETIME: Span = Span::from_secs(5 * 60);
/// Reasons of `factor.refused`.
const COUNTER: &str = "counter";
const ASSERTION: &str = "assertion";

/// A challenge that this installation issued and that can still be answered.
#[derive(Debug, Clone)]
pub(super) struct OpenChallenge {
    text: String,
    digest: String,
    expires_at: Timestamp,
}

impl OpenChallenge {
    /// Returns the challenge, base64url.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A passkey's answer to verify.
pub(super) struct AssertionCheck {
    pub(super) initiator: Initiator,
    pub(super) client: Client,
    pub(super) binding: ChallengeBinding,
    /// `None`: it cannot be read, and is refused like any other wrong answer.
    pub(super) answer: Option<PasskeyAnswer>,
}

/// The outcome of an [`AssertionCheck`].
pub(super) enum AssertionOutcome {
    /// The answer is correct. The attempt's reservation is released when the outcome is written.
    Verified(Box<VerifiedAssertion>),
    /// The answer is wrong.
    Wrong,
    /// No account has this passkey: it was removed or never enrolled.
    Unknown,
    /// Too many attempts came from this address, or an administrator blocked it.
    Refused(SignInRefusal),
}

/// A correct answer that is yet to be written.
pub(super) struct VerifiedAssertion {
    /// The owner of the passkey, as read before the write.
    pub(super) account: Account,
    /// The passkey in the state in which the answer was verified.
    pub(super) passkey: Passkey,
    pub(super) verified: VerifiedAnswer,
    /// The challenge that the write must use up.
    challenge: OpenChallenge,
    pub(super) reservation: AttemptReservation,
}

impl VerifiedAssertion {
    pub(super) fn proof(&self) -> Proof {
        match self.verified.user_verified {
            true => Proof::PasskeyVerified,
            false => Proof::Passkey,
        }
    }
}

/// What is known of an answer after it was looked up and verified.
enum AssertionLookup {
    /// It is for no challenge that can be answered, or not for a passkey that may answer it.
    Misplaced(Option<OpenChallenge>),
    /// No account has the passkey.
    UnknownPasskey(OpenChallenge),
    /// The passkey's signature is wrong.
    Refused(OpenChallenge, Passkey, AnswerFault),
    /// Everything is right.
    Verified(OpenChallenge, Box<Account>, Passkey, VerifiedAnswer),
}

impl Ctx {
    /// Makes the challenge of a ceremony, which can be answered for five minutes. Nothing is
    /// stored, so that asking for challenges costs nobody anything.
    pub(super) fn issue_challenge(&self, binding: &ChallengeBinding) -> Result<String, FlowError> {
        let expires_at = self.now().saturating_add(CHALLENGE_LIFETIME);
        let challenge = binding.issue(&self.factor_keys, self.random_bytes(), expires_at);
        challenge.ok_or_else(|| FlowError::Internal("a passkey challenge cannot be signed".to_owned()))
    }

    /// Verifies a passkey's answer. Its challenge is used up here if the answer is wrong, else in
    /// the write that gives the session or the proof. A wrong answer counts only against the
    /// address, so that strangers cannot lock a passkey.
    pub(super) async fn check_assertion(&self, check: AssertionCheck) -> Result<AssertionOutcome, FlowError> {
        let (in_force, site) = (self.current_policy().await?, self.relying_party().await?);
        let (check, site) = (Arc::new(check), site.map(Arc::new));
        let (shared, known_site) = (check.clone(), site.clone());
        let begun = self.read(move |r| {
            let account = r.answering_account(&shared)?;
            let attempt = shared.attempt(account.as_ref());
            match r.unreserved_attempt(&in_force.everyone().lockout, &attempt)? {
                Some(attempt) => Ok(Some((attempt, r.look_up_assertion(&shared, known_site.as_deref())?))),
                None => Ok(None),
            }
        });
        let (reservation, looked_up) = match begun.await? {
            Some(begun) => begun,
            None => {
                let reservation = match self.reserve_assertion(&check).await? {
                    FactorReservation::Granted(reservation) => reservation,
                    FactorReservation::Refused(refusal) => return Ok(AssertionOutcome::Refused(refusal)),
                };
                let shared = check.clone();
                let look_up = self.read(move |r| Ok(r.look_up_assertion(&shared, site.as_deref())?));
                (reservation, look_up.await?)
            }
        };
        let refused = match looked_up {
            AssertionLookup::Verified(challenge, account, passkey, verified) => {
                return Ok(AssertionOutcome::Verified(Box::new(VerifiedAssertion {
                    account: *account,
                    passkey,
                    verified,
                    challenge,
                    reservation,
                })));
            }
            AssertionLookup::Misplaced(challenge) => RefusedAssertion::new(challenge, None, ASSERTION),
            AssertionLookup::UnknownPasskey(challenge) => {
                let refused = RefusedAssertion::new(Some(challenge), None, ASSERTION);
                return Ok(match self.refuse_assertion(&check, refused, reservation).await? {
                    AssertionOutcome::Wrong => AssertionOutcome::Unknown,
                    other => other,
                });
            }
            AssertionLookup::Refused(challenge, passkey, fault) => {
                let reason = match fault {
                    AnswerFault::CounterFell => COUNTER,
                    AnswerFault::Invalid => ASSERTION,
                };
                RefusedAssertion::new(Some(challenge), Some(passkey), reason)
            }
        };
        self.refuse_assertion(&check, refused, reservation).await
    }

    async fn reserve_assertion(&self, check: &Arc<AssertionCheck>) -> Result<FactorReservation, FlowError> {
        let (in_force, shared) = (self.current_policy().await?, check.clone());
        self.write(&check.initiator, move |w| {
            let account = w.as_read().answering_account(&shared)?;
            let attempt = shared.attempt(account.as_ref());
            let snapshot = w.as_read().address_counters(&in_force.everyone().lockout, &attempt)?;
            w.reserve_factor(snapshot, &attempt, account.as_ref())
        })
        .await
    }

    async fn refuse_assertion(
        &self,
        check: &AssertionCheck,
        refused: RefusedAssertion,
        reservation: AttemptReservation,
    ) -> Result<AssertionOutcome, FlowError> {
        let passkey = refused.passkey;
        let id = passkey
            .as_ref()
            .map(|passkey| passkey.account)
            .or(check.binding.account);
        self.write(&check.initiator, move |w| {
            let account = match id {
                Some(id) => accounts::find(w.connection, id)?,
                None => None,
            };
            let entry = refusal_entry(&w.initiator, account.as_ref(), refused.reason);
            let entry = match &passkey {
                Some(passkey) => entry.with_detail(json!({ "passkey": passkey.name, "passkey_id": passkey.id })),
                None => entry,
            };
            w.record(&entry)?;
            if let (Some(account), Some(passkey), COUNTER) = (&account, &passkey, refused.reason) {
                w.notify_factor_change(account, &FactorNotification::PasskeyCopied(&passkey.name))?;
            }
            if let Some(challenge) = &refused.challenge {
                w.spend_challenge(challenge)?;
            }
            let locked = w.fail_attempt(&reservation)?;
            Ok(locked.map_or(AssertionOutcome::Wrong, |locked| {
                AssertionOutcome::Refused(SignInRefusal::Locked(locked))
            }))
        })
        .await
    }
}

/// A wrong answer that is yet to be recorded.
struct RefusedAssertion {
    challenge: Option<OpenChallenge>,
    passkey: Option<Passkey>,
    reason: &'static str,
}

impl RefusedAssertion {
    fn new(challenge: Option<OpenChallenge>, passkey: Option<Passkey>, reason: &'static str) -> Self {
        Self {
            challenge,
            passkey,
            reason,
        }
    }
}

impl AssertionCheck {
    /// Returns the attempt as the counters see it.
    fn attempt<'a>(&'a self, account: Option<&'a Account>) -> PasswordAttempt<'a> {
        PasswordAttempt {
            typed: account.map_or("", |account| account.name.as_str()),
            name_key: account.map_or("", |account| account.name_key.as_str()),
            account,
            ip: self.client.ip,
            user_agent: self.client.user_agent.as_deref(),
        }
    }
}

impl Read<'_> {
    /// Finds a challenge that this installation issued for the binding. `None`: there is no such
    /// challenge, it has expired, or it was answered before.
    pub(super) fn find_challenge(
        &mut self,
        binding: &ChallengeBinding,
        challenge: &str,
    ) -> Result<Option<OpenChallenge>, StoreError> {
        let Some(expires_at) = binding.expiry_of(&self.ctx.factor_keys, challenge) else {
            return Ok(None);
        };
        let digest = secret::digest(challenge);
        if self.now > expires_at || used_passkey_challenges::is_spent(self.connection, &digest, expires_at)? {
            return Ok(None);
        }
        Ok(Some(OpenChallenge {
            text: challenge.to_owned(),
            digest,
            expires_at,
        }))
    }

    fn answering_account(&mut self, check: &AssertionCheck) -> Result<Option<Account>, StoreError> {
        match check.binding.account {
            Some(id) => accounts::find(self.connection, id),
            None => Ok(None),
        }
    }

    fn look_up_assertion(
        &mut self,
        check: &AssertionCheck,
        site: Option<&RelyingParty>,
    ) -> Result<AssertionLookup, StoreError> {
        let (Some(site), Some(answer)) = (site, check.answer.as_ref()) else {
            return Ok(AssertionLookup::Misplaced(None));
        };
        let Some(challenge) = self.find_challenge(&check.binding, &answer.challenge)? else {
            return Ok(AssertionLookup::Misplaced(None));
        };
        let Some(passkey) = passkeys::find_by_credential(self.connection, &answer.credential_id)? else {
            return Ok(AssertionLookup::UnknownPasskey(challenge));
        };
        let Some(account) = accounts::find(self.connection, passkey.account)? else {
            return Ok(AssertionLookup::UnknownPasskey(challenge));
        };
        // The library compares neither the account named in the answer nor the expected one.
        let is_named = answer.account.is_none_or(|account| account == passkey.account);
        let is_asked = match check.binding.account {
            Some(account) => account == passkey.account,
            None => answer.account.is_some(),
        };
        if !is_named || !is_asked {
            return Ok(AssertionLookup::Misplaced(Some(challenge)));
        }
        let credential = &passkey.credential;
        let verified = match check.binding.purpose {
            ChallengePurpose::SignIn => site.finish_sign_in(answer, challenge.text(), credential),
            ChallengePurpose::SecondStep | ChallengePurpose::Proof | ChallengePurpose::Enrolment => {
                site.finish_proof(answer, challenge.text(), credential)
            }
            // No passkey answers a challenge of a device key.
            ChallengePurpose::DeviceRegistration | ChallengePurpose::DeviceProof | ChallengePurpose::DeviceCookie => {
                return Ok(AssertionLookup::Misplaced(Some(challenge)));
            }
        };
        Ok(match verified {
            Ok(verified) => AssertionLookup::Verified(challenge, Box::new(account), passkey, verified),
            Err(fault) => AssertionLookup::Refused(challenge, passkey, fault),
        })
    }
}

impl Write<'_> {
    /// Uses a challenge up. Returns false if another answer to it was settled first, in any
    /// instance.
    pub(super) fn spend_challenge(&mut self, challenge: &OpenChallenge) -> Result<bool, StoreError> {
        used_passkey_challenges::insert(self.connection, &challenge.digest, challenge.expires_at)
    }

    /// Records that a verified answer is used. Returns false if another answer to the challenge was
    /// settled first, or the passkey was removed or used in between.
    pub(super) fn note_passkey_use(&mut self, assertion: &VerifiedAssertion) -> Result<bool, StoreError> {
        let VerifiedAssertion { passkey, verified, .. } = assertion;
        Ok(self.spend_challenge(&assertion.challenge)?
            && passkeys::note_use(
                self.connection,
                passkey,
                &verified.credential,
                verified.synced,
                self.now,
            )?)
    }
}
