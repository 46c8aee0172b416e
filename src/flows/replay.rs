//! What would a policy have done to the sessions and sign-ins of the last days? Reads what is recorded of them, newest first
//! and bounded; what it means stands in `domain::simulate::replay`.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::{Role, name_key},
        audit::{Event, Outcome, repeated::stands_for},
        login::{ONE_TIME_OVER, Refusal},
        policy::{Pins, PolicyDocument, effective::Policy},
        session::{EndReason, SessionId, ends_at},
        simulate::replay::{Attempt, Checked, Compared, Data, Guesses, Record, Release, Replay, Report, Trace},
        time::{Span, Timestamp},
    },
    live::policy::InForce,
    store::{
        StoreError,
        audit::{self, AuditFilter, AuditRow},
        policies,
        sessions::{self, SessionRow},
    },
};
use std::{collections::HashMap, sync::Arc};

/// How far back a replay goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Days {
    Seven,
    Thirty,
}

impl Days {
    /// `7d` or `30d`; `None`: neither.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "7d" => Some(Self::Seven),
            "30d" => Some(Self::Thirty),
            _ => None,
        }
    }

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

/// Read at most: the newest.
const MOST_EVENTS: usize = 50_000;
const MOST_SESSIONS: i64 = 25_000;
const MOST_REVISIONS: i64 = 200;
/// Activity of the last moments before an end is not written any more.
const UNWRITTEN: Span = Span::from_secs(5);
/// Events that one hop reads.
const PAGE: i64 = 2_000;

/// Replays the recorded time under `draft`.
pub async fn replay(ctx: &Ctx, draft: PolicyDocument, days: Days) -> Result<Report, FlowError> {
    let now = ctx.now();
    let since = now.saturating_sub(days.span());
    let today = ctx.current_policy().await?;
    let dev = today.policy.dev();
    // Ended sessions may go before the time that is replayed.
    let kept = today.everyone().retention.sessions;
    let (events, cut) = events(ctx, since).await?;
    let flow = ctx.clone();
    let (past, more_sessions) = ctx
        .store
        .read(move |c| sessions::live_since(c, since, MOST_SESSIONS))
        .await?;
    let oldest = past.last().map(|row| row.session.signed_in_at);
    let (pins, revisions) = ctx
        .store
        .read(move |c| {
            let pins = flow.pins_in_force(c)?;
            Ok::<_, StoreError>((pins, policies::list(c, None, MOST_REVISIONS)?))
        })
        .await?;
    let policies = Policies::new(draft, &revisions, oldest.unwrap_or(since), &pins, dev, now);
    let data = Data {
        since,
        until: now,
        events: events.len() as u64,
        events_cut_at: events.last().map(|row| row.at).filter(|_| cut),
        sessions_cut_at: oldest.filter(|_| more_sessions),
        sessions_kept_since: kept.map(|kept| now.saturating_sub(kept)).filter(|at| *at > since),
    };
    let lives = Lives::new(ctx, today, now);
    // Some tenths of a second of arithmetic: off the reactor, and without a connection.
    let report = tokio::task::spawn_blocking(move || replayed(past, &events, &policies, &lives, data));
    report
        .await
        .map_err(|_| FlowError::Internal("the replay did not finish".to_owned()))
}

/// The events since then, newest first; true: there are more.
async fn events(ctx: &Ctx, since: Timestamp) -> Result<(Vec<AuditRow>, bool), FlowError> {
    let mut events: Vec<AuditRow> = Vec::new();
    loop {
        let filter = AuditFilter {
            since: Some(since),
            after: events.last().map(|row| (row.at, row.id)),
            limit: PAGE.min((MOST_EVENTS - events.len()) as i64),
            ..AuditFilter::default()
        };
        let page = ctx.store.read(move |c| audit::list(c, &filter)).await?;
        events.extend(page.items);
        if !page.older || events.len() >= MOST_EVENTS {
            return Ok((events, page.older));
        }
    }
}

/// The draft, and how its measures compare with those of the policies that were in force.
struct Policies {
    draft: InForce,
    then: Vec<Policy>,
    /// Every policy of the time is known.
    whole: bool,
}

impl Policies {
    fn new(
        draft: PolicyDocument,
        revisions: &[policies::Revision],
        oldest: Timestamp,
        pins: &Pins,
        dev: bool,
        now: Timestamp,
    ) -> Self {
        let made = |document| Policy::new(0, document, pins.clone(), dev);
        // Newest first: the last one needed is the one that was in force when the oldest session began.
        let needed = revisions.iter().position(|revision| revision.at <= oldest);
        let then = &revisions[..needed.map_or(revisions.len(), |place| place + 1)];
        Self {
            draft: InForce::new(made(draft), now),
            then: then.iter().map(|revision| made(revision.document.clone())).collect(),
            whole: needed.is_some() || (revisions.len() as i64) < MOST_REVISIONS,
        }
    }

