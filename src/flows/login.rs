//! Signing in: reserve the attempt, check the password off the reactor, decide, and write everything at once.

use super::{
    Acting, Ctx, FlowError,
    attempts::{Guess, Guessing, Look, Reservation},
    endings::{Ending, concerned},
    notices::SignedIn,
};
use crate::{
    domain::{
        account::{self, AccountId, AccountName, Role, name_key},
        application::Application,
        audit::{Actor, Entry, Event, Origin, Outcome},
        login::{LoginAccount, LoginFacts, LoginVerdict, ONE_TIME_OVER, Refusal, decide},
        network,
        password::{self, ChangeReason, MAX_CHARS},
        policy::effective::EffectivePolicy,
        secret::{self, Secret},
        session::{Binding, EndReason, SessionId, surplus},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        sessions::{self, Session, Token},
    },
};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

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
    /// Where it will count, as tokens name it.
    pub host: String,
    /// The application on whose page it is made: who may not enter it gets no session there.
    pub entering: Option<Arc<Application>>,
}

/// A session that was opened.
pub struct Opened {
    pub account: Account,
    pub session: SessionId,
    pub signed_in_at: Timestamp,
    pub token: Secret,
    pub must_change: Option<ChangeReason>,
}

/// What became of the attempt.
pub enum SignIn {
    Accepted(Box<Opened>),
    Refused(Refusal),
    /// The password is right, and the application is not for this account.
    NotAllowed,
}

/// The attempt under way, and the account that it names.
struct Reserved {
    guess: Guess,
    account: Option<Account>,
}

/// Tries to sign in.
pub async fn sign_in(ctx: &Ctx, attempt: Attempt) -> Result<SignIn, FlowError> {
    let attempt = Arc::new(attempt);
    let in_force = ctx.current_policy().await?;
    let (account, look) = look(ctx, &attempt, &in_force).await?;
    // Refused without a write: a flood must not hold up the rest.
    if let Some(refusal) = look.flooded {
        ctx.count_refusal(ctx.now(), &refused(&attempt, account.as_ref(), refusal.code()));
        return Ok(SignIn::Refused(refusal));
    }
    let reserved = match reserve(ctx, &attempt, account, look).await? {
        Ok(reserved) => Arc::new(reserved),
        Err(refusal) => return Ok(SignIn::Refused(refusal)),
    };
    let matches = match check(ctx, &attempt, reserved.account.as_ref()).await {
        Ok(matches) => matches,
        Err(busy) => {
            let (flow, reserved, now) = (ctx.clone(), reserved.clone(), ctx.now());
            let account = reserved.account.as_ref();
            ctx.count_refusal(now, &refused(&attempt, account, Refusal::Busy.code()));
            ctx.store
                .write(move |c| flow.give_back_in(c, now, &reserved.guess))
                .await?;
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

fn guessing<'a>(
    attempt: &'a Attempt,
    name_key: &'a str,
    account: Option<&'a Account>,
    origin: &'a Origin,
) -> Guessing<'a> {
    Guessing {
        typed: &attempt.username,
        name_key,
        account,
        ip: attempt.ip,
        user_agent: attempt.user_agent.as_deref(),
        origin,
    }
}

/// The account that the attempt names, and what its counters say; nothing is held or written.
async fn look(
    ctx: &Ctx,
    attempt: &Arc<Attempt>,
    in_force: &Arc<InForce>,
) -> Result<(Option<Account>, Look), FlowError> {
    let (flow, attempt, in_force, now) = (ctx.clone(), attempt.clone(), in_force.clone(), ctx.now());
    Ok(ctx
        .store
        .read(move |c| {
            let key = name_key(&attempt.username);
            let account = accounts::find_by_name_key(c, &key)?;
            let origin = Origin::default();
            let guessing = guessing(&attempt, &key, account.as_ref(), &origin);
            let look = flow.look(c, now, &in_force.everyone().lockout, &guessing)?;
            Ok::<_, StoreError>((account, look))
        })
        .await?)
}

/// Takes the attempt's place in every counter before anything is hashed, or refuses it.
async fn reserve(
    ctx: &Ctx,
    attempt: &Arc<Attempt>,
    account: Option<Account>,
    look: Look,
) -> Result<Result<Reserved, Refusal>, FlowError> {
    let (flow, attempt, now) = (ctx.clone(), attempt.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            let key = name_key(&attempt.username);
            let origin = origin_of(&attempt);
            let guessing = guessing(&attempt, &key, account.as_ref(), &origin);
            match flow.reserve_in(c, now, look, &guessing)? {
                Reservation::Granted(guess) => Ok::<_, StoreError>(Ok(Reserved { guess, account })),
                Reservation::Refused { refusal, single } => {
                    let entry = refused(&attempt, account.as_ref(), refusal.code());
                    flow.record_refusal_in(c, now, &entry, single)?;
                    Ok(Err(refusal))
                }
            }
        })
        .await?)
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
            let account = current_account(&flow, c, &attempt, &reserved, matches, &in_force, now)?;
            // Reset, renamed or deleted while the password was checked: it no longer matches.
            let still = match (&account, &reserved.account) {
                (Some(current), Some(checked)) => {
                    current.password_hash == checked.password_hash
                        // Another sign-in of the same moment hashed the same password anew.
                        || (current.password_changed_at == checked.password_changed_at
                            && flow.hasher.outdated(&checked.password_hash))
                }
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
                    if let Some(barred) = barred(&attempt, &account) {
                        flow.record(c, now, &flow.turned_away(&attempt, &account, barred))?;
                        flow.succeed_in(c, now, &reserved.guess)?;
                        return Ok((SignIn::NotAllowed, None));
                    }
                    let opened = open(&flow, c, &attempt, account, must_change, better_hash, &in_force, now)?;
                    // Last: an address's counter is everybody's behind it.
                    flow.succeed_in(c, now, &reserved.guess)?;
                    Ok((SignIn::Accepted(Box::new(opened.0)), Some(opened.1)))
                }
                LoginVerdict::Refused(refusal) => {
                    let reason = refusal.code();
                    let refusal = fail(&flow, c, &attempt, &reserved, account.as_ref(), refusal, reason, now)?;
                    Ok((SignIn::Refused(refusal), None))
                }
                LoginVerdict::OneTimeOver => {
                    let (wrong, account) = (Refusal::Credentials, account.as_ref());
                    let refusal = fail(&flow, c, &attempt, &reserved, account, wrong, ONE_TIME_OVER, now)?;
                    Ok((SignIn::Refused(refusal), None))
                }
            }
        })
        .await?;
    if let (SignIn::Accepted(_), Some((row, ended))) = (&signed_in, row) {
        ctx.forget_ended(&ended, EndReason::SessionLimit);
        ctx.live.sessions.remember(row, epoch);
    }
    Ok(signed_in)
}

