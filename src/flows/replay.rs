//! The impact that a policy would have had on the sessions and sign-ins of the last days. This file
//! reads a bounded number of records, newest first; `domain::simulate::replay` simulates them.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::{Role, name_key},
        audit::{AuditFilter, AuditRecord, Event, EventOutcome, repeated::count_refusals},
        login::{ONE_TIME_OVER, SignInRefusal},
        policy::{
            PolicyDocument, Revision,
            effective::{Policy, PolicyEnvironment},
        },
        session::{AccountSession, EndReason, SessionId, ends_at},
        simulate::replay::{
            AttemptReplay, CounterRelease, MeasureComparison, RecordedAttempt, RecordedCheck, Replay, ReplayData,
            ReplayReport, RequestTrace, SessionRecord,
        },
        time::{Span, Timestamp},
    },
    live::policy::PolicyInForce,
    store::{audit, policies, sessions},
};
use std::{collections::HashMap, sync::Arc};

/// The time that a replay covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayPeriod {
    Seven,
    Thirty,
}

impl ReplayPeriod {
    /// Parses `7d` or `30d`; `None`: another word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "7d" => Some(Self::Seven),
            "30d" => Some(Self::Thirty),
            _ => None,
        }
    }

    /// Returns the word used in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seven => "7d",
            Self::Thirty => "30d",
        }
    }

    const fn span(self) -> Span {
        match self {
            Self::Seven => Span::from_secs(7 * 86_400),
            Self::Thirty => Span::from_secs(30 * 86_400),
        }
    }
}

/// Maximum number of events that are read, newest first.
const MAX_EVENTS: usize = 50_000;
const MAX_SESSIONS: i64 = 25_000;
const MAX_REVISIONS: i64 = 200;
/// Activity of the last moments before an end may not have been written.
const UNWRITTEN: Span = Span::from_secs(5);
/// Number of events that one task reads.
const PAGE: i64 = 2_000;

/// Replays the recorded time under `draft`.
pub async fn replay(ctx: &Ctx, draft: PolicyDocument, days: ReplayPeriod) -> Result<ReplayReport, FlowError> {
    let now = ctx.now();
    let since = now.saturating_sub(days.span());
    let today = ctx.current_policy().await?;
    // Ended sessions may be removed before the time that is replayed.
    let kept = today.everyone().retention.sessions;
    let (events, cut) = events(ctx, since).await?;
    let past = ctx.read(move |r| Ok(sessions::list_live_since(r.connection, since, MAX_SESSIONS)?));
    let (past, more_sessions) = past.await?;
    let oldest = past.last().map(|row| row.session.signed_in_at);
    let revisions = ctx.read(move |r| Ok((r.pins_in_force()?, policies::list(r.connection, None, MAX_REVISIONS)?)));
    let (pins, revisions) = revisions.await?;
    let environment = PolicyEnvironment {
        pins,
        ..today.policy.environment().clone()
    };
    let policies = Policies::new(draft, &revisions, oldest.unwrap_or(since), &environment, now);
    let data = ReplayData {
        since,
        until: now,
        events: events.len() as u64,
        events_cut_at: events.last().map(|row| row.at).filter(|_| cut),
        sessions_cut_at: oldest.filter(|_| more_sessions),
        sessions_kept_since: kept.map(|kept| now.saturating_sub(kept)).filter(|at| *at > since),
    };
    let lives = ReplayFacts::new(ctx, today, now);
    // Some tenths of a second of computation: in a blocking task, and without a connection.
    let report = tokio::task::spawn_blocking(move || replayed(past, &events, &policies, &lives, data));
    report
        .await
        .map_err(|_| FlowError::Internal("the replay did not finish".to_owned()))
}

