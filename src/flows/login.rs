//! Signing in: reserve the attempt, check the password off the reactor, decide, and write everything at once.

use super::{Acting, Ctx, Ending, FlowError};
use crate::{
    domain::{
        account::{self, AccountName, name_key},
        audit::{Actor, Entry, Event, Origin, Outcome},
        lockout::{self, Counter, CounterKey, CounterKind, Locked, ReserveVerdict},
        login::{LoginAccount, LoginFacts, LoginVerdict, Refusal, decide},
        network,
        password::{self, ChangeReason, MAX_CHARS},
        policy::effective::{EffectivePolicy, LockoutPolicy},
        secret::{self, Secret},
        session::{Binding, EndReason, SessionId, surplus},
        time::{Span, Timestamp},
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        lockouts,
        sessions::{self, Session, Token},
    },
};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// A network with a completed sign-in this recently is exempt from the account ceiling.
const KNOWN_NETWORK_DAYS: i64 = 30;
/// Refusals of one counter within a minute that are written one by one; further ones are counted (a flood must not bury the rest).
const WRITTEN_REFUSALS_A_MINUTE: i64 = 20;

/// One attempt, as it came in.
pub struct Attempt {
    pub username: String,
    pub password: Secret,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// The live session of the same browser: it ends when the new one begins.
    pub replaces: Option<SessionId>,
    /// How the cookie will be issued (`http::session_cookie`).
    pub cookie_form: String,
}

/// A session that was opened.
pub struct Opened {
    pub account: Account,
    pub session: SessionId,
    pub token: Secret,
    pub must_change: Option<ChangeReason>,
}

/// What became of the attempt.
pub enum SignIn {
    Accepted(Box<Opened>),
    Refused(Refusal),
}

/// The attempt's place in its counters, until it is settled.
struct Reserved {
    id: Uuid,
    counters: Vec<CounterKey>,
    account: Option<Account>,
}

enum Reservation {
    Granted(Box<Reserved>),
    Refused(Refusal),
}

/// Tries to sign in.
pub async fn sign_in(ctx: &Ctx, attempt: Attempt) -> Result<SignIn, FlowError> {
    let attempt = Arc::new(attempt);
    let in_force = ctx.current_policy().await?;
    let reserved = match reserve(ctx, &attempt, &in_force).await? {
        Reservation::Granted(reserved) => Arc::new(*reserved),
        Reservation::Refused(refusal) => return Ok(SignIn::Refused(refusal)),
    };
    let matches = match check(ctx, &attempt, reserved.account.as_ref()).await {
        Ok(matches) => matches,
        Err(busy) => {
            give_back(ctx, &reserved, &in_force).await?;
            return Err(busy.into());
        }
    };
    let better_hash = match &reserved.account {
        // A full queue is no reason to refuse the sign-in: the next one upgrades.
        Some(account) if matches && ctx.hasher.outdated(&account.password_hash) => {
            ctx.hasher.hash(attempt.password.clone(), ctx.salt()).await.ok()
        }
        _ => None,
    };
    settle(ctx, attempt, reserved, matches, better_hash, in_force).await
}

/// A password longer than any that could have been set is not hashed: it cannot match.
async fn check(
    ctx: &Ctx,
    attempt: &Attempt,
    account: Option<&Account>,
) -> Result<bool, crate::hashing::HashingBusyError> {
    if attempt.password.expose().chars().count() > MAX_CHARS {
        return Ok(false);
    }
    ctx.hasher
        .verify(
            attempt.password.clone(),
            account.map(|account| account.password_hash.clone()),
        )
        .await
}

