//! Choosing a password with an emailed link: after a forgotten password, or for an invitation. A
//! request is only queued, equally for every name; a job finds the account. Opening a link changes
//! nothing; using it sets one password.

mod sending;

pub use sending::{InvitationOutcome, MailLinkOutcome, invite, mail_link};

use super::{Ctx, FlowError, Initiator, PURGED, Write, emails::EmailOptions};
use crate::{
    domain::{
        account::{Account, AccountId, name_key},
        audit::{Actor, AuditFilter, Event, EventOutcome, RequestOrigin},
        client::Client,
        lockout, network,
        password::{self, NewPasswordFacts, PasswordFault, Reuse},
        policy::effective::PasswordPolicy,
        reset::{LinkFacts, LinkKind, WINDOW, is_valid},
        secret::{self, Secret},
        session::EndReason,
        time::Timestamp,
    },
    hashing::{ComparisonHash, HashingBusyError, HashingClient, HashingPurpose},
    mail::render::{PasswordWasResetEmail, ResetReason},
    store::{
        Conn, StoreError, accounts, audit,
        password_links::{self, PasswordLink, ResetRequest},
        sessions,
    },
};

/// Maximum number of requests answered in one run of the job.
const BATCH: usize = 50;
/// Maximum number of current or earlier passwords that may be tried with one link; more would allow
/// someone to find out which ones they are.
const MAX_REUSES: i64 = 5;
/// The audit reason for these attempts.
const REUSED: &str = "reused";

/// A request for a link after a forgotten password.
pub struct PasswordResetRequest {
    /// The username as typed.
    pub username: String,
    /// The client of the request.
    pub client: Client,
}

/// Queues the request, or does nothing beyond `auth.reset_limit`; the response does not show which.
/// No account is looked up here, and a flood costs one read per request.
pub async fn request(ctx: &Ctx, request: PasswordResetRequest) -> Result<(), FlowError> {
    let in_force = ctx.current_policy().await?;
    let limit = usize::try_from(in_force.everyone().lockout.reset_limit).unwrap_or(usize::MAX);
    let now = ctx.now();
    let queued = ResetRequest {
        id: ctx.new_id(now),
        account_key: name_key(&request.username),
        ip: network::canonical(request.client.ip),
        user_agent: request.client.user_agent,
        request_id: request.client.request_id,
        requested_at: now,
    };
    // The address comes first: an address at its limit leaves no trace of the names that it tries.
    let keys = [
        secret::digest(&format!("address {}", lockout::address_key(queued.ip))),
        secret::digest(&format!("account {}", queued.account_key)),
    ];
    let counted = keys.clone();
    let is_flood = ctx
        .store
        .read(move |connection| password_links::is_flood(connection, &counted, limit, now));
    if is_flood.await? {
        return Ok(());
    }
    ctx.write(&initiator_of(&queued), move |w| {
        match password_links::count_request(w.connection, &keys, limit, now)? {
            None => password_links::queue_request(w.connection, &queued)?,
            // Once an hour, so that a flood does not hide other events.
            Some(1) => {
                let entry = w.entry(Event::PasswordResetRequested);
                let name = w.ctx.typed_name(&queued.account_key, false).shown;
                w.record(&entry.about_name(Some(name)).failed("limit"))?;
            }
            Some(_) => {}
        }
        Ok(())
    })
    .await
}

fn initiator_of(request: &ResetRequest) -> Initiator {
    Initiator {
        actor: Actor::Anonymous,
        origin: RequestOrigin {
            ip: Some(request.ip),
            user_agent: request.user_agent.clone(),
            request_id: request.request_id.clone(),
        },
        session: None,
    }
}

/// Answers queued requests with an email if there is a recipient, and returns how many requests
/// were processed. Called by a job.
pub async fn answer_requests(ctx: &Ctx) -> Result<usize, FlowError> {
    for answered in 0..BATCH {
        if !ctx.store.read(password_links::has_request).await? {
            return Ok(answered);
        }
        let taken = ctx.write_as_system(|w| Ok(w.answer_reset_request()?));
        if !taken.await? {
            return Ok(answered);
        }
    }
    Ok(BATCH)
}

/// The account behind a link, and the purpose of the link.
pub struct LinkedAccount {
    /// The account.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The purpose of the link.
    pub kind: LinkKind,
    /// Words that the password must not be built around.
    pub account_words: Vec<String>,
}

impl LinkedAccount {
    fn new(link: &PasswordLink, account: &Account) -> Self {
        let email = account.email.clone().unwrap_or_default();
        Self {
            account: account.id,
            name: account.name.clone(),
            kind: link.kind,
            account_words: vec![account.name.clone(), account.display_name.clone(), email],
        }
    }
}

