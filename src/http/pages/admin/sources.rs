//! `/admin/sources`: the directories and identity providers that prove who people are; and one of
//! them in full. Secrets are only written, never shown.

use super::{
    form_answer::{FormAnswer, Performed, answer_once, keep, perform},
    list::{FormFaults, href},
};
use crate::{
    domain::source::{SourceFault, SourceKind},
    flows::{
        Ctx, FlowError,
        source_sessions::count_source_sessions,
        source_test::test_source,
        sources::{self, SourceDeletion, SourceOutcome, SourceView},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::{Form, Query},
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::ConfirmedVisitor,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use input::SourceInput;
use serde::Deserialize;
use std::time::Duration;
use view::{EventsView, SourceForm, SourceLine, SourcePage, SourceTestView, SourcesPage, page_address};

mod end;
mod input;
mod view;

/// Returns the routes of the sources.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_SOURCES, Audience::Administrator, list),
        Route::post(paths::ADMIN_SOURCES, Audience::Administrator, create).step_up(),
        Route::get(paths::ADMIN_SOURCE, Audience::Administrator, detail),
        Route::post(paths::ADMIN_SOURCE, Audience::Administrator, submit).step_up(),
        Route::get(paths::ADMIN_SOURCE_END, Audience::Administrator, end::show),
        Route::post(paths::ADMIN_SOURCE_END, Audience::Administrator, end::submit).step_up(),
    ]
}

/// The kind of source whose form is open; empty: none is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SourceListQuery {
    new: String,
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<SourceListQuery>,
) -> Result<HttpResponse, PageError> {
    let form = SourceKind::parse(&query.new).map(SourceForm::empty);
    render_page(StatusCode::OK, &show_list(&req, &ctx, &admin, form, Vec::new()).await?)
}

async fn show_list(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    form: Option<SourceForm>,
    faults: FormFaults,
) -> Result<SourcesPage, PageError> {
    let all = sources::list(ctx).await?;
    Ok(SourcesPage {
        shell: Shell::admin(req, ctx, admin, "Sources", "sources").await?,
        rows: all.iter().map(SourceLine::new).collect(),
        form,
        faults,
    })
}

/// `POST /admin/sources`
async fn create(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, input): ConfirmedVisitor<Admin, Form<SourceInput>>,
) -> Result<HttpResponse, PageError> {
    answer_once(&req, &ctx, &admin, create_source(&req, &ctx, &admin, input.0)).await
}

async fn create_source(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    input: SourceInput,
) -> Result<HttpResponse, PageError> {
    let Some(kind) = SourceKind::parse(&input.kind) else {
        return Err(PageError::NotFound);
    };
    let flash = Flash::ok("The source was created. Test it before you enable it.");
    let answer = FormAnswer::new(page_address(input.name.trim()), flash);
    let keeping = keep(req, ctx, &answer);
    match sources::create(
        &keeping,
        &admin.0.initiator,
        &input.name,
        kind,
        input.change(kind, None),
    )
    .await?
    {
        SourceOutcome::Done => Ok(answer.respond(req)),
        SourceOutcome::Faulty(faults) => {
            let form = SourceForm::typed(kind, &input);
            let page = show_list(req, ctx, admin, Some(form), named(faults)).await?;
            render_page(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        SourceOutcome::Unknown | SourceOutcome::InFile => Err(PageError::NotFound),
    }
}

/// Turns faults into sentences at their fields.
fn named(faults: Vec<SourceFault>) -> FormFaults {
    let sentence = |fault: SourceFault| {
        let text = format!("{} {}.", view::label_of(&fault.key), fault.message);
        (fault.key, text)
    };
    faults.into_iter().map(sentence).collect()
}

/// Maximum time that the page waits for a test; the command line waits longer.
const MAX_TEST_TIME: Duration = Duration::from_secs(4);
/// Maximum time of the steps of a directory: then the page shows which one waits.
const MAX_PROBE_TIME: Duration = Duration::from_millis(3_500);

/// Whether the source is tested, and with which username.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SourceTestQuery {
    test: String,
    account: String,
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
    Query(query): Query<SourceTestQuery>,
) -> Result<HttpResponse, PageError> {
    let view = find(&ctx, &name).await?;
    let mut page = show(&req, &ctx, &admin, &view, None, Vec::new()).await?;
    if !query.test.is_empty() {
        page.test = Some(test(&ctx, &name, query.account.trim()).await?);
        page.tested_account = query.account;
    }
    render_page(StatusCode::OK, &page)
}

async fn test(ctx: &Ctx, name: &str, account: &str) -> Result<SourceTestView, PageError> {
    let account = Some(account).filter(|account| !account.is_empty());
    match tokio::time::timeout(MAX_TEST_TIME, test_source(ctx, name, account, MAX_PROBE_TIME)).await {
        Ok(Ok(test)) => Ok(SourceTestView::new(&test)),
        Ok(Err(FlowError::SourceDown(_))) => Ok(SourceTestView::failed("The secret cannot be opened. Enter it again.")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(SourceTestView::failed(
            "No result within 4 seconds. Run nightlatch source test, which waits longer.",
        )),
    }
}

async fn find(ctx: &Ctx, name: &str) -> Result<SourceView, PageError> {
    sources::find(ctx, name).await?.ok_or(PageError::NotFound)
}

async fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    view: &SourceView,
    typed: Option<&SourceInput>,
    faults: FormFaults,
) -> Result<SourcePage, PageError> {
    let name = view.source.name.as_str();
    let kind = view.source.kind();
    Ok(SourcePage {
        shell: Shell::admin(req, ctx, admin, view.source.title.clone(), "sources").await?,
        base_url: ctx.config.base_url(),
        line: SourceLine::new(view),
        callback: (kind == SourceKind::Oidc).then(|| format!("{}/login/oidc/{name}/callback", ctx.config.base_url())),
        audit: href(paths::ADMIN_AUDIT, [("q", name), ("event", "source")]),
        form: SourceForm::stored(view, typed),
        is_secret_lost: view.is_secret_lost,
        events: EventsView::new(view),
        faults,
        asks_for_account: kind == SourceKind::Ldap,
        tested_account: String::new(),
        test: None,
    })
}

/// `POST /admin/sources/{name}`: saves, enables, disables or deletes, depending on `act`.
async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, input): ConfirmedVisitor<Admin, Form<SourceInput>>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let name = name.into_inner();
    answer_once(&req, &ctx, &admin, change_source(&req, &ctx, &admin, &name, input.0)).await
}

