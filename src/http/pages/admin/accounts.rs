//! `/admin/accounts`: the list, one account in full, and its export. Creating is in `accounts/new`, acting in `accounts/act`.
use super::audit_line::AuditLine;
use super::export::{Chunk, Format, PAGE, stream};
use super::list::{href, pager, sizes};
use super::session_line::SessionLine;
use crate::domain::account::{AccountId, Role};
use crate::domain::time::Timestamp;
use crate::flows::Ctx;
use crate::flows::accounts::{self, AccountDetail, AccountState, AccountView};
use crate::flows::rows::AccountFilter;
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::{Shell, page};
use crate::http::step_up::Confirmed;
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use asked::{Asked, badges, expired_words, rule_words, state_code};
use serde::Deserialize;
use uuid::Uuid;
use view::{AccountLine, AccountPage, AccountsPage, Profile};

pub mod act;
pub mod asked;
pub mod new;
pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_ACCOUNTS, Who::Administrator, list),
        Route::post(paths::ADMIN_ACCOUNTS, Who::Administrator, new::create).step_up(),
        Route::get(paths::ADMIN_ACCOUNTS_EXPORT, Who::Administrator, download).step_up(),
        // Where the page that asks for the password sends it.
        Route::post(paths::ADMIN_ACCOUNTS_EXPORT, Who::Administrator, download).step_up(),
        Route::get(paths::ADMIN_ACCOUNTS_NEW, Who::Administrator, new::form),
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
        q: asked.q.clone(),
        roles: asked.roles(),
        states: asked.states(),
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
        password_changed: account.password_changed_at,
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
    let AccountDetail { view, sessions, events } = accounts::detail(ctx, id).await?.ok_or(PageError::NotFound)?;
    let account = &view.account;
    let groups = account.groups.join(", ");
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
        must_change: matches!(view.state, AccountState::MustChange(_)),
        locked: view.locked.is_some(),
        created: account.created_at,
        activated: account.activated_at,
        groups: groups.clone(),
        expires_field: account.expires_at.map(date_field).unwrap_or_default(),
        profile: Profile {
            display_name: account.display_name.clone(),
            email: account.email.clone().unwrap_or_default(),
            groups,
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

/// `2026-11-21T17:20`, as a date field wants it; to the second when there are seconds.
fn date_field(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let length = if text.get(17..19) == Some("00") { 16 } else { 19 };
    text.get(..length).unwrap_or_default().to_owned()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    format: Format,
}

const COLUMNS: &[&str] = &[
    "id",
    "name",
    "display_name",
    "email",
    "role",
    "groups",
    "state",
    "live_sessions",
    "created_at",
    "last_sign_in_at",
    "password_changed_at",
    "expires_at",
    "expires_by",
    "expired_at",
    "disabled_at",
];

async fn download(
    ctx: web::Data<Ctx>,
    _: Confirmed<Admin, ()>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
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
            let last = list
                .items
                .last()
                .filter(|_| list.older)
                .map(|view| view.account.name_key.clone());
            let next = last.map(|after| AccountFilter {
                after: Some(after),
                ..filter
            });
            Ok(Chunk {
                records: list.items.iter().map(record).collect(),
                next,
            })
        }
    };
    Ok(stream("accounts", wanted.0.format, COLUMNS, filter, fetch).await?)
}

fn record(view: &AccountView) -> serde_json::Value {
    let account = &view.account;
    let at = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    serde_json::json!({
        "id": account.id.0,
        "name": account.name,
        "display_name": account.display_name,
        "email": account.email,
        "role": account.role.as_str(),
        "groups": account.groups.join(", "),
        "state": state_code(view.state),
        "live_sessions": view.live_sessions,
        "created_at": account.created_at.to_rfc3339(),
        "last_sign_in_at": at(account.last_sign_in_at),
        "password_changed_at": account.password_changed_at.to_rfc3339(),
        "expires_at": view.expires.map(|(at, _)| at.to_rfc3339()),
        "expires_by": view.expires.map(|(_, rule)| rule.code()),
        "expired_at": at(account.expired_at),
        "disabled_at": at(account.disabled_at),
    })
}