/// Returns the events since then, newest first; true: there are more.
async fn events(ctx: &Ctx, since: Timestamp) -> Result<(Vec<AuditRecord>, bool), FlowError> {
    let mut events: Vec<AuditRecord> = Vec::new();
    loop {
        let filter = AuditFilter {
            since: Some(since),
            after: events.last().map(|row| (row.at, row.id)),
            limit: PAGE.min((MAX_EVENTS - events.len()) as i64),
            ..AuditFilter::default()
        };
        let page = ctx.read(move |r| Ok(audit::list(r.connection, &filter)?)).await?;
        events.extend(page.items);
        if !page.older || events.len() >= MAX_EVENTS {
            return Ok((events, page.older));
        }
    }
}

/// The draft, and its comparison with the policies that were in force.
struct Policies {
    draft: PolicyInForce,
    then: Vec<Policy>,
    /// Whether every policy of that time is known.
    whole: bool,
}

impl Policies {
    fn new(
        draft: PolicyDocument,
        revisions: &[Revision],
        oldest: Timestamp,
        environment: &PolicyEnvironment,
        now: Timestamp,
    ) -> Self {
        let made = |document| Policy::in_environment(0, document, environment.clone());
        // Newest first: the last one needed was in force when the oldest session began.
        let needed = revisions.iter().position(|revision| revision.at <= oldest);
        let then = &revisions[..needed.map_or(revisions.len(), |place| place + 1)];
        Self {
            draft: PolicyInForce::new(made(draft), now),
            then: then.iter().map(|revision| made(revision.document.clone())).collect(),
            whole: needed.is_some() || (revisions.len() as i64) < MAX_REVISIONS,
        }
    }

    /// Compares with every policy that was in force, on our own pages and in each entered
    /// application.
    fn compare_measures(&self, role: Role, entered: &[String]) -> MeasureComparison {
        let places: Vec<Option<&str>> = [None]
            .into_iter()
            .chain(entered.iter().map(|name| Some(name.as_str())))
            .collect();
        let each = self.then.iter().flat_map(|then| {
            places.iter().map(|place| {
                let then = then.effective(role, entered, *place);
                MeasureComparison::compare(&then, &self.draft.effective(role, entered, *place))
            })
        });
        each.reduce(MeasureComparison::combine)
            .filter(|_| self.whole)
            .unwrap_or(MeasureComparison {
                counts_no_more: false,
                counts_no_less: false,
                windows: false,
                moves: false,
            })
    }
}

fn replayed(
    past: Vec<AccountSession>,
    events: &[AuditRecord],
    policies: &Policies,
    lives: &ReplayFacts,
    data: ReplayData,
) -> ReplayReport {
    let mut traces: HashMap<SessionId, Vec<RequestTrace>> = HashMap::new();
    let since = data.events_cut_at.unwrap_or(data.since);
    let mut guesses = AttemptReplay::new(policies.draft.everyone().lockout.clone(), since);
    for row in events.iter().rev() {
        if let Some((session, trace)) = trace(row) {
            traces.entry(session).or_default().push(trace);
        }
        if let Some(attempt) = attempt(row) {
            guesses.attempt(&attempt);
        } else if let Some(release) = release(row) {
            guesses.release(&release);
        }
    }
    let mut replay = Replay::new(data.until);
    let mut compared: HashMap<(Role, Vec<String>), MeasureComparison> = HashMap::new();
    for row in past {
        let entered = &row.session.applications;
        let draft = policies.draft.effective(row.role, entered, None);
        let compared = *compared
            .entry((row.role, entered.clone()))
            .or_insert_with(|| policies.compare_measures(row.role, entered));
        let traces = traces.remove(&row.session.id).unwrap_or_default();
        replay.session(lives.record(row), &traces, &draft, compared);
    }
    replay.finish(data, guesses)
}

/// Facts that only this instance has about sessions that have not been marked as ended.
struct ReplayFacts {
    now: Timestamp,
    today: Arc<PolicyInForce>,
    activity: HashMap<SessionId, (Timestamp, Timestamp)>,
    ended: HashMap<SessionId, (Timestamp, EndReason)>,
}