/// The application on whose page somebody signs in who may not enter it.
fn barred<'a>(attempt: &'a Attempt, account: &Account) -> Option<&'a Application> {
    let admits = |application: &&Application| application.admits(account.role, &account.groups);
    attempt.entering.as_deref().filter(|application| !admits(application))
}

/// The account as it is now, its row held; a rule that has just expired it is carried out first. With a wrong password nothing is told
/// apart, so nothing is worked out either.
fn current_account(
    ctx: &Ctx,
    c: &mut Conn,
    attempt: &Attempt,
    reserved: &Reserved,
    matches: bool,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Option<Account>, StoreError> {
    let known = reserved.account.as_ref();
    let policy = &in_force.everyone().accounts;
    let guarded = known.is_some_and(|account| account.role == Role::Administrator && concerned(account, policy));
    if matches {
        ctx.lock_owners_in(c, known, attempt.replaces, guarded)?;
    }
    // Nobody is looked up like somebody: the time shall not tell them apart.
    let id = known.map_or(AccountId(Uuid::nil()), |account| account.id);
    let Some(mut account) = accounts::find(c, id)? else {
        return Ok(None);
    };
    // Who became an administrator this moment is judged with the next request: the others are not held.
    if matches && (guarded || account.role != Role::Administrator) {
        ctx.expire_in(c, now, &mut account, policy)?;
    }
    Ok(Some(account))
}

fn login_account(account: &Account, policy: &EffectivePolicy, now: Timestamp) -> LoginAccount {
    LoginAccount {
        disabled: account.disabled_at.is_some(),
        expired: account.expired_at.is_some(),
        password_good_until: account.password_good_until,
        must_change: password::must_change(
            &account.password_facts(),
            policy.accounts.change_default_password,
            &policy.password,
            now,
        ),
    }
}

/// A wrong password is counted and may lock, and is then itself answered as locked. The right one of a disabled or expired
/// account is no guess: nothing is counted and nothing cleared. `reason`: the audit's.
#[expect(clippy::too_many_arguments, reason = "the facts of one attempt, used once")]
fn fail(
    ctx: &Ctx,
    c: &mut Conn,
    attempt: &Attempt,
    reserved: &Reserved,
    account: Option<&Account>,
    refusal: Refusal,
    reason: &str,
    now: Timestamp,
) -> Result<Refusal, StoreError> {
    ctx.record(c, now, &refused(attempt, account, reason))?;
    if matches!(refusal, Refusal::Disabled | Refusal::Expired) {
        ctx.give_back_in(c, now, &reserved.guess)?;
        return Ok(refusal);
    }
    let locked = ctx.fail_in(c, now, &reserved.guess, &origin_of(attempt))?;
    Ok(locked.map_or(refusal, Refusal::Locked))
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
    let (session, token) = ctx.new_session(&account, attempt, now);
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
    let network = network::known_network(attempt.ip).to_string();
    let sign_in = SignedIn {
        account: &account,
        ip: network::canonical(attempt.ip),
        user_agent: attempt.user_agent.as_deref(),
        network: &network,
    };
    ctx.tell_sign_in_in(c, now, &sign_in)?;
    accounts::record_sign_in(c, account.id, &network, now)?;
    let entry = |event| {
        let of = Some((account.id, account.name.as_str()));
        ctx.entry_of(&acting, event, of, serde_json::Value::Null)
    };
    ctx.record_all(c, now, &[Event::SignInAccepted, Event::SessionOpened].map(entry))?;
    let opened = Opened {
        session: session.id,
        signed_in_at: session.signed_in_at,
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
fn refused(attempt: &Attempt, account: Option<&Account>, reason: &str) -> Entry {
    // Whether or not there is one: the time shall not tell.
    let typed = AccountName::parse(&attempt.username)
        .map_or_else(|_| name_key(&attempt.username), |name| name.shown().to_owned());
    Entry {
        event: Event::SignInRefused,
        actor: Actor::Anonymous,
        account: Some(account.map_or((None, typed), |account| (Some(account.id), account.name.clone()))),
        session: None,
        origin: origin_of(attempt),
        application: None,
        outcome: Outcome::Failure,
        reason: Some(reason.to_owned()),
        detail: serde_json::Value::Null,
    }
}

impl Ctx {
    /// Takes the rows that an accepted sign-in may change, in the one order that all writes keep: administrators, accounts, sessions,
    /// counters. Administrators only where the last of them might expire: else every sign-in would wait for every other one.
    fn lock_owners_in(
        &self,
        c: &mut Conn,
        account: Option<&Account>,
        replaces: Option<SessionId>,
        administrators: bool,
    ) -> Result<(), StoreError> {
        if administrators {
            accounts::lock_administrators(c)?;
        }
        let Some(replaced) = replaces.map(|id| sessions::find(c, id)).transpose()?.flatten() else {
            return Ok(());
        };
        let mut owners = vec![replaced.account_id];
        owners.extend(account.map(|account| account.id));
        owners.sort();
        owners
            .into_iter()
            .try_for_each(|id| sessions::lock_account_sessions(c, id))
    }

    /// A fresh session of `account` with its first token; nothing is written.
    fn new_session(&self, account: &Account, attempt: &Attempt, now: Timestamp) -> (Session, Secret) {
        let ip = network::canonical(attempt.ip);
        let token = secret::token(self.random_bytes());
        let session = Session {
            id: SessionId(self.new_id(now)),
            account_id: account.id,
            signed_in_at: now,
            last_active_at: now,
            last_seen_at: now,
            ip,
            signed_in_ip: ip,
            binding: Binding::at_sign_in(ip, attempt.user_agent.as_deref()),
            user_agent_mismatches: 0,
            applications: attempt.entering.iter().map(|entered| entered.name.clone()).collect(),
            ended_at: None,
            end_reason: None,
            ended_by: None,
            proved_at: now,
            tokens: vec![Token {
                digest: secret::digest(token.expose()),
                host: attempt.host.clone(),
                issued_at: now,
                rotated: None,
                killed_at: None,
                cookie_form: attempt.cookie_form.clone(),
                rotation_due: false,
            }],
        };
        (session, token)
    }

    /// `access.denied`: signed in on the page of an application that is not theirs.
    fn turned_away(&self, attempt: &Attempt, account: &Account, application: &Application) -> Entry {
        let acting = Acting {
            actor: Actor::Account {
                id: account.id,
                name: account.name.clone(),
            },
            origin: origin_of(attempt),
            session: None,
        };
        Entry {
            application: Some(application.name.clone()),
            outcome: Outcome::Failure,
            reason: Some("role".to_owned()),
            ..self.entry_of(&acting, Event::AccessDenied, None, serde_json::Value::Null)
        }
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
