//! The page of one account, and the line at its head that is also its row in the list.
use super::{
    messages::{describe_later_expiry, expired_by_label, expiry_rule_label, state_badges},
    view::{AccountLine, AccountLockoutLine, AccountPage, FactorCard, PasskeyLine, ProfileFields, SourceTag},
};
use crate::{
    domain::{
        account::{AccountId, Role},
        factor::FactorRequirement,
        lockout::LockDuration,
        password::NEVER,
        time::Timestamp,
    },
    flows::{
        Ctx,
        accounts::{self, AccountDetail, AccountStatus, AccountView},
        factors::{EnrolledView, list_factors},
        lockouts::LockoutView,
        policy,
    },
    http::{
        error::PageError,
        pages::admin::{audit_line::AuditLine, list::href, part::Badge, session_line::SessionLine},
        paths,
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::HttpRequest;
use uuid::Uuid;

/// Returns the line of an account; `you` is the visitor.
pub(super) fn account_line(view: &AccountView, you: AccountId, now: Timestamp) -> AccountLine {
    let account = &view.account;
    AccountLine {
        id: account.id.0.to_string(),
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        email: account.email.clone().unwrap_or_default(),
        administrator: account.role == Role::Administrator,
        you: account.id == you,
        states: state_badges(view, now),
        sessions: view.live_sessions,
        last_sign_in: account.last_sign_in_at,
        expires: view.expires.map(|(at, rule)| (at, expiry_rule_label(rule).to_owned())),
        expires_later: view.expires_later.map(describe_later_expiry),
        password_changed: account.password_changed_at,
        factors: account.factors.display(),
        has_factor: account.factors.has_any(),
        invited: view.invited.is_some(),
        source: view.source.as_ref().map(|source| SourceTag {
            title: source.title.clone(),
            kind: source.kind,
            href: (!source.name.is_empty()).then(|| format!("{}/{}", paths::ADMIN_SOURCES, source.name)),
            external_id: account.external_id.clone(),
        }),
    }
}

/// The address of a draft's review, and the expiry under it with its rule.
type DraftedExpiry = (String, Option<(Timestamp, String)>);

/// Returns what the visitor's newest draft changes about the account's expiry: the draft's review,
/// and the new instant with its rule. `None`: nothing.
async fn expiry_under_draft(ctx: &Ctx, admin: &Admin, view: &AccountView) -> Result<Option<DraftedExpiry>, PageError> {
    if view.account.expired_at.is_some() {
        return Ok(None);
    }
    let Some((draft, drafted)) = policy::newest_draft(ctx, &admin.0.initiator).await? else {
        return Ok(None);
    };
    let expires = accounts::expires_under(ctx, view.account.id, drafted).await?;
    let labelled = |(at, rule)| (at, expiry_rule_label(rule).to_owned());
    Ok((expires != view.expires).then(|| (review_of(draft), expires.map(labelled))))
}

/// Returns the page of one account, with the stored values in its forms.
pub(super) async fn load_account_page(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
) -> Result<AccountPage, PageError> {
    let AccountDetail {
        view,
        sessions,
        events,
        lockouts,
        binds,
        networks,
    } = accounts::detail(ctx, id).await?.ok_or(PageError::NotFound)?;
    let enrolled = list_factors(ctx, id).await?;
    let account = &view.account;
    let drafted = expiry_under_draft(ctx, admin, &view).await?;
    Ok(AccountPage {
        shell: Shell::admin(req, ctx, admin, account.name.clone(), "accounts").await?,
        line: account_line(&view, admin.0.account, ctx.now()),
        last_administrator: view.is_last_administrator,
        enabled: account.disabled_at.is_none(),
        expired: account.expired_at.is_some(),
        expired_by: account.expired_at.map(|at| {
            (
                at,
                expired_by_label(account.expired_by.as_deref().unwrap_or_default()).to_owned(),
            )
        }),
        drafted,
        must_change: matches!(view.state, AccountStatus::MustChange(_)),
        invited: view.invited,
        one_time_until: account.password_good_until.filter(|until| *until != NEVER),
        password_unknown: account.password_good_until == Some(NEVER),
        locked: view.locked.is_some(),
        created: account.created_at,
        activated: account.activated_at,
        groups: account
            .groups
            .iter()
            .map(|group| (group.clone(), href(paths::ADMIN_ACCOUNTS, [("group", group.as_str())])))
            .collect(),
        lockouts: lockouts.iter().map(lockout_line).collect(),
        binds,
        networks,
        expires_field: account.expires_at.map(date_field).unwrap_or_default(),
        profile: ProfileFields {
            display_name: account.display_name.clone(),
            email: account.email.clone().unwrap_or_default(),
            groups: account.groups.join(", "),
        },
        factor_card: factor_card(&enrolled),
        sessions: sessions
            .iter()
            .filter(|view| view.live)
            .map(|view| SessionLine::new(view, admin.0.session))
            .collect(),
        events: AuditLine::timeline(&events),
        audit: href(paths::ADMIN_AUDIT, [("account", account.name.as_str())]),
        faults: Vec::new(),
    })
}

fn factor_card(enrolled: &EnrolledView) -> FactorCard {
    let EnrolledView { factors, passkeys, .. } = enrolled;
    FactorCard {
        authenticator_app: factors.authenticator_app,
        passkeys: passkeys
            .iter()
            .map(|passkey| PasskeyLine {
                name: passkey.name.clone(),
                added: passkey.added_at,
                last_used: passkey.last_used_at,
                kind: match (passkey.is_dead, passkey.synced) {
                    (true, _) => "made for another passkey domain: works nowhere",
                    (false, true) => "synced",
                    (false, false) => "bound to one device",
                },
            })
            .collect(),
        recovery_codes: factors.recovery_codes,
        trusted_browsers: enrolled.browsers.len(),
        required: match enrolled.required {
            FactorRequirement::Off => "not required",
            FactorRequirement::Any => "a second factor is required",
            FactorRequirement::Passkey => "a passkey is required",
        },
        // The time is kept when the requirement is lifted, for a later one.
        required_since: enrolled
            .required_since
            .filter(|_| enrolled.required != FactorRequirement::Off),
        link_until: enrolled.link_until,
        any: factors.has_any() || factors.recovery_codes > 0 || !enrolled.browsers.is_empty(),
    }
}

/// Returns the address of a draft's review.
fn review_of(draft: Uuid) -> String {
    href(paths::ADMIN_POLICY_REVIEW, [("draft", draft.to_string().as_str())])
}

fn lockout_line(view: &LockoutView) -> AccountLockoutLine {
    let key = &view.lockout.key;
    let with = [("IP", &key.ip), ("agent", &key.user_agent)];
    AccountLockoutLine {
        with: with
            .into_iter()
            .filter_map(|(label, value)| Some((label, value.clone()?)))
            .collect(),
        state: match view.locked {
            Some(LockDuration::Until(_)) => Badge::danger("Locked").with_icon("lock"),
            Some(LockDuration::UntilUnlocked) => Badge::danger("Until unlocked").with_icon("lock"),
            None => Badge::warn("Counting").with_icon("clock"),
        },
        failures: view.failures,
        limit: view.limit,
        last_attempt: view.lockout.last_attempt_at,
        unlocks: match view.locked {
            Some(LockDuration::Until(at)) => Some(at),
            Some(LockDuration::UntilUnlocked) | None => None,
        },
    }
}

/// Formats `2026-11-21T17:20` for a date field, with seconds if there are any.
fn date_field(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let length = if text.get(17..19) == Some("00") { 16 } else { 19 };
    text.get(..length).unwrap_or_default().to_owned()
}
