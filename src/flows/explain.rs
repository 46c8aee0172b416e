//! Explanation of when a session ends, from the facts of an account or of a live session with the
//! pure `simulate::explain`. The caller chooses the policy: the one in force, or a draft.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::{Account, Role, name_key},
        duration::humanize,
        expiry::expires_at,
        factor::{FactorDuty, FactorRequirement, Proofs},
        policy::{
            PolicyDocument,
            effective::{DeviceBinding, Policy},
        },
        session::{
            AccountState, DeviceEvidence, EndCause, EndReason, Session, SessionEnder, SessionFacts, SessionId,
            TokenFacts, ends_at, factor_duty, proof_lifetime,
        },
        simulate::explain::{
            PastSession, Provenance, Scenario, ScenarioClient, ScenarioFault, ScenarioInput, Timeline,
            explain as live_through, explain_past, provenance,
        },
        time::{Span, Timestamp},
    },
    live::policy::PolicyInForce,
    store::{Conn, StoreError, accounts, policies, provider_sessions, sessions},
};

/// The session that is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainSubject {
    /// A session of any account with that role.
    Role(Role),
    /// A new session of the account with that name, as typed.
    Account(String),
    /// A live session.
    Session(SessionId),
}

/// The answer, and the session it is about.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The role of the account.
    pub role: Role,
    /// Name and state of the account; `None`: any account.
    pub account: Option<(String, AccountState)>,
    /// The applications that it has entered by the end.
    pub applications: Vec<String>,
    /// The life of the session.
    pub timeline: Timeline,
    /// The values that apply, with their sources.
    pub values: Vec<Provenance>,
    /// The proofs of a live session; `None`: it is not a live one.
    pub proved: Option<ExplainedProofs>,
    /// The device to which a live session is bound; `None`: it is not bound.
    pub device: Option<ExplainedDevice>,
    /// What the identity provider of a live session says; `None`: it did not begin at one.
    pub provider: Option<ExplainedProvider>,
}

/// What the identity provider states about a live session. It never extends the session, whose end
/// always comes from the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedProvider {
    /// The title of the source.
    pub title: String,
    /// When the person authenticated there, if it said so.
    pub authenticated_at: Option<Timestamp>,
    /// When the ID token expires.
    pub token_expires_at: Timestamp,
}

impl ExplainedProvider {
    /// Describes it in a sentence; `format` writes an instant.
    pub fn sentence(&self, format: impl Fn(Timestamp) -> String) -> String {
        let signed_in = match self.authenticated_at {
            Some(at) => format!("authenticated there at {}", format(at)),
            None => "it does not say when".to_owned(),
        };
        format!(
            "Signed in at {} ({signed_in}). Its token expires at {}, which does not end the session here: the rule \
             below does, or a sign-out at the provider.",
            self.title,
            format(self.token_expires_at)
        )
    }
}

/// The device to which a live session is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainedDevice {
    /// The number of hosts on which it is bound.
    pub hosts: usize,
    /// How long a proof counts.
    pub lifetime: Span,
    /// The last proof.
    pub proved_at: Timestamp,
    /// Whether the policy judges devices.
    pub is_judged: bool,
}

impl ExplainedDevice {
    /// Describes it in a sentence; `format` writes an instant.
    pub fn sentence(&self, format: impl Fn(Timestamp) -> String) -> String {
        let hosts = match self.hosts {
            1 => "one host".to_owned(),
            hosts => format!("{hosts} hosts"),
        };
        let effect = match self.is_judged {
            true => {
                "While it proves itself, changes of network and browser are recorded and not counted; without a \
                 proof the session is refused and stays live."
            }
            false => "The policy does not judge devices now.",
        };
        format!(
            "Bound to a device on {hosts}, last proved at {}. A proof counts for {}. {effect}",
            format(self.proved_at),
            humanize(self.lifetime.as_secs())
        )
    }
}

