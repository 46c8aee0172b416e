//! Letters that time makes due: accounts that expire soon, and the digest for administrators. Jobs call these.

use super::super::{Ctx, FlowError, endings::expiry_bounds};
use crate::{
    domain::{
        account::{AccountId, Role},
        audit::Event,
        notice::{Happening, LOOKED_AT, Notice, digest, locked_words},
        time::{Span, Timestamp},
    },
    live::policy::InForce,
    mail::render::notices as letters,
    store::{
        Conn, StoreError,
        accounts::{self, AccountFilter, AccountListState},
        audit::{self, AuditFilter, AuditRow},
        meta, notices,
    },
};
use std::sync::Arc;

/// Between two digests at least.
const DIGEST_PAUSE: Span = Span::from_secs(3600);
/// Where the end of the last one stands.
const DIGEST_UNTIL: &str = "notices.digest_until";
/// What a digest tells of. Each is asked for by itself: a flood of one never hides another.
const TOLD: [Event; 6] = [
    Event::SignInRefused,
    Event::LockoutBegan,
    Event::SessionRotatedIdReused,
    Event::PolicyChanged,
    Event::PolicyRestored,
    Event::PolicyReverted,
];

/// Tells accounts that expire within `auth.expiry_notice`, once for each instant at which they would; how many.
pub async fn tell_expiring(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    let policy = in_force.everyone();
    let Some(notice) = policy
        .accounts
        .expiry_notice
        .filter(|_| policy.notices.contains(&Notice::Expiry))
    else {
        return Ok(0);
    };
    let bounds = expiry_bounds(&policy.accounts, ctx.now().saturating_add(notice));
    let (mut after, mut told) = (None, 0);
    loop {
        let candidates = ctx
            .store
            .read(move |c| accounts::expiry_candidates(c, &bounds, after, BATCH))
            .await?;
        let Some(last) = candidates.last().map(|account| account.id) else {
            return Ok(told);
        };
        for account in candidates.into_iter().filter(|account| account.email.is_some()) {
            told += usize::from(tell(ctx, &in_force, account.id, notice).await?);
        }
        after = Some(last);
    }
}

async fn tell(ctx: &Ctx, in_force: &Arc<InForce>, id: AccountId, notice: Span) -> Result<bool, FlowError> {
    let (flow, in_force, now) = (ctx.clone(), in_force.clone(), ctx.now());
    let kind = Notice::Expiry.as_str();
    let due = ctx
        .store
        .read(move |c| {
            let found = accounts::find(c, id)?.into_iter().collect();
            let expires = flow
                .account_views(c, &in_force, found)?
                .pop()
                .and_then(|view| view.expires);
            let soon = expires.map(|(at, _)| at).filter(|at| at.since(now) <= notice);
            let told = notices::latest(c, id, kind)?;
            Ok::<_, StoreError>(soon.filter(|at| told != Some(*at)))
        })
        .await?;
    let Some(at) = due else { return Ok(false) };
    let flow = ctx.clone();
    Ok(ctx
        .store
        .write(move |c| {
            let account = accounts::find(c, id)?.ok_or(StoreError::NotFound("account"))?;
            // Another instance may have been faster.
            if notices::latest(c, id, kind)? == Some(at) {
                return Ok(false);
            }
            notices::set_latest(c, id, kind, at)?;
            flow.tell_in(
                c,
                now,
                &account,
                Notice::Expiry,
                &letters::expires_soon(&account.name, at),
            )
        })
        .await?)
}

/// Tells administrators what happened since the last digest, when an hour has passed and there is something to tell; how many
/// letters. The hour begins with the first look.
pub async fn send_digest(ctx: &Ctx) -> Result<usize, FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    let until = ctx.store.read(|c| meta::get(c, DIGEST_UNTIL)).await?;
    let since = until.as_deref().and_then(Timestamp::parse_rfc3339);
    if since.is_some_and(|since| now.since(since) < DIGEST_PAUSE) {
        return Ok(0);
    }
    Ok(ctx
        .store
        .write(move |c| {
            // Held first: of two instances the second finds the hour begun anew.
            accounts::lock_administrators(c)?;
            let standing = meta::get(c, DIGEST_UNTIL)?;
            if standing != until {
                return Ok(0);
            }
            meta::set(c, DIGEST_UNTIL, &now.to_rfc3339())?;
            let Some(since) = since.filter(|_| flow.in_force().everyone().notices.contains(&Notice::Digest)) else {
                return Ok(0);
            };
            // This microsecond is the next one's: it may not be over.
            let happenings = happenings(c, since, now.saturating_sub(Span::from_micros(1)))?;
            let lines = digest(&happenings);
            if lines.is_empty() {
                return Ok(0);
            }
            let administrators = AccountFilter {
                role: Some(Role::Administrator),
                state: Some(AccountListState::Active),
                limit: 1_000,
                ..AccountFilter::default()
            };
            let letter = letters::digest(since, now, &lines, &flow.config.base_url());
            let mut sent = 0;
            for account in accounts::list(c, &administrators)?.items {
                sent += usize::from(flow.tell_in(c, now, &account, Notice::Digest, &letter)?);
            }
            Ok::<_, StoreError>(sent)
        })
        .await?)
}

/// What happened between two instants, both inclusive: of each kind the newest.
fn happenings(c: &mut Conn, since: Timestamp, until: Timestamp) -> Result<Vec<Happening>, StoreError> {
    let mut found = Vec::new();
    for event in TOLD {
        let filter = AuditFilter {
            events: vec![event],
            since: Some(since),
            until: Some(until),
            limit: LOOKED_AT as i64,
            ..AuditFilter::default()
        };
        found.extend(audit::list(c, &filter)?.items.into_iter().map(happening));
    }
    Ok(found)
}

fn happening(row: AuditRow) -> Happening {
    let locked = (row.event == Event::LockoutBegan).then(|| {
        let key = |field: &str| row.detail["keys"][field].as_str();
        locked_words(key("account"), key("ip"))
    });
    Happening {
        event: row.event,
        account: row.account,
        actor: row.actor,
        ip: row.ip,
        locked,
    }
}