/// Finds the account of a link; `None`: the link is not valid. This does not consume the link.
pub async fn find_linked_account(ctx: &Ctx, token: &Secret) -> Result<Option<LinkedAccount>, FlowError> {
    let found = find_valid_link(ctx, token).await?;
    Ok(found.map(|(link, account)| LinkedAccount::new(&link, &account)))
}

/// Returns the link and its account in their current state; if a rule has just expired the account,
/// that is written first.
async fn find_valid_link(ctx: &Ctx, token: &Secret) -> Result<Option<(PasswordLink, Account)>, FlowError> {
    let digest = secret::digest(token.expose());
    let found = ctx
        .store
        .read(move |connection| password_links::find(connection, &digest));
    let Some(link) = found.await? else {
        return Ok(None);
    };
    let account = match ctx.expire_if_due(link.account).await {
        Ok(account) => account,
        Err(FlowError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(is_link_valid(&link, &account, ctx.now()).then(|| (link, (*account).clone())))
}

fn is_link_valid(link: &PasswordLink, account: &Account, now: Timestamp) -> bool {
    let facts = LinkFacts {
        expires_at: link.expires_at,
        sent_to: &link.email,
        email: account.email.as_deref(),
        made_for: link.password_changed_at,
        password_changed_at: account.password_changed_at,
        disabled: account.disabled_at.is_some(),
        expired: account.expired_at.is_some(),
    };
    is_valid(&facts, now)
}

/// A new password, with the link's token that authorizes it.
pub struct PasswordChoice {
    /// The link's token.
    pub token: Secret,
    /// The new password.
    pub new: Secret,
    /// The repetition of the new one.
    pub again: Secret,
    /// The origin of the request.
    pub origin: RequestOrigin,
}

/// The result of a [`PasswordChoice`].
pub enum PasswordChoiceOutcome {
    /// The password was set.
    Done {
        /// The purpose of the link.
        kind: LinkKind,
    },
    /// The account, and the faults of the new password; the link still works.
    Faulty(LinkedAccount, Vec<PasswordFault>),
    /// The link is not valid.
    Refused,
}

/// Sets the password that was chosen with a valid link. This does not sign anyone in.
pub async fn choose(ctx: &Ctx, choice: PasswordChoice) -> Result<PasswordChoiceOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let Some((link, account)) = find_valid_link(ctx, &choice.token).await? else {
        return Ok(PasswordChoiceOutcome::Refused);
    };
    // One at a time, because each may cost as many hashes as there are earlier passwords.
    let Some(_submission) = ctx.live.submissions.begin(&link.digest) else {
        return Err(HashingBusyError { retry_after_secs: 2 }.into());
    };
    let linked = LinkedAccount::new(&link, &account);
    let policy = &in_force.everyone().password;
    // Checks without a hash come first, so that only a valid new password reveals whether it was
    // used before.
    let mut faults = judge(&choice, &linked, policy, Reuse::No);
    if faults.is_empty() {
        let reuse = find_reuse(ctx, &choice, &account, policy).await?;
        faults = judge(&choice, &linked, policy, reuse);
        if reuse != Reuse::No && !ctx.count_reuse(&link, &account, &choice.origin).await? {
            return Ok(PasswordChoiceOutcome::Refused);
        }
    }
    if !faults.is_empty() {
        return Ok(PasswordChoiceOutcome::Faulty(linked, faults));
    }
    let hash = ctx
        .hasher
        .hash(&choice.hashing_client(), choice.new.clone(), ctx.salt())
        .await?;
    let keep = i64::from(in_force.everyone().password.history).max(1);
    let kind = link.kind;
    let initiator = Initiator {
        actor: Actor::Account {
            id: account.id,
            name: account.name,
        },
        origin: choice.origin,
        session: None,
    };
    let done = ctx.write(&initiator, move |w| Ok(w.choose_password(&link, hash, keep)?));
    Ok(if done.await? {
        PasswordChoiceOutcome::Done { kind }
    } else {
        PasswordChoiceOutcome::Refused
    })
}

/// Finds whether the new password is the current or an earlier one, with one hash for each stored
/// one.
async fn find_reuse(
    ctx: &Ctx,
    choice: &PasswordChoice,
    account: &Account,
    policy: &PasswordPolicy,
) -> Result<Reuse, FlowError> {
    // A password that must be changed may have been disabled; the previous one is then the last
    // that anyone knew.
    let least = i64::from(account.must_change_password);
    let (id, wanted) = (account.id, i64::from(policy.history).max(least));
    let mut known = vec![(account.password_hash.clone(), Reuse::Current)];
    if wanted > 0 {
        let old = ctx
            .store
            .read(move |connection| accounts::list_passwords(connection, id, wanted))
            .await?;
        known.extend(old.into_iter().map(|hash| (hash, Reuse::History)));
    }
    let client = choice.hashing_client();
    for (hash, which) in known {
        let candidate = ComparisonHash::Stored(hash);
        if ctx.hasher.verify(&client, choice.new.clone(), candidate).await? {
            return Ok(which);
        }
    }
    Ok(Reuse::No)
}

fn judge(
    choice: &PasswordChoice,
    linked: &LinkedAccount,
    policy: &PasswordPolicy,
    reused: Reuse,
) -> Vec<PasswordFault> {
    let account_words: Vec<&str> = linked.account_words.iter().map(String::as_str).collect();
    let facts = NewPasswordFacts {
        new: choice.new.expose(),
        again: Some(choice.again.expose()),
        account_words: &account_words,
        reused,
    };
    password::decide(&facts, policy)
}

impl PasswordChoice {
    fn hashing_client(&self) -> HashingClient {
        HashingClient::new(HashingPurpose::MailedLink, self.origin.ip)
    }
}

impl Ctx {
    /// Records that a link's new password is the current or an earlier one, and revokes a link with
    /// too many of them. Returns whether it is still valid.
    async fn count_reuse(
        &self,
        link: &PasswordLink,
        account: &Account,
        origin: &RequestOrigin,
    ) -> Result<bool, FlowError> {
        let initiator = Initiator {
            actor: Actor::Anonymous,
            origin: origin.clone(),
            session: None,
        };
        let (link, id, name) = (link.clone(), account.id, account.name.clone());
        self.write(&initiator, move |w| {
            w.record(&w.entry(Event::PasswordReset).with_account(id, &name).failed(REUSED))?;
            let filter = AuditFilter {
                events: vec![Event::PasswordReset],
                account_id: Some(id),
                outcome: Some(EventOutcome::Failure),
                since: Some(link.made_at),
                limit: MAX_REUSES + 1,
                ..AuditFilter::default()
            };
            let is_void = audit::list(w.connection, &filter)?.items.len() as i64 > MAX_REUSES;
            if is_void {
                password_links::delete_of_account(w.connection, id, link.kind)?;
            }
            Ok(!is_void)
        })
        .await
    }
}

/// Deletes expired links and old counters.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(WINDOW);
    let purge = move |connection: &mut Conn| password_links::purge(connection, before, PURGED).map(drop);
    Ok(ctx.store.write(purge).await?)
}