/// The proofs of a live session, and their judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainedProofs {
    /// The proofs.
    pub proofs: Proofs,
    /// The requirement on our own pages.
    pub required: FactorRequirement,
    /// The duty of its owner; `None`: none.
    pub duty: Option<FactorDuty>,
}

impl ExplainedProofs {
    /// Describes the proofs in a sentence.
    pub fn sentence(&self) -> String {
        let required = match self.required {
            FactorRequirement::Off => "No second factor is required.",
            FactorRequirement::Any => "A second factor is required.",
            FactorRequirement::Passkey => "A passkey is required.",
        };
        let duty = match self.duty {
            None => "",
            Some(FactorDuty::Prove) => " Its owner has to prove one before anything else opens.",
            Some(FactorDuty::Enrol) => " Its owner has to enrol one before anything else opens.",
        };
        format!("Proved: {}. {required}{duty}", self.proofs.display())
    }
}

/// The explanation, or the reason why there is none.
#[derive(Debug, Clone)]
pub enum ExplainVerdict {
    Explained(Box<Explanation>),
    NoAccount,
    NoSession,
    /// The session has ended; explained under the policy of that time.
    Past(Box<PastExplanation>),
    Faulty(Vec<ScenarioFault>),
}

/// Why a session ended, under the policy that was in force then.
#[derive(Debug, Clone)]
pub struct PastExplanation {
    /// Account, timeline and values.
    pub explained: Explanation,
    /// Revision of that policy.
    pub revision: i64,
    /// The rule as it was stored.
    pub cause: EndCause,
    /// The person who ended it, if any.
    pub ended_by: Option<String>,
}

/// Explains a session of `who` with the given use under `policy`.
pub async fn explain(
    ctx: &Ctx,
    policy: &Policy,
    who: &ExplainSubject,
    typed: &ScenarioInput,
) -> Result<ExplainVerdict, FlowError> {
    match who {
        ExplainSubject::Role(role) => Ok(signed_in(ctx.now(), policy, *role, None, typed)),
        ExplainSubject::Account(name) => {
            let key = name_key(name);
            let found = ctx.read_standing(policy, move |connection| accounts::find_by_name_key(connection, &key));
            Ok(match found.await? {
                Some(standing) => signed_in(ctx.now(), policy, standing.account.role, Some(standing), typed),
                None => ExplainVerdict::NoAccount,
            })
        }
        ExplainSubject::Session(id) => ctx.explain_live(policy, *id, typed).await,
    }
}

/// An account, and when it expires by its own date.
struct ExpiringAccount {
    account: Account,
    expires_at: Option<Timestamp>,
}

impl ExpiringAccount {
    fn state(&self, now: Timestamp) -> AccountState {
        let past = self.expires_at.is_some_and(|at| now > at);
        AccountState::from_flags(
            self.account.disabled_at.is_some(),
            past || self.account.expired_at.is_some(),
        )
    }
}

fn signed_in(
    now: Timestamp,
    policy: &Policy,
    role: Role,
    standing: Option<ExpiringAccount>,
    typed: &ScenarioInput,
) -> ExplainVerdict {
    let (at, pattern) = match typed.sign_in(now) {
        Ok(read) => read,
        Err(faults) => return ExplainVerdict::Faulty(faults),
    };
    let scenario = Scenario {
        // After its date an account cannot sign in; the explanation shows what would happen if it
        // could.
        expires_at: standing
            .as_ref()
            .and_then(|standing| standing.expires_at)
            .filter(|expires| *expires >= at),
        ..Scenario::signed_in(role, at, pattern)
    };
    let account = standing.map(|standing| (standing.account.name.clone(), standing.state(now)));
    explain_scenario(policy, account, &scenario)
}

/// Returns the device of a session; `None`: it is not bound.
fn explain_device(policy: &Policy, session: &Session, role: Role) -> Option<ExplainedDevice> {
    let rules = policy.effective(role, &[], None).device;
    let proved_at = session.devices.iter().map(|key| key.proved_at).max()?;
    Some(ExplainedDevice {
        hosts: session.devices.len(),
        lifetime: proof_lifetime(&rules, session.devices.len()),
        proved_at,
        is_judged: rules.binding != DeviceBinding::Off,
    })
}