/// Takes the attempt's place in every counter before anything is hashed, or refuses it.
async fn reserve(ctx: &Ctx, attempt: &Arc<Attempt>, in_force: &Arc<InForce>) -> Result<Reservation, FlowError> {
    let (flow, attempt, in_force) = (ctx.clone(), attempt.clone(), in_force.clone());
    let now = ctx.now();
    let id = ctx.new_id(now);
    Ok(ctx
        .store
        .write(move |c| {
            let policy = &in_force.everyone().lockout;
            let key = name_key(&attempt.username);
            let account = accounts::find_by_name_key(c, &key)?;
            let counters = counters(c, &key, &attempt, account.as_ref(), policy, now)?;
            let exempt = lockout::allow_listed(attempt.ip, policy);
            let mut rows = Vec::with_capacity(counters.len());
            let mut refusal = None;
            for counter_key in &counters {
                let mut row = lockouts::lock(c, counter_key, now)?;
                if row.counter.settle(counter_key.kind, policy, now) {
                    flow.lock_ran_out(c, now, &row)?;
                }
                match row.counter.reserve(counter_key.kind, id, policy, now) {
                    ReserveVerdict::Proceed => {}
                    ReserveVerdict::Busy if !exempt => refusal = refusal.or(Some(Refusal::Busy)),
                    ReserveVerdict::Locked(locked) if !exempt => {
                        refusal = Some(match refusal {
                            Some(Refusal::Locked(earlier)) => Refusal::Locked(longer(earlier, locked)),
                            _ => Refusal::Locked(locked),
                        });
                    }
                    ReserveVerdict::Busy | ReserveVerdict::Locked(_) => {}
                }
                rows.push(row);
            }
            if refusal.is_some() {
                rows.iter_mut().for_each(|row| row.counter.give_back(id));
            }
            let mut written = false;
            for row in &mut rows {
                if refusal.is_some() {
                    written |= note_refusal(row, now);
                } else {
                    note_attempt(row, &attempt, now);
                }
                lockouts::save(c, row)?;
            }
            match refusal {
                None => Ok::<_, StoreError>(Reservation::Granted(Box::new(Reserved { id, counters, account }))),
                Some(refusal) => {
                    if written || rows.is_empty() {
                        let already = rows.iter().map(|row| row.refused).max().unwrap_or(0);
                        flow.record(
                            c,
                            now,
                            &refused(
                                &attempt,
                                account.as_ref(),
                                &refusal,
                                serde_json::json!({ "refused_this_minute": already }),
                            ),
                        )?;
                    }
                    Ok(Reservation::Refused(refusal))
                }
            }
        })
        .await?)
}

/// The counters of this attempt; the account ceiling does not bind networks from which the owner signed in lately.
fn counters(
    c: &mut Conn,
    key: &str,
    attempt: &Attempt,
    account: Option<&Account>,
    policy: &LockoutPolicy,
    now: Timestamp,
) -> Result<Vec<CounterKey>, StoreError> {
    let mut counters = lockout::counters_of(key, attempt.ip, attempt.user_agent.as_deref(), policy);
    if let Some(account) = account {
        let since = now.saturating_sub(Span::from_secs(KNOWN_NETWORK_DAYS * 86_400));
        let network = network::known_network(attempt.ip).to_string();
        if accounts::knows_network(c, account.id, &network, since)? {
            counters.retain(|counter| counter.kind != CounterKind::AccountCeiling);
        }
    }
    // One order for all, so that parallel attempts never wait for each other in a circle.
    counters.sort_by_key(CounterKey::digest);
    Ok(counters)
}

fn longer(one: Locked, other: Locked) -> Locked {
    match (one, other) {
        (Locked::Until(one), Locked::Until(other)) => Locked::Until(one.max(other)),
        (Locked::UntilUnlocked, _) | (_, Locked::UntilUnlocked) => Locked::UntilUnlocked,
    }
}

fn note_attempt(row: &mut lockouts::Lockout, attempt: &Attempt, now: Timestamp) {
    const NAMES_KEPT: usize = 20;
    row.last_attempt_at = now;
    row.last_ip = Some(network::canonical(attempt.ip));
    let name: String = attempt.username.trim().chars().take(128).collect();
    if !row.names_tried.contains(&name) && row.names_tried.len() < NAMES_KEPT {
        row.names_tried.push(name);
    }
}

/// Counts a refusal; true while it is to be written by itself.
fn note_refusal(row: &mut lockouts::Lockout, now: Timestamp) -> bool {
    let minute = now.as_micros() / 60_000_000;
    if row.refused_minute != minute {
        row.refused_minute = minute;
        row.refused = 0;
    }
    row.refused += 1;
    row.refused <= WRITTEN_REFUSALS_A_MINUTE
}

async fn give_back(ctx: &Ctx, reserved: &Arc<Reserved>, in_force: &Arc<InForce>) -> Result<(), FlowError> {
    let (reserved, in_force, now) = (reserved.clone(), in_force.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            for key in &reserved.counters {
                let mut row = lockouts::lock(c, key, now)?;
                row.counter.settle(key.kind, &in_force.everyone().lockout, now);
                row.counter.give_back(reserved.id);
                lockouts::save(c, &row)?;
            }
            Ok::<_, FlowError>(())
        })
        .await
}

