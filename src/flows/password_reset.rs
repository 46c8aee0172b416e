//! Choosing a password with a mailed link: a forgotten one, or the first one of somebody invited. Asking only queues the request, the same for every name; a job
//! looks whether there is such an account. A link opens nothing by being looked at, and one password by being used.

mod sending;

pub use sending::{Invited, Mailed, invite, mail_link};

use super::{Acting, Ctx, FlowError, PURGED, mail::Terms};
use crate::{
    domain::{
        account::{AccountId, name_key},
        audit::{Actor, Event, Origin, Outcome},
        lockout, network,
        password::{self, MAX_CHARS, NewPasswordFacts, PasswordFault, Reuse},
        reset::{LinkFacts, LinkKind, WINDOW, works},
        secret::{self, Secret},
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    live::policy::InForce,
    mail::render::{PasswordWasReset, ResetReason},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        password_links::{self, PasswordLink, ResetRequest},
        sessions,
    },
};
use std::net::IpAddr;

/// Requests answered in one run of the job.
const BATCH: usize = 50;

/// Somebody says that a password is forgotten.
pub struct Request {
    pub username: String,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

/// Queues the request, or does nothing beyond `auth.reset_limit`: nobody learns which. No account is looked up here, and a flood costs
/// one read a request.
pub async fn request(ctx: &Ctx, request: Request) -> Result<(), FlowError> {
    let in_force = ctx.current_policy().await?;
    let limit = usize::try_from(in_force.everyone().lockout.reset_limit).unwrap_or(usize::MAX);
    let (flow, now) = (ctx.clone(), ctx.now());
    let queued = ResetRequest {
        id: ctx.new_id(now),
        account_key: name_key(&request.username),
        ip: network::canonical(request.ip),
        user_agent: request.user_agent,
        request_id: request.request_id,
        requested_at: now,
    };
    // The address first: one at its limit leaves nothing behind of the names that it tries.
    let keys = [
        secret::digest(&format!("address {}", lockout::address_key(queued.ip))),
        secret::digest(&format!("account {}", queued.account_key)),
    ];
    let asked = keys.clone();
    if ctx
        .store
        .read(move |c| password_links::is_flood(c, &asked, limit, now))
        .await?
    {
        return Ok(());
    }
    Ok(ctx
        .store
        .write(move |c| {
            match password_links::count_request(c, &keys, limit, now)? {
                None => password_links::queue_request(c, &queued),
                // Once an hour: a flood must not bury the rest.
                Some(1) => {
                    let acting = acting_of(&queued);
                    let mut entry =
                        flow.entry_of(&acting, Event::PasswordResetRequested, None, serde_json::Value::Null);
                    entry.account = Some((None, queued.account_key));
                    entry.outcome = Outcome::Failure;
                    entry.reason = Some("limit".to_owned());
                    flow.record(c, now, &entry)
                }
                Some(_) => Ok(()),
            }
        })
        .await?)
}

fn acting_of(request: &ResetRequest) -> Acting {
    Acting {
        actor: Actor::Anonymous,
        origin: Origin {
            ip: Some(request.ip),
            user_agent: request.user_agent.clone(),
            request_id: request.request_id.clone(),
        },
        session: None,
    }
}

/// Answers what was asked for: a letter to whom there is one for. The job calls it; how many requests were taken.
pub async fn answer_requests(ctx: &Ctx) -> Result<usize, FlowError> {
    for answered in 0..BATCH {
        if !ctx.store.read(password_links::any_request).await? {
            return Ok(answered);
        }
        let (flow, now) = (ctx.clone(), ctx.now());
        let taken = ctx.store.write(move |c| flow.answer_request_in(c, now)).await?;
        if !taken {
            return Ok(answered);
        }
    }
    Ok(BATCH)
}

/// What a link opens: whose password, and why it is chosen.
pub struct Opened {
    pub account: AccountId,
    pub name: String,
    pub kind: LinkKind,
    /// What a password must not be made of.
    pub own_words: Vec<String>,
}

impl Opened {
    fn of(link: &PasswordLink, account: &Account) -> Self {
        let email = account.email.clone().unwrap_or_default();
        Self {
            account: account.id,
            name: account.name.clone(),
            kind: link.kind,
            own_words: vec![account.name.clone(), account.display_name.clone(), email],
        }
    }
}

/// Whom the link is for; `None`: it opens nothing (any more). Looking uses nothing up.
pub async fn look(ctx: &Ctx, token: &Secret) -> Result<Option<Opened>, FlowError> {
    Ok(find(ctx, token)
        .await?
        .map(|(link, account)| Opened::of(&link, &account)))
}

/// The link and its account, both as they are now; an account that a rule has just expired is expired first.
async fn find(ctx: &Ctx, token: &Secret) -> Result<Option<(PasswordLink, Account)>, FlowError> {
    let digest = secret::digest(token.expose());
    let Some(link) = ctx.store.read(move |c| password_links::find(c, &digest)).await? else {
        return Ok(None);
    };
    let account = match ctx.expire_if_due(link.account).await {
        Ok(account) => account,
        Err(FlowError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(link_works(&link, &account, ctx.now()).then(|| (link, (*account).clone())))
}

fn link_works(link: &PasswordLink, account: &Account, now: Timestamp) -> bool {
    let facts = LinkFacts {
        expires_at: link.expires_at,
        sent_to: &link.email,
        email: account.email.as_deref(),
        made_for: link.password_changed_at,
        password_changed_at: account.password_changed_at,
        disabled: account.disabled_at.is_some(),
        expired: account.expired_at.is_some(),
    };
    works(&facts, now)
}

/// A new password, with the link's token that allows it.
pub struct Choice {
    pub token: Secret,
    pub new: Secret,
    pub again: Secret,
    pub origin: Origin,
}

pub enum Chosen {
    Done {
        kind: LinkKind,
    },
    /// Whose password it would have been, and what is wrong with it; the link still works.
    Faulty(Opened, Vec<PasswordFault>),
    /// The link opens nothing (any more).
    Refused,
}

/// Sets the password that somebody with a working link chose. Nobody is signed in by it.
pub async fn choose(ctx: &Ctx, choice: Choice) -> Result<Chosen, FlowError> {
    let in_force = ctx.current_policy().await?;
    let Some((link, account)) = find(ctx, &choice.token).await? else {
        return Ok(Chosen::Refused);
    };
    let opened = Opened::of(&link, &account);
    let faults = check(ctx, &choice, &account, &opened.own_words, &in_force).await?;
    if !faults.is_empty() {
        return Ok(Chosen::Faulty(opened, faults));
    }
    let hash = ctx.hasher.hash(choice.new.clone(), ctx.salt()).await?;
    let keep = i64::from(in_force.everyone().password.history).max(1);
    let (flow, now, id, kind) = (ctx.clone(), ctx.now(), link.account, link.kind);
    let done = ctx
        .store
        .write(move |c| flow.choose_in(c, now, &link, choice.origin, hash, keep))
        .await?;
    let Some(ended) = done else {
        return Ok(Chosen::Refused);
    };
    ctx.forget_ended(&ended, EndReason::PasswordChanged);
    ctx.live.accounts.forget(id);
    Ok(Chosen::Done { kind })
}

async fn check(
    ctx: &Ctx,
    choice: &Choice,
    account: &Account,
    own_words: &[String],
    in_force: &InForce,
) -> Result<Vec<PasswordFault>, FlowError> {
    let policy = &in_force.everyone().password;
    let mut reused = Reuse::No;
    if choice.new.expose().chars().nth(MAX_CHARS).is_none() {
        // One that must be changed may have been put out of use: the one before it is then the last that somebody knew.
        let least = i64::from(account.must_change_password);
        let (id, wanted) = (account.id, i64::from(policy.history).max(least));
        let mut known = vec![(account.password_hash.clone(), Reuse::Current)];
        if wanted > 0 {
            let old = ctx.store.read(move |c| accounts::list_passwords(c, id, wanted)).await?;
            known.extend(old.into_iter().map(|hash| (hash, Reuse::History)));
        }
        for (hash, which) in known {
            if ctx.hasher.verify(choice.new.clone(), Some(hash)).await? {
                reused = which;
                break;
            }
        }
    }
    let own_words: Vec<&str> = own_words.iter().map(String::as_str).collect();
    let facts = NewPasswordFacts {
        new: choice.new.expose(),
        again: Some(choice.again.expose()),
        own_words: &own_words,
        reused,
    };
    Ok(password::decide(&facts, policy))
}

/// Links that ran out and counters of yesterday go.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(WINDOW);
    Ok(ctx
        .store
        .write(move |c| password_links::purge(c, before, PURGED).map(drop))
        .await?)
}

impl Ctx {
    /// Takes one request and answers it, all in one write. False: there is none.
    fn answer_request_in(&self, c: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
        let Some(request) = password_links::take_request(c)? else {
            return Ok(false);
        };
        let account = accounts::find_by_name_key(c, &request.account_key)?;
        let acting = acting_of(&request);
        let mut entry = self.entry_of(&acting, Event::PasswordResetRequested, None, serde_json::Value::Null);
        entry.outcome = Outcome::Failure;
        entry.account = Some((None, request.account_key.clone()));
        let reason = match &account {
            None => Some("no_account"),
            Some(account) if account.disabled_at.is_some() => Some("account_disabled"),
            Some(account) if account.expired_at.is_some() => Some("account_expired"),
            Some(account) if account.email.is_none() => Some("no_address"),
            Some(_) => None,
        };
        if let Some(account) = &account {
            entry.account = Some((Some(account.id), account.name.clone()));
            if reason.is_none() {
                entry.outcome = Outcome::Success;
                let ip = request.ip.to_string();
                self.send_reset_in(c, now, account, ResetReason::Forgotten { ip })?;
            }
        }
        entry.reason = reason.map(str::to_owned);
        self.record(c, now, &entry)?;
        Ok(true)
    }

    /// Uses the link up and sets the password; the sessions that ended, or `None`: the link opens nothing any more.
    fn choose_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        link: &PasswordLink,
        origin: Origin,
        hash: String,
        keep: i64,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        sessions::lock_account_sessions(c, link.account)?;
        let Some(mut account) = accounts::find(c, link.account)? else {
            return Ok(None);
        };
        if !link_works(link, &account, now) || !password_links::redeem(c, &link.digest)? {
            return Ok(None);
        }
        self.kill_links_in(c, now, account.id, LinkKind::ALL)?;
        accounts::choose_password(c, &mut account, hash, now, keep)?;
        let acting = Acting {
            actor: Actor::Account {
                id: account.id,
                name: account.name.clone(),
            },
            origin,
            session: None,
        };
        let ended = self.end_all_in(c, now, &account, EndReason::PasswordChanged, &acting)?;
        self.release_matching_in(c, &acting, Some(&account.name_key), None, false)?;
        let detail = serde_json::json!({ "ended_sessions": ended.len() });
        let mut entry = self.entry_of(&acting, Event::PasswordReset, Some((account.id, &account.name)), detail);
        entry.reason = Some(link.kind.as_str().to_owned());
        self.record(c, now, &entry)?;
        if link.kind == LinkKind::Reset {
            let ip = acting
                .origin
                .ip
                .map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
            let username = account.name.clone();
            self.post(
                c,
                now,
                &account,
                &PasswordWasReset { username, at: now, ip },
                Terms::default(),
            )?;
        }
        Ok(Some(ended))
    }
}