async fn change_source(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    name: &str,
    input: SourceInput,
) -> Result<HttpResponse, PageError> {
    let view = find(ctx, name).await?;
    if input.act == "delete" {
        return delete(req, ctx, admin, &view, &input).await;
    }
    let change = input.change(view.source.kind(), Some(&view.source.definition.texts()));
    match sources::set(ctx, &admin.0.initiator, name, change).await? {
        SourceOutcome::Done => {
            let message = match input.act.as_str() {
                "enable" => "The source is enabled: people can sign in through it.",
                "disable" => "The source is disabled: no one can sign in through it. Sessions continue.",
                _ => "Saved. It applies to the next sign-in.",
            };
            let live = live_sessions(ctx, &view, name).await?;
            Ok(redirect(
                req,
                &page_address(name),
                &Flash::ok(format!("{message}{live}")),
            ))
        }
        SourceOutcome::Faulty(faults) => {
            let page = show(req, ctx, admin, &view, Some(&input), named(faults)).await?;
            render_page(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        SourceOutcome::InFile => Ok(redirect(req, &page_address(name), &in_file())),
        SourceOutcome::Unknown => Err(PageError::NotFound),
    }
}

/// Returns a sentence about the live sessions that outlive a change of who may sign in; empty:
/// there are none, or it did not change. `before`: the source before the change.
async fn live_sessions(ctx: &Ctx, before: &SourceView, name: &str) -> Result<String, PageError> {
    let after = find(ctx, name).await?;
    let rules = |view: &SourceView| (view.source.enabled, view.source.definition.mapping.clone());
    if !before.source.enabled || rules(before) == rules(&after) {
        return Ok(String::new());
    }
    let live = count_source_sessions(ctx, name).await?;
    Ok(match live.sessions {
        0 => String::new(),
        sessions => format!(
            " Live sessions of its accounts: {sessions}, of administrators: {}. They go on with the rights of their \
             accounts; \u{201c}End all sessions\u{201d} below ends them.",
            live.administrators
        ),
    })
}

fn in_file() -> Flash {
    Flash::error("The configuration file sets this source. Change it there and restart.")
}

async fn delete(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    view: &SourceView,
    input: &SourceInput,
) -> Result<HttpResponse, PageError> {
    let name = view.source.name.as_str();
    let fault = if input.confirm_name.trim() == name {
        let describe = |deletion: &SourceDeletion| match deletion {
            SourceDeletion::Deleted { disabled } => {
                let flash = Flash::ok(format!("The source was deleted. Accounts disabled: {disabled}."));
                Some(FormAnswer::new(paths::ADMIN_SOURCES, flash))
            }
            SourceDeletion::InFile | SourceDeletion::Unknown | SourceDeletion::HasAccounts(_) => None,
        };
        let with_accounts = !input.with_accounts.is_empty();
        let delete = async |ctx: Ctx| sources::delete(&ctx, &admin.0.initiator, name, with_accounts).await;
        let deletion = match perform(req, ctx, describe, delete).await? {
            Performed::Answered(response) => return Ok(response),
            Performed::Refused(deletion) => deletion,
        };
        match deletion {
            SourceDeletion::InFile => return Ok(redirect(req, &page_address(name), &in_file())),
            SourceDeletion::Unknown | SourceDeletion::Deleted { .. } => return Err(PageError::NotFound),
            SourceDeletion::HasAccounts(number) => (
                "with_accounts",
                format!("Enabled accounts depend on this source ({number}). Choose to disable them, or keep it."),
            ),
        }
    } else {
        ("confirm_name", format!("Type {name} to delete this source."))
    };
    let page = show(req, ctx, admin, view, None, vec![(fault.0.to_owned(), fault.1)]).await?;
    render_page(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