async fn settle(
    ctx: &Ctx,
    attempt: Arc<Attempt>,
    reserved: Arc<Reserved>,
    matches: bool,
    better_hash: Option<String>,
    in_force: Arc<InForce>,
) -> Result<SignIn, FlowError> {
    let flow = ctx.clone();
    let now = ctx.now();
    let epoch = ctx.live.epoch();
    let (signed_in, row) = ctx
        .store
        .write(move |c| {
            accounts::lock_administrators(c)?;
            let account = current_account(&flow, c, &reserved, matches, &in_force, now)?;
            // Reset, renamed or deleted while the password was checked: it no longer matches.
            let still = match (&account, &reserved.account) {
                (Some(current), Some(checked)) => current.password_hash == checked.password_hash,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            let facts = LoginFacts {
                account: account
                    .as_ref()
                    .map(|account| login_account(account, in_force.everyone(), now)),
                password_matches: matches && still,
                locked: None,
                busy: false,
            };
            match decide(&facts, now) {
                LoginVerdict::Accepted { must_change } => {
                    let Some(account) = account else {
                        return Err(FlowError::Internal("accepted without an account".into()));
                    };
                    clear_counters(c, &reserved, &in_force.everyone().lockout, now)?;
                    let opened = open(&flow, c, &attempt, account, must_change, better_hash, &in_force, now)?;
                    Ok((SignIn::Accepted(Box::new(opened.0)), Some(opened.1)))
                }
                LoginVerdict::Refused(refusal) => {
                    let refusal = fail(&flow, c, &attempt, &reserved, account.as_ref(), refusal, &in_force, now)?;
                    Ok((SignIn::Refused(refusal), None))
                }
            }
        })
        .await?;
    if let (SignIn::Accepted(opened), Some((row, ended))) = (&signed_in, row) {
        ctx.forget_ended(&ended, EndReason::SessionLimit);
        ctx.live.accounts.forget(opened.account.id);
        ctx.live.sessions.remember(row, epoch);
    }
    Ok(signed_in)
}

/// The account as it is now; a rule that has just expired it is carried out first. With a wrong password nothing is told apart,
/// so nothing is worked out either.
fn current_account(
    ctx: &Ctx,
    c: &mut Conn,
    reserved: &Reserved,
    matches: bool,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Option<Account>, StoreError> {
    let Some(id) = reserved.account.as_ref().map(|account| account.id) else {
        return Ok(None);
    };
    sessions::lock_account_sessions(c, id)?;
    let Some(mut account) = accounts::find(c, id)? else {
        return Ok(None);
    };
    if matches {
        ctx.expire_in(c, now, &mut account, &in_force.everyone().accounts)?;
    }
    Ok(Some(account))
}

fn login_account(account: &Account, policy: &EffectivePolicy, now: Timestamp) -> LoginAccount {
    let facts = password::ChangeFacts {
        changed_at: account.password_changed_at,
        set_by_other: account.password_set_by_other,
        must_change: account.must_change_password,
    };
    LoginAccount {
        disabled: account.disabled_at.is_some(),
        expired: account.expired_at.is_some(),
        must_change: password::must_change(&facts, policy.accounts.change_default_password, &policy.password, now),
    }
}

/// Success: the reservation goes back; counters that contain the user start anew, an IP-only counter does not.
fn clear_counters(c: &mut Conn, reserved: &Reserved, policy: &LockoutPolicy, now: Timestamp) -> Result<(), StoreError> {
    for key in &reserved.counters {
        let mut row = lockouts::lock(c, key, now)?;
        row.counter.settle(key.kind, policy, now);
        row.counter.succeed(reserved.id, key.account.is_some());
        if row.counter == Counter::default() {
            lockouts::delete(c, row.id)?;
        } else {
            lockouts::save(c, &row)?;
        }
    }
    Ok(())
}

/// Failure: every counter counts it; the one that reaches its limit locks, and the attempt is itself answered as locked.
#[expect(clippy::too_many_arguments, reason = "the facts of one attempt, used once")]
fn fail(
    ctx: &Ctx,
    c: &mut Conn,
    attempt: &Attempt,
    reserved: &Reserved,
    account: Option<&Account>,
    refusal: Refusal,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Refusal, StoreError> {
    let policy = &in_force.everyone().lockout;
    let exempt = lockout::allow_listed(attempt.ip, policy);
    let mut answer = refusal.clone();
    let right_password = matches!(refusal, Refusal::Disabled | Refusal::Expired);
    for key in &reserved.counters {
        let mut row = lockouts::lock(c, key, now)?;
        row.counter.settle(key.kind, policy, now);
        if right_password {
            // No guess: the password was right. Nothing is counted and nothing cleared.
            row.counter.give_back(reserved.id);
        } else if let Some(locked) = row.counter.fail(key.kind, reserved.id, policy, now) {
            ctx.lock_began(c, now, &row, &origin_of(attempt))?;
            if !exempt {
                answer = match answer {
                    Refusal::Locked(earlier) => Refusal::Locked(longer(earlier, locked)),
                    Refusal::Credentials | Refusal::Disabled | Refusal::Expired | Refusal::Busy => {
                        Refusal::Locked(locked)
                    }
                };
            }
        }
        lockouts::save(c, &row)?;
    }
    ctx.record(c, now, &refused(attempt, account, &refusal, serde_json::Value::Null))?;
    Ok(answer)
}

type OpenedRow = (Opened, (Session, Vec<SessionId>));

/// Opens the session: row, token, limit, replaced session, account's clocks, known network, audit.
#[expect(clippy::too_many_arguments, reason = "the facts of one attempt, used once")]
fn open(
    ctx: &Ctx,
    c: &mut Conn,
    attempt: &Attempt,
    mut account: Account,
    must_change: Option<ChangeReason>,
    better_hash: Option<String>,
    in_force: &InForce,
    now: Timestamp,
) -> Result<OpenedRow, FlowError> {
    if let Some(hash) = better_hash
        && accounts::set_password_hash_if(c, account.id, &account.password_hash, &hash)?
    {
        account.password_hash = hash;
    }
    let (session, token) = ctx.new_session(
        &account,
        attempt.ip,
        attempt.user_agent.as_deref(),
        &attempt.cookie_form,
        now,
    );
    let acting = Acting {
        actor: Actor::Account {
            id: account.id,
            name: account.name.clone(),
        },
        origin: origin_of(attempt),
        session: Some(session.id),
    };
    let ended = make_room(ctx, c, &acting, &account, attempt.replaces, in_force, now)?;
    sessions::insert(c, &session)?;
    accounts::record_sign_in(c, account.id, now)?;
    accounts::remember_network(c, account.id, &network::known_network(attempt.ip).to_string(), now)?;
    changes::announce(c, ChangeKind::Account, &account.id.0.to_string())?;
    for event in [Event::SignInAccepted, Event::SessionOpened] {
        ctx.record(
            c,
            now,
            &ctx.entry_of(
                &acting,
                event,
                Some((account.id, &account.name)),
                serde_json::Value::Null,
            ),
        )?;
    }
    let opened = Opened {
        session: session.id,
        token,
        must_change,
        account,
    };
    Ok((opened, (session, ended)))
}

/// Ends the browser's earlier session and those beyond the limit.
fn make_room(
    ctx: &Ctx,
    c: &mut Conn,
    acting: &Acting,
    account: &Account,
    replaces: Option<SessionId>,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let mut ended = Vec::new();
    if let Some(replaced) = replaces.map(|id| sessions::find(c, id)).transpose()?.flatten() {
        let owner = accounts::find(c, replaced.account_id)?
            .map(|owner| owner.name)
            .unwrap_or_default();
        let ending = Ending {
            session: &replaced,
            account_name: &owner,
            reason: EndReason::SignedOut,
            at: now,
            acting,
            detail: serde_json::Value::Null,
        };
        if ctx.end_in(c, now, &ending)? {
            ended.push(replaced.id);
        }
    }
    let limit = in_force.effective(account.role, &[], None).concurrent_limit;
    if limit > 0 {
        let sessions: Vec<Session> = sessions::live_of_account(c, account.id)?
            .into_iter()
            .filter(|session| ctx.is_live(in_force, account, session, now))
            .collect();
        let others: Vec<_> = sessions
            .iter()
            .map(|session| (session.id, ctx.life_of(session).last_active_at))
            .collect();
        for id in surplus(&others, limit) {
            let Some(session) = sessions.iter().find(|session| session.id == id) else {
                continue;
            };
            let ending = Ending {
                session,
                account_name: &account.name,
                reason: EndReason::SessionLimit,
                at: now,
                acting,
                detail: serde_json::Value::Null,
            };
            if ctx.end_in(c, now, &ending)? {
                ended.push(id);
            }
        }
    }
    Ok(ended)
}

fn origin_of(attempt: &Attempt) -> Origin {
    Origin {
        ip: Some(network::canonical(attempt.ip)),
        user_agent: attempt.user_agent.clone(),
        request_id: attempt.request_id.clone(),
    }
}

/// `sign_in.refused`, under the account's own name, or what was typed when there is none.
fn refused(attempt: &Attempt, account: Option<&Account>, refusal: &Refusal, detail: serde_json::Value) -> Entry {
    let typed = || {
        AccountName::parse(&attempt.username)
            .map_or_else(|_| name_key(&attempt.username), |name| name.shown().to_owned())
    };
    Entry {
        event: Event::SignInRefused,
        actor: Actor::Anonymous,
        account: Some(account.map_or_else(|| (None, typed()), |account| (Some(account.id), account.name.clone()))),
        session: None,
        origin: origin_of(attempt),
        application: None,
        outcome: Outcome::Failure,
        reason: Some(refusal.code().to_owned()),
        detail,
    }
}

fn lock_event(event: Event, row: &lockouts::Lockout, origin: Origin) -> Entry {
    Entry {
        event,
        actor: Actor::System,
        account: row.key.account.clone().map(|account| (None, account)),
        session: None,
        origin,
        application: None,
        outcome: Outcome::Success,
        reason: Some(row.key.kind.as_str().to_owned()),
        detail: serde_json::json!({
            "keys": { "ip": row.key.ip, "account": row.key.account, "user_agent": row.key.user_agent },
            "failures": row.counter.failures.len(),
            "names_tried": row.names_tried,
        }),
    }
}

impl Ctx {
    /// A lock ran out: said once, when it is noticed.
    pub(super) fn lock_ran_out(&self, c: &mut Conn, now: Timestamp, row: &lockouts::Lockout) -> Result<(), StoreError> {
        self.record(c, now, &lock_event(Event::LockoutEnded, row, Origin::default()))?;
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())
    }

    pub(super) fn lock_began(
        &self,
        c: &mut Conn,
        now: Timestamp,
        row: &lockouts::Lockout,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        self.record(c, now, &lock_event(Event::LockoutBegan, row, origin.clone()))?;
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())
    }

    /// A fresh session of `account` with its first token; nothing is written.
    pub(super) fn new_session(
        &self,
        account: &Account,
        ip: IpAddr,
        user_agent: Option<&str>,
        cookie_form: &str,
        now: Timestamp,
    ) -> (Session, Secret) {
        let ip = network::canonical(ip);
        let token = secret::token(self.random_bytes());
        let session = Session {
            id: SessionId(self.new_id(now)),
            account_id: account.id,
            signed_in_at: now,
            last_active_at: now,
            last_seen_at: now,
            ip,
            signed_in_ip: ip,
            binding: Binding::at_sign_in(ip, user_agent),
            user_agent_mismatches: 0,
            applications: Vec::new(),
            ended_at: None,
            end_reason: None,
            ended_by: None,
            tokens: vec![Token {
                digest: secret::digest(token.expose()),
                host: String::new(),
                issued_at: now,
                rotated: None,
                killed_at: None,
                cookie_form: cookie_form.to_owned(),
            }],
        };
        (session, token)
    }

    /// An audit entry of something somebody did to an account (or to nobody in particular).
    pub(super) fn entry_of(
        &self,
        acting: &Acting,
        event: Event,
        account: Option<(account::AccountId, &str)>,
        detail: serde_json::Value,
    ) -> Entry {
        Entry {
            event,
            actor: acting.actor.clone(),
            account: account.map(|(id, name)| (Some(id), name.to_owned())),
            session: acting.session,
            origin: acting.origin.clone(),
            application: None,
            outcome: Outcome::Success,
            reason: None,
            detail,
        }
    }
}