    /// What holds of every policy that was in force, at our own pages and at each entered application.
    fn compared(&self, role: Role, entered: &[String]) -> Compared {
        let places: Vec<Option<&str>> = [None]
            .into_iter()
            .chain(entered.iter().map(|name| Some(name.as_str())))
            .collect();
        let each = self.then.iter().flat_map(|then| {
            places.iter().map(|place| {
                let then = then.effective(role, entered, *place);
                Compared::of(&then, &self.draft.effective(role, entered, *place))
            })
        });
        each.reduce(Compared::and).filter(|_| self.whole).unwrap_or(Compared {
            counts_no_more: false,
            counts_no_less: false,
            windows: false,
            moves: false,
        })
    }
}

fn replayed(past: Vec<SessionRow>, events: &[AuditRow], policies: &Policies, lives: &Lives, data: Data) -> Report {
    let mut traces: HashMap<SessionId, Vec<Trace>> = HashMap::new();
    let since = data.events_cut_at.unwrap_or(data.since);
    let mut guesses = Guesses::new(policies.draft.everyone().lockout.clone(), since);
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
    let mut compared: HashMap<(Role, Vec<String>), Compared> = HashMap::new();
    for row in past {
        let entered = &row.session.applications;
        let draft = policies.draft.effective(row.role, entered, None);
        let compared = *compared
            .entry((row.role, entered.clone()))
            .or_insert_with(|| policies.compared(row.role, entered));
        let traces = traces.remove(&row.session.id).unwrap_or_default();
        replay.session(lives.record(row), &traces, &draft, compared);
    }
    replay.finish(data, guesses)
}

/// What only this instance knows of the sessions that nobody has marked as ended.
struct Lives {
    now: Timestamp,
    today: Arc<InForce>,
    activity: HashMap<SessionId, (Timestamp, Timestamp)>,
    ended: HashMap<SessionId, (Timestamp, EndReason)>,
}

impl Lives {
    fn new(ctx: &Ctx, today: Arc<InForce>, now: Timestamp) -> Self {
        let sessions = &ctx.live.sessions;
        let activity = sessions.unwritten().into_iter();
        let ended = sessions.unwritten_endings().into_iter();
        Self {
            now,
            today,
            activity: activity.map(|(id, active, seen)| (id, (active, seen))).collect(),
            ended: ended
                .filter_map(|(session, at)| session.ended().map(|reason| (session.id(), (at, reason))))
                .collect(),
        }
    }

    fn record(&self, row: SessionRow) -> Record {
        let session = row.session;
        let mut life = session.life();
        if let Some((active, seen)) = self.activity.get(&session.id).filter(|_| session.ended_at.is_none()) {
            life.last_active_at = life.last_active_at.max(*active);
            life.last_seen_at = life.last_seen_at.max(*seen);
        }
        let marked = session.ended_at.zip(session.end_reason);
        let ended = marked.or_else(|| self.ended.get(&session.id).copied()).or_else(|| {
            // By a rule of today, though no sweep has marked it yet.
            let policy = self.today.effective(row.role, &session.applications, None);
            let end = ends_at(&life, &policy).filter(|end| self.now > end.at)?;
            Some((end.at.max(self.today.since.min(self.now)), end.reason))
        });
        Record {
            id: session.id,
            account: session.account_id,
            name: row.account_name,
            signed_in_ip: session.signed_in_ip,
            ip: session.ip,
            slack: if marked.is_some() { UNWRITTEN } else { Span::ZERO },
            life,
            ended,
            user_agent: session.binding.user_agent,
        }
    }
}

/// The request of a session that an event shows. What ended a session came from elsewhere, but for the security checks.
fn trace(row: &AuditRow) -> Option<(SessionId, Trace)> {
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
        // Written about a session that somebody else used.
        Event::SessionRotatedIdReused | Event::SessionUserAgentChanged => return None,
        _ => {
            row.actor_id?;
            true
        }
    };
    let trace = Trace {
        at: row.at,
        ip: row.ip,
        user_agent: row.user_agent.clone(),
        acted,
    };
    Some((session, trace))
}

/// The guess at a password that an event records.
fn attempt(row: &AuditRow) -> Option<Attempt> {
    let checked = match (row.event, row.outcome) {
        (Event::SignInAccepted, _) => Checked::Accepted,
        (Event::SignInRefused, _) | (Event::PasswordChanged, Outcome::Failure) => match row.reason.as_deref()? {
            code if code == Refusal::Credentials.code() || code == ONE_TIME_OVER => Checked::Wrong,
            code if code == Refusal::Disabled.code() || code == Refusal::Expired.code() => Checked::Right,
            _ => Checked::Never,
        },
        _ => return None,
    };
    let name = row.account.clone()?;
    Some(Attempt {
        at: row.at,
        name_key: name_key(&name),
        name,
        ip: row.ip?,
        user_agent: row.user_agent.clone(),
        checked,
        sign_in: row.event != Event::PasswordChanged,
        times: stands_for(&row.detail),
    })
}

fn release(row: &AuditRow) -> Option<Release> {
    let field = |name: &str| row.detail["keys"][name].as_str().map(str::to_owned);
    (row.event == Event::LockoutReleased).then(|| Release {
        at: row.at,
        ip: field("ip"),
        account: field("account"),
    })
}