fn explain_scenario(policy: &Policy, account: Option<(String, AccountState)>, scenario: &Scenario) -> ExplainVerdict {
    let timeline = live_through(policy, scenario);
    let until = timeline.end.as_ref().map(|end| end.at);
    let mut applications = scenario.entered.clone();
    for entering in &scenario.pattern.entering {
        if until.is_none_or(|until| entering.at <= until) && !applications.contains(&entering.application) {
            applications.push(entering.application.clone());
        }
    }
    ExplainVerdict::Explained(Box::new(Explanation {
        role: scenario.role,
        account,
        values: provenance(policy, scenario.role, &applications),
        applications,
        timeline,
        proved: None,
        device: None,
        provider: None,
    }))
}

impl Ctx {
    async fn read_standing(
        &self,
        policy: &Policy,
        find: impl FnOnce(&mut Conn) -> Result<Option<Account>, StoreError> + Send + 'static,
    ) -> Result<Option<ExpiringAccount>, FlowError> {
        let policy = policy.clone();
        self.read(move |r| {
            let Some(account) = find(r.connection)? else {
                return Ok(None);
            };
            // While a session is live, only the account's own date expires it.
            let facts = r.stored_expiry_facts(&account, true)?;
            let rules = policy.effective(account.role, &[], None).accounts;
            Ok(Some(ExpiringAccount {
                expires_at: expires_at(&facts, &rules).map(|(at, _)| at),
                account,
            }))
        })
        .await
    }

    async fn explain_live(
        &self,
        policy: &Policy,
        id: SessionId,
        typed: &ScenarioInput,
    ) -> Result<ExplainVerdict, FlowError> {
        let Some(session) = self.read(move |r| Ok(sessions::find(r.connection, id)?)).await? else {
            return Ok(ExplainVerdict::NoSession);
        };
        let owner = session.account_id;
        let standing = self.read_standing(policy, move |connection| accounts::find(connection, owner));
        let Some(standing) = standing.await? else {
            return Ok(ExplainVerdict::NoSession);
        };
        let now = self.now();
        let in_force = self.current_policy().await?;
        if let Some((at, reason)) = self.ended_at(&in_force, &session, standing.account.role) {
            let past = self.explain_ended(&in_force, &session, &standing, (at, reason)).await?;
            return Ok(ExplainVerdict::Past(Box::new(past)));
        }
        let client = ScenarioClient {
            ip: session.ip,
            user_agent: session.binding.user_agent.clone(),
        };
        let pattern = match typed.from_now(now, client) {
            Ok(pattern) => pattern,
            Err(faults) => return Ok(ExplainVerdict::Faulty(faults)),
        };
        let proved = self.explain_proofs(policy, &session, &standing.account);
        let device = explain_device(policy, &session, standing.account.role);
        let scenario = Scenario {
            role: standing.account.role,
            expires_at: standing.expires_at,
            begin: now,
            life: self.life_of(&session),
            binding: session.binding,
            is_device_bound: !session.devices.is_empty(),
            entered: session.applications,
            pattern,
        };
        let account = (standing.account.name.clone(), standing.state(now));
        let mut verdict = explain_scenario(policy, Some(account), &scenario);
        if let ExplainVerdict::Explained(explained) = &mut verdict {
            explained.proved = Some(proved);
            explained.device = device;
            explained.provider = self.explain_provider(id).await?;
        }
        Ok(verdict)
    }

    async fn explain_provider(&self, id: SessionId) -> Result<Option<ExplainedProvider>, FlowError> {
        let kept = self
            .read(move |r| Ok(provider_sessions::find(r.connection, id)?))
            .await?;
        Ok(kept.map(|kept| ExplainedProvider {
            title: match self.live.sources().by_id(kept.source) {
                Some(live) => live.source.title.clone(),
                None => "a deleted source".to_owned(),
            },
            authenticated_at: kept.authenticated_at,
            token_expires_at: kept.token_expires_at,
        }))
    }

