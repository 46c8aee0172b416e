//! Why a session ends when it does: the facts of an account or of a live session, put before the pure `simulate::explain`.
//! Under which policy is the caller's to say: the one in force, or a draft.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::{Role, expires_at, name_key},
        policy::effective::Policy,
        session::{AccountState, EndReason, SessionId, ends_at},
        simulate::explain::{
            Client, Provenance, Scenario, Timeline, Typed, TypedFault, explain as live_through, provenance,
        },
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        sessions::{self, Session},
    },
};

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Anybody's of that role.
    Role(Role),
    /// A new one of the account of that name, as typed.
    Account(String),
    /// A real one.
    Session(SessionId),
}

/// The answer, and of whom it tells.
#[derive(Debug, Clone)]
pub struct Explained {
    pub role: Role,
    /// Name and standing; `None`: nobody in particular.
    pub account: Option<(String, AccountState)>,
    /// Those that it has entered by the end.
    pub applications: Vec<String>,
    pub timeline: Timeline,
    pub values: Vec<Provenance>,
}

#[derive(Debug, Clone)]
pub enum ExplainVerdict {
    Explained(Box<Explained>),
    NoAccount,
    NoSession,
    /// That session is over already.
    Over {
        account: String,
        at: Timestamp,
        reason: Option<EndReason>,
    },
    Faulty(Vec<TypedFault>),
}

/// Explains under `policy` a session of `who` that is used as typed.
pub async fn explain(ctx: &Ctx, policy: &Policy, who: &Who, typed: &Typed) -> Result<ExplainVerdict, FlowError> {
    match who {
        Who::Role(role) => Ok(signed_in(ctx.now(), policy, *role, None, typed)),
        Who::Account(name) => {
            let key = name_key(name);
            let found = ctx.read_standing(policy, move |c| accounts::find_by_name_key(c, &key));
            Ok(match found.await? {
                Some(standing) => signed_in(ctx.now(), policy, standing.account.role, Some(standing), typed),
                None => ExplainVerdict::NoAccount,
            })
        }
        Who::Session(id) => ctx.explain_live(policy, *id, typed).await,
    }
}

/// An account, and when it expires by its own date.
struct Standing {
    account: Account,
    expires_at: Option<Timestamp>,
}

impl Standing {
    fn state(&self, now: Timestamp) -> AccountState {
        let past = self.expires_at.is_some_and(|at| now > at);
        AccountState::of(
            self.account.disabled_at.is_some(),
            past || self.account.expired_at.is_some(),
        )
    }
}

fn signed_in(now: Timestamp, policy: &Policy, role: Role, standing: Option<Standing>, typed: &Typed) -> ExplainVerdict {
    let (at, pattern) = match typed.sign_in(now) {
        Ok(read) => read,
        Err(faults) => return ExplainVerdict::Faulty(faults),
    };
    let scenario = Scenario {
        // Past its date there is no signing in; what would come if there were is still asked.
        expires_at: standing
            .as_ref()
            .and_then(|standing| standing.expires_at)
            .filter(|expires| *expires >= at),
        ..Scenario::signed_in(role, at, pattern)
    };
    let account = standing.map(|standing| (standing.account.name.clone(), standing.state(now)));
    answer(policy, account, &scenario)
}

fn answer(policy: &Policy, account: Option<(String, AccountState)>, scenario: &Scenario) -> ExplainVerdict {
    let timeline = live_through(policy, scenario);
    let until = timeline.end.as_ref().map(|end| end.at);
    let mut applications = scenario.entered.clone();
    for entering in &scenario.pattern.entering {
        if until.is_none_or(|until| entering.at <= until) && !applications.contains(&entering.application) {
            applications.push(entering.application.clone());
        }
    }
    ExplainVerdict::Explained(Box::new(Explained {
        role: scenario.role,
        account,
        values: provenance(policy, scenario.role, &applications),
        applications,
        timeline,
    }))
}

impl Ctx {
    async fn read_standing(
        &self,
        policy: &Policy,
        find: impl FnOnce(&mut Conn) -> Result<Option<Account>, StoreError> + Send + 'static,
    ) -> Result<Option<Standing>, FlowError> {
        let (flow, policy) = (self.clone(), policy.clone());
        let read = self.store.read(move |c| {
            let Some(account) = find(c)? else { return Ok(None) };
            // While a session lives only the account's own date expires it.
            let facts = flow.expiry_facts(c, &account, true)?;
            let rules = policy.effective(account.role, &[], None).accounts;
            Ok::<_, StoreError>(Some(Standing {
                expires_at: expires_at(&facts, &rules).map(|(at, _)| at),
                account,
            }))
        });
        Ok(read.await?)
    }

    async fn explain_live(&self, policy: &Policy, id: SessionId, typed: &Typed) -> Result<ExplainVerdict, FlowError> {
        let Some(session) = self.store.read(move |c| sessions::find(c, id)).await? else {
            return Ok(ExplainVerdict::NoSession);
        };
        let owner = session.account_id;
        let Some(standing) = self.read_standing(policy, move |c| accounts::find(c, owner)).await? else {
            return Ok(ExplainVerdict::NoSession);
        };
        let now = self.now();
        let in_force = self.current_policy().await?;
        if let Some((at, reason)) = self.over(&in_force, &session, standing.account.role) {
            return Ok(ExplainVerdict::Over {
                account: standing.account.name,
                at,
                reason,
            });
        }
        let client = Client {
            ip: session.ip,
            user_agent: session.binding.user_agent.clone(),
        };
        let pattern = match typed.from_now(now, client) {
            Ok(pattern) => pattern,
            Err(faults) => return Ok(ExplainVerdict::Faulty(faults)),
        };
        let scenario = Scenario {
            role: standing.account.role,
            expires_at: standing.expires_at,
            begin: now,
            life: self.life_of(&session),
            binding: session.binding,
            entered: session.applications,
            pattern,
        };
        let account = (standing.account.name.clone(), standing.state(now));
        Ok(answer(policy, Some(account), &scenario))
    }

    /// When and why the session ended: as written, or by a rule in force that no sweep has marked yet.
    fn over(&self, in_force: &InForce, session: &Session, role: Role) -> Option<(Timestamp, Option<EndReason>)> {
        if let Some(at) = session.ended_at {
            return Some((at, session.end_reason));
        }
        let rules = in_force.effective(role, &session.applications, None);
        let end = ends_at(&self.life_of(session), &rules).filter(|end| self.now() > end.at)?;
        Some((end.at, Some(end.reason)))
    }
}
