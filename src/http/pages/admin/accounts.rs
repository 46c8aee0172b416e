//! `/admin/accounts`: the list, one account in full, and its export. Creating is in `accounts/new`, acting on one in `accounts/act`, on many in
//! `accounts/bulk`, files in `accounts/import`.
use super::audit_line::AuditLine;
use super::export::{Chunk, PAGE, Wanted, narrowed, stream};
use super::list::{href, pager, query, readable, sizes};
use super::part::Badge;
use super::session_line::SessionLine;
use crate::domain::account::{AccountId, Role};
use crate::domain::lockout::Locked;
use crate::domain::password::NEVER;
use crate::domain::time::Timestamp;
use crate::flows::accounts::{self, AccountDetail, AccountState, AccountView};
use crate::flows::audit::Exported;
use crate::flows::lockouts::LockoutView;
use crate::flows::rows::AccountFilter;
use crate::flows::{Ctx, audit, policy};
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::{Shell, page};
use crate::http::step_up::{Confirmed, Download};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use asked::{Asked, badges, expired_words, later_words, rule_words};
use uuid::Uuid;
use view::{AccountLine, AccountPage, AccountsPage, LockoutLine, Profile};

pub mod act;
pub mod asked;
pub mod bulk;
pub mod import;
pub mod new;
pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_ACCOUNTS, Who::Administrator, list),
        Route::post(paths::ADMIN_ACCOUNTS, Who::Administrator, new::create).step_up(),
        Route::post(paths::ADMIN_ACCOUNTS_EXPORT, Who::Administrator, download).step_up(),
        Route::get(paths::ADMIN_ACCOUNTS_NEW, Who::Administrator, new::form),
        Route::get(paths::ADMIN_ACCOUNTS_IMPORT, Who::Administrator, import::form),
        Route::post(paths::ADMIN_ACCOUNTS_IMPORT, Who::Administrator, import::check),
        Route::post(paths::ADMIN_ACCOUNTS_IMPORT_APPLY, Who::Administrator, import::apply).step_up(),
        Route::post(paths::ADMIN_ACCOUNTS_BULK, Who::Administrator, bulk::submit).step_up(),
        Route::get(paths::ADMIN_ACCOUNT, Who::Administrator, detail),
        Route::post(paths::ADMIN_ACCOUNT, Who::Administrator, act::submit).step_up(),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let list = accounts::list(&ctx, asked.filter()).await?;
    let at = |view: &AccountView| view.account.name_key.clone();
    let pairs = asked.pairs();
    let export = |format| {
        href(
            paths::ADMIN_ACCOUNTS_EXPORT,
            pairs.iter().copied().chain([("format", format)]),
        )
    };
    let now = ctx.now();
    let view = AccountsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Accounts", "accounts").await?,
        faults: asked.faults(),
        q: asked.q.clone(),
        roles: asked.roles(),
        states: asked.states(),
        group: asked.group.clone(),
        acts: bulk::choices(),
        back: query(
            pairs
                .iter()
                .copied()
                .chain([("after", asked.after.as_str()), ("before", asked.before.as_str())]),
        ),
        sizes: sizes(&asked.limit),
        filtered: asked.is_filtered(),
        total: list.total,
        pager: pager(
            paths::ADMIN_ACCOUNTS,
            &pairs,
            list.items.first().filter(|_| list.newer).map(at),
            list.items.last().filter(|_| list.older).map(at),
            ("Previous", "Next"),
        ),
        csv: export("csv"),
        json: export("json"),
        rows: list.items.iter().map(|view| line(view, admin.0.account, now)).collect(),
    };
    page(StatusCode::OK, &view)
}

fn line(view: &AccountView, you: AccountId, now: Timestamp) -> AccountLine {
    let account = &view.account;
    AccountLine {
        id: account.id.0.to_string(),
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        email: account.email.clone().unwrap_or_default(),
        administrator: account.role == Role::Administrator,
        you: account.id == you,
        states: badges(view, now),
        sessions: view.live_sessions,
        last_sign_in: account.last_sign_in_at,
        expires: view.expires.map(|(at, rule)| (at, rule_words(rule).to_owned())),
        expires_later: view.expires_later.map(later_words),
        password_changed: account.password_changed_at,
        invited: view.invited.is_some(),
    }
}

fn id_of(text: &str) -> Result<AccountId, PageError> {
    Uuid::parse_str(text).map(AccountId).map_err(|_| PageError::NotFound)
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    page(StatusCode::OK, &shown(&req, &ctx, &admin, id_of(&id)?).await?)
}

