//! `/admin/accounts`: the list, one account in full, and the export. `accounts/new` creates
//! accounts, `accounts/account_page` shows one, `accounts/act` acts on one, `accounts/bulk` on
//! many, `accounts/import` imports files, and `accounts/long_action` shows the progress of long
//! actions.
use super::{
    export::{ExportChunk, ExportQuery, PAGE, narrowed, stream},
    list::{ListQuery, PageEnds, sizes},
};
use crate::{
    domain::{
        account::AccountFilter,
        account_csv::{AccountColumn, READ_ONLY_COLUMNS},
        time::Timestamp,
    },
    flows::{
        Ctx,
        accounts::{self, AccountView},
        audit::{self, ExportedList},
    },
    http::{
        error::PageError,
        forms::Query,
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::{ConfirmedVisitor, Download},
        visitor::Admin,
    },
};
use account_page::{account_line, load_account_page};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use input::parse_account_id;
use query::AccountListQuery;
use std::sync::LazyLock;
use view::AccountsPage;

mod account_page;
mod act;
mod bulk;
mod confirm;
mod import;
mod input;
mod long_action;
mod messages;
mod new;
mod query;
mod view;

/// Returns the routes of the accounts.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_ACCOUNTS, Audience::Administrator, list),
        Route::post(paths::ADMIN_ACCOUNTS, Audience::Administrator, new::create).step_up(),
        Route::post(paths::ADMIN_ACCOUNTS_EXPORT, Audience::Administrator, download).step_up(),
        Route::get(paths::ADMIN_ACCOUNTS_NEW, Audience::Administrator, new::form),
        Route::get(paths::ADMIN_ACCOUNTS_IMPORT, Audience::Administrator, import::form),
        Route::post(paths::ADMIN_ACCOUNTS_IMPORT, Audience::Administrator, import::check),
        Route::post(
            paths::ADMIN_ACCOUNTS_IMPORT_APPLY,
            Audience::Administrator,
            import::apply,
        )
        .step_up(),
        Route::post(paths::ADMIN_ACCOUNTS_BULK, Audience::Administrator, bulk::submit).step_up(),
        Route::get(paths::ADMIN_ACCOUNTS_ACT, Audience::Administrator, long_action::show),
        Route::post(
            paths::ADMIN_ACCOUNTS_ACT_PASSWORDS,
            Audience::Administrator,
            long_action::fetch_passwords,
        )
        .step_up(),
        Route::get(paths::ADMIN_ACCOUNT, Audience::Administrator, detail),
        Route::get(paths::ADMIN_ACCOUNT_CONFIRM, Audience::Administrator, confirm::show),
        Route::post(paths::ADMIN_ACCOUNT, Audience::Administrator, act::submit).step_up(),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<AccountListQuery>,
) -> Result<HttpResponse, PageError> {
    let list = accounts::list(&ctx, query.filter()).await?;
    let ends = PageEnds::from_items(&list.items, list.newer, list.older, |view| {
        view.account.name_key.clone()
    });
    let now = ctx.now();
    let view = AccountsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Accounts", "accounts").await?,
        faults: query.faults(),
        q: query.q.clone(),
        roles: query.roles(),
        states: query.states(),
        factors: query.factors(),
        sources: query.sources(&ctx.live.sources()),
        group: query.group.clone(),
        acts: bulk::choices(),
        back: query.back_query(),
        sizes: sizes(&query.limit),
        filtered: query.is_filtered(),
        total: list.total,
        pager: query.pager(ends, ("Previous", "Next")),
        export: query.export_links(paths::ADMIN_ACCOUNTS_EXPORT),
        rows: list
            .items
            .iter()
            .map(|view| account_line(view, admin.0.account, now))
            .collect(),
    };
    render_page(StatusCode::OK, &view)
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    render_page(
        StatusCode::OK,
        &load_account_page(&req, &ctx, &admin, parse_account_id(&id)?).await?,
    )
}

/// The columns of an account CSV come first, so that an export can be imported again; the read-only
/// columns follow.
static COLUMNS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let written = AccountColumn::ALL.map(AccountColumn::name);
    written.into_iter().chain(READ_ONLY_COLUMNS).collect()
});

/// `POST /admin/accounts/export`: by POST, because the export is an event of the audit; if that
/// cannot be written, nothing is exported.
async fn download(
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, _): ConfirmedVisitor<Admin, Download>,
    query: Query<AccountListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    query.0.check()?;
    let (initiator, format) = (&admin.0.initiator, export.0.format);
    audit::record_export(
        &ctx,
        initiator,
        ExportedList::Accounts,
        narrowed(&query.0.fields()),
        format.as_str(),
    )
    .await?;
    let filter = AccountFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..query.0.filter()
    };
    let fetch = move |filter: AccountFilter| {
        let ctx = ctx.clone();
        async move {
            let list = accounts::list(&ctx, filter.clone()).await?;
            Ok(ExportChunk::from_query(&list.items, list.older, record, |last| {
                AccountFilter {
                    after: Some(last.account.name_key.clone()),
                    ..filter
                }
            }))
        }
    };
    Ok(stream("accounts", format, &COLUMNS, filter, fetch).await?)
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
        "second_factors": account.factors.display(),
        "source": view.source_name(),
        "external_id": account.external_id,
    })
}