impl ReplayFacts {
    fn new(ctx: &Ctx, today: Arc<PolicyInForce>, now: Timestamp) -> Self {
        let sessions = &ctx.live.sessions;
        let activity = sessions.unwritten().into_iter();
        let ended = sessions.held.named_sessions().into_iter();
        Self {
            now,
            today,
            activity: activity.map(|(id, active, seen)| (id, (active, seen))).collect(),
            ended: ended.map(|(id, reason, at)| (id, (at, reason))).collect(),
        }
    }

    fn record(&self, row: AccountSession) -> SessionRecord {
        let session = row.session;
        let mut life = session.life();
        if let Some((active, seen)) = self.activity.get(&session.id).filter(|_| session.ended_at.is_none()) {
            life.last_active_at = life.last_active_at.max(*active);
            life.last_seen_at = life.last_seen_at.max(*seen);
        }
        let marked = session.ended_at.zip(session.end_reason);
        let ended = marked.or_else(|| self.ended.get(&session.id).copied()).or_else(|| {
            // It ended by a current rule, but no sweep has marked it yet.
            let policy = self.today.effective(row.role, &session.applications, None);
            let end = ends_at(&life, &policy).filter(|end| self.now > end.at)?;
            Some((end.at.max(self.today.since.min(self.now)), end.reason))
        });
        SessionRecord {
            id: session.id,
            account: session.account_id,
            name: row.account_name,
            signed_in_ip: session.signed_in_ip,
            ip: session.ip,
            is_device_bound: !session.devices.is_empty(),
            slack: if marked.is_some() { UNWRITTEN } else { Span::ZERO },
            life,
            ended,
            user_agent: session.binding.user_agent,
        }
    }
}

/// Returns the request of a session that an event shows. Requests that ended a session came from
/// elsewhere, except for the security checks.
fn trace(row: &AuditRecord) -> Option<(SessionId, RequestTrace)> {
    let session = row.session_id?;
    let acted = match row.event {
        Event::SessionEnded => {
            let refused = [EndReason::UserAgent, EndReason::Network, EndReason::NetworkAllowance];
            let reason = row.reason.as_deref().and_then(EndReason::parse)?;
            if !refused.contains(&reason) {
                return None;
            }
            false
        }
        Event::SessionNetworkChanged | Event::SessionRotated | Event::SessionHandedOver | Event::AccessDenied => false,
        // Recorded about a session that someone else used.
        Event::SessionRotatedIdReused | Event::SessionUserAgentChanged => return None,
        _ => {
            row.actor_id?;
            true
        }
    };
    let trace = RequestTrace {
        at: row.at,
        ip: row.ip,
        user_agent: row.user_agent.clone(),
        acted,
    };
    Some((session, trace))
}

/// Returns the attempt at a password that an event records.
fn attempt(row: &AuditRecord) -> Option<RecordedAttempt> {
    let checked = match (row.event, row.outcome) {
        (Event::SignInAccepted, _) => RecordedCheck::Accepted,
        (Event::SignInRefused, _) | (Event::PasswordChanged, EventOutcome::Failure) => match row.reason.as_deref()? {
            code if code == SignInRefusal::Credentials.code() || code == ONE_TIME_OVER => RecordedCheck::Wrong,
            code if code == SignInRefusal::Disabled.code() || code == SignInRefusal::Expired.code() => {
                RecordedCheck::Correct
            }
            _ => RecordedCheck::Never,
        },
        _ => return None,
    };
    let name = row.account.clone()?;
    Some(RecordedAttempt {
        at: row.at,
        name_key: name_key(&name),
        name,
        ip: row.ip?,
        user_agent: row.user_agent.clone(),
        checked,
        sign_in: row.event != Event::PasswordChanged,
        times: count_refusals(&row.detail),
    })
}

fn release(row: &AuditRecord) -> Option<CounterRelease> {
    let field = |name: &str| row.detail["keys"][name].as_str().map(str::to_owned);
    (row.event == Event::LockoutReleased).then(|| CounterRelease {
        at: row.at,
        ip: field("ip"),
        account: field("account"),
    })
}