/// The page of one account, with the values of its forms as they are stored.
async fn shown(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<AccountPage, PageError> {
    let AccountDetail {
        view,
        sessions,
        events,
        lockouts,
        networks,
    } = accounts::detail(ctx, id).await?.ok_or(PageError::NotFound)?;
    let account = &view.account;
    let drafted = match policy::newest_draft(ctx, &admin.0.acting).await? {
        Some((draft, drafted)) if account.expired_at.is_none() => {
            let expires = accounts::expires_under(ctx, id, drafted).await?;
            let words = |(at, rule)| (at, rule_words(rule).to_owned());
            (expires != view.expires).then(|| (review_of(draft), expires.map(words)))
        }
        Some(_) | None => None,
    };
    Ok(AccountPage {
        shell: Shell::admin(req, ctx, admin, account.name.clone(), "accounts").await?,
        line: line(&view, admin.0.account, ctx.now()),
        last_administrator: view.is_last_administrator,
        enabled: account.disabled_at.is_none(),
        expired: account.expired_at.is_some(),
        expired_by: account.expired_at.map(|at| {
            (
                at,
                expired_words(account.expired_by.as_deref().unwrap_or_default()).to_owned(),
            )
        }),
        drafted,
        must_change: matches!(view.state, AccountState::MustChange(_)),
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
        networks,
        expires_field: account.expires_at.map(date_field).unwrap_or_default(),
        profile: Profile {
            display_name: account.display_name.clone(),
            email: account.email.clone().unwrap_or_default(),
            groups: account.groups.join(", "),
        },
        sessions: sessions
            .iter()
            .filter(|view| view.live)
            .map(|view| SessionLine::new(view, admin.0.session))
            .collect(),
        events: events.iter().map(AuditLine::new).collect(),
        audit: href(paths::ADMIN_AUDIT, [("account", account.name.as_str())]),
        faults: Vec::new(),
    })
}

/// The page on which a draft of the policy is reviewed.
fn review_of(draft: Uuid) -> String {
    href(paths::ADMIN_POLICY_REVIEW, [("draft", draft.to_string().as_str())])
}

fn lockout_line(view: &LockoutView) -> LockoutLine {
    let key = &view.lockout.key;
    let with = [("IP", &key.ip), ("agent", &key.user_agent)];
    LockoutLine {
        with: with
            .into_iter()
            .filter_map(|(label, value)| Some((label, value.clone()?)))
            .collect(),
        state: match view.locked {
            Some(Locked::Until(_)) => Badge::danger("Locked").with_icon("lock"),
            Some(Locked::UntilUnlocked) => Badge::danger("Until unlocked").with_icon("lock"),
            None => Badge::warn("Counting").with_icon("clock"),
        },
        failures: view.failures,
        limit: view.limit,
        last_attempt: view.lockout.last_attempt_at,
        unlocks: match view.locked {
            Some(Locked::Until(at)) => Some(at),
            Some(Locked::UntilUnlocked) | None => None,
        },
    }
}

/// `2026-11-21T17:20`, as a date field wants it; to the second when there are seconds.
fn date_field(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let length = if text.get(17..19) == Some("00") { 16 } else { 19 };
    text.get(..length).unwrap_or_default().to_owned()
}

/// What a file of accounts says comes first, so that an export can be imported again; what only tells follows.
const COLUMNS: &[&str] = &[
    "name",
    "display_name",
    "email",
    "role",
    "groups",
    "expires_at",
    "must_change",
    "disabled",
    "id",
    "state",
    "live_sessions",
    "created_at",
    "last_sign_in_at",
    "password_changed_at",
    "due_at",
    "due_by",
    "expired_at",
    "disabled_at",
];

/// By POST, because the export is an event of the audit; if that cannot be written, nothing is exported.
async fn download(
    ctx: web::Data<Ctx>,
    Confirmed(admin, _): Confirmed<Admin, Download>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    readable(asked.0.faults())?;
    let (acting, format) = (&admin.0.acting, wanted.0.format);
    audit::exported(
        &ctx,
        acting,
        Exported::Accounts,
        narrowed(&asked.0.pairs()),
        format.as_str(),
    )
    .await?;
    let filter = AccountFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..asked.0.filter()
    };
    let fetch = move |filter: AccountFilter| {
        let ctx = ctx.clone();
        async move {
            let list = accounts::list(&ctx, filter.clone()).await?;
            Ok(Chunk::of(&list.items, list.older, record, |last| AccountFilter {
                after: Some(last.account.name_key.clone()),
                ..filter
            }))
        }
    };
    Ok(stream("accounts", format, COLUMNS, filter, fetch).await?)
}

fn record(view: &AccountView) -> serde_json::Value {
    let account = &view.account;
    let at = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    serde_json::json!({
        "name": account.name,
        "display_name": account.display_name,
        "email": account.email,
        "role": account.role.as_str(),
        "groups": account.groups.join(", "),
        "expires_at": at(account.expires_at),
        "must_change": account.must_change_password,
        "disabled": account.disabled_at.is_some(),
        "id": account.id.0,
        "state": view.state.code(),
        "live_sessions": view.live_sessions,
        "created_at": account.created_at.to_rfc3339(),
        "last_sign_in_at": at(account.last_sign_in_at),
        "password_changed_at": account.password_changed_at.to_rfc3339(),
        "due_at": view.expires.map(|(at, _)| at.to_rfc3339()),
        "due_by": view.expires.map(|(_, rule)| rule.code()),
        "expired_at": at(account.expired_at),
        "disabled_at": at(account.disabled_at),
    })
}