    fn explain_proofs(&self, policy: &Policy, session: &Session, account: &Account) -> ExplainedProofs {
        let factors = policy.effective(account.role, &[], None).factors;
        let facts = SessionFacts {
            ended: None,
            account: AccountState::Enabled,
            must_change_password: false,
            proofs: session.proofs,
            factors: account.factors,
            grace_from: account.factor_required_at,
            life: self.life_of(session),
            binding: &session.binding,
            token: TokenFacts::Current,
            device: DeviceEvidence::Unbound {
                registrable_until: self.now(),
            },
        };
        ExplainedProofs {
            proofs: session.proofs,
            required: factors.required,
            duty: factor_duty(&facts, factors.required, &factors, self.now()),
        }
    }

    /// Draws an ended session under the policy that was in force then.
    async fn explain_ended(
        &self,
        in_force: &PolicyInForce,
        session: &Session,
        standing: &ExpiringAccount,
        (ended_at, reason): (Timestamp, EndReason),
    ) -> Result<PastExplanation, FlowError> {
        let role = standing.account.role;
        let life = self.life_of(session);
        let policy = match session.ended_at {
            Some(_) => self.find_policy_at_end(session, ended_at).await?,
            // No sweep has marked it yet.
            None => in_force.policy.clone(),
        };
        let cause = match &session.end_cause {
            Some(cause) => cause.clone(),
            None => EndCause::new(reason, &life, role, &session.applications, &policy),
        };
        let past = PastSession {
            role,
            life,
            binding: session.binding.clone(),
            entered: session.applications.clone(),
            client: ScenarioClient {
                ip: session.ip,
                user_agent: session.binding.user_agent.clone(),
            },
            ended_at,
            reason,
            sentence: cause.sentence(
                reason,
                SessionEnder {
                    person: session.ended_by.as_deref(),
                    owner: &standing.account.name,
                },
            ),
            cause: cause.clone(),
        };
        Ok(PastExplanation {
            explained: Explanation {
                role,
                account: Some((standing.account.name.clone(), AccountState::Enabled)),
                applications: session.applications.clone(),
                timeline: explain_past(&policy, &past),
                values: provenance(&policy, role, &session.applications),
                // What it had proved no longer matters.
                proved: None,
                device: None,
                provider: None,
            },
            revision: policy.revision(),
            cause,
            ended_by: session.ended_by.clone(),
        })
    }

    /// Returns the policy under which a session ended, with the current pins, because earlier ones
    /// are not stored.
    async fn find_policy_at_end(&self, session: &Session, ended_at: Timestamp) -> Result<Policy, FlowError> {
        let environment = self.live.environment();
        let revision = session.end_cause.as_ref().map(|cause| cause.policy_revision);
        let found = self.read(move |r| {
            Ok(match revision {
                Some(revision) => policies::find(r.connection, revision)?,
                None => policies::find_at(r.connection, ended_at)?,
            })
        });
        Ok(match found.await? {
            Some(revision) => Policy::in_environment(revision.revision, revision.document, environment),
            None => Policy::in_environment(0, PolicyDocument::default(), environment),
        })
    }

    /// Returns when and why the session ended: as stored, or by a rule in force that no sweep has
    /// marked yet.
    fn ended_at(&self, in_force: &PolicyInForce, session: &Session, role: Role) -> Option<(Timestamp, EndReason)> {
        if let Some(at) = session.ended_at {
            return Some((at, session.end_reason.unwrap_or(EndReason::Revoked)));
        }
        let rules = in_force.effective(role, &session.applications, None);
        let end = ends_at(&self.life_of(session), &rules).filter(|end| self.now() > end.at)?;
        Some((end.at, end.reason))
    }
}