impl Write<'_> {
    /// Takes one request and answers it. Returns false if there is none.
    fn answer_reset_request(&mut self) -> Result<bool, StoreError> {
        let Some(request) = password_links::take_request(self.connection)? else {
            return Ok(false);
        };
        self.initiator = initiator_of(&request);
        let account = accounts::find_by_name_key(self.connection, &request.account_key)?;
        let entry = self.entry(Event::PasswordResetRequested);
        let entry = match &account {
            None => entry.about_name(Some(self.ctx.typed_name(&request.account_key, false).shown)),
            Some(account) => entry.with_account(account.id, &account.name),
        };
        let refusal = match &account {
            None => Some("no_account"),
            Some(account) if !account.is_local() => Some("managed_by_source"),
            Some(account) if account.disabled_at.is_some() => Some("account_disabled"),
            Some(account) if account.expired_at.is_some() => Some("account_expired"),
            Some(account) if account.email.is_none() => Some("no_address"),
            Some(account) => {
                let ip = request.ip.to_string();
                self.send_reset_link(account, ResetReason::Forgotten { ip })?;
                None
            }
        };
        let entry = match refusal {
            Some(reason) => entry.failed(reason),
            None => entry,
        };
        self.record(&entry)?;
        Ok(true)
    }

    /// Consumes the link and sets the password. Returns false if the link is not valid.
    fn choose_password(&mut self, link: &PasswordLink, hash: String, keep: i64) -> Result<bool, StoreError> {
        sessions::lock_account_sessions(self.connection, link.account)?;
        let Some(mut account) = accounts::find(self.connection, link.account)? else {
            return Ok(false);
        };
        if !is_link_valid(link, &account, self.now) || !password_links::redeem(self.connection, &link.digest)? {
            return Ok(false);
        }
        self.void_links(account.id, LinkKind::ALL)?;
        accounts::choose_password(self.connection, &mut account, hash, self.now, keep)?;
        self.forget_account(account.id);
        let ended = self.end_account_sessions(&account, EndReason::PasswordChanged)?;
        self.release_matching(Some(&account.name_key), None, false)?;
        let entry = self.entry(Event::PasswordReset).with_account(account.id, &account.name);
        let entry = entry.with_detail(serde_json::json!({ "ended_sessions": ended }));
        self.record(&entry.with_reason(link.kind.as_str()))?;
        if link.kind == LinkKind::Reset {
            let ip = self.initiator.origin.ip;
            let email = PasswordWasResetEmail {
                username: account.name.clone(),
                at: self.now,
                ip: ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
            };
            self.enqueue_email(&account, &email, EmailOptions::default())?;
        }
        Ok(true)
    }
}
