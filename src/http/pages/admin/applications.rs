//! `/admin/applications`: the protected applications with their hosts and access; and one
//! application in full.

use super::{list::href, part::Choice};
use crate::{
    domain::{
        account::Role,
        application::ApplicationFields,
        policy::{Scope, Source, Value},
    },
    flows::{
        Ctx,
        applications::{self, ApplicationOutcome, ApplicationView},
    },
    http::{
        error::PageError,
        flash::Flash,
        forms::{Form, Query},
        pages::admin::{
            form_answer::{FormAnswer, answer_once, keep},
            list::FormFaults,
        },
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::ConfirmedVisitor,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use addresses::{page_address, policy_address};
use input::ApplicationInput;
use serde::Deserialize;
use view::{ApplicationForm, ApplicationLine, ApplicationPage, ApplicationsPage};

mod access_test;
mod addresses;
mod input;
mod proxy_requests;
mod snippets;
mod view;

/// Maximum number of sessions that are counted.
const SESSIONS: i64 = 10_000;

/// Returns the routes of the applications.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_APPLICATIONS, Audience::Administrator, list),
        Route::post(paths::ADMIN_APPLICATIONS, Audience::Administrator, create).step_up(),
        Route::get(paths::ADMIN_APPLICATION, Audience::Administrator, detail),
        Route::post(paths::ADMIN_APPLICATION, Audience::Administrator, submit).step_up(),
        Route::get(
            paths::ADMIN_APPLICATION_TEST,
            Audience::Administrator,
            access_test::show,
        ),
    ]
}

/// Whether the form for a new application is open.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApplicationListQuery {
    new: String,
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<ApplicationListQuery>,
) -> Result<HttpResponse, PageError> {
    let mut shown = shown_list(&req, &ctx, &admin, ApplicationInput::default(), Vec::new()).await?;
    shown.open |= !query.new.is_empty();
    render_page(StatusCode::OK, &shown)
}

async fn shown_list(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: ApplicationInput,
    faults: FormFaults,
) -> Result<ApplicationsPage, PageError> {
    let all = applications::list(ctx).await?;
    Ok(ApplicationsPage {
        shell: Shell::admin(req, ctx, admin, "Applications", "applications").await?,
        rows: all.iter().map(application_line).collect(),
        unmatched: proxy_requests::unmatched_lines(&applications::strangers(ctx).await?),
        // Without any application the form is open immediately.
        open: all.is_empty() || !faults.is_empty(),
        name: fields.name.clone(),
        form: form(fields),
        faults,
    })
}

fn application_line(view: &ApplicationView) -> ApplicationLine {
    let application = &view.application;
    ApplicationLine {
        name: application.name.clone(),
        href: page_address(&application.name),
        hosts: application.hosts.iter().map(ToString::to_string).collect(),
        prefixes: application.prefixes.clone(),
        entrants: application.entrants(),
        public: application.public.len(),
        activity: activity_words(&view.activity.0.to_string()),
        overrides: i64::try_from(view.overrides).unwrap_or(i64::MAX),
        policy: policy_address(&application.name),
        seen: proxy_requests::last_request_line(&view.seen),
    }
}

/// Values of `activity.counts` with their labels in the list and the form.
const ACTIVITY: [(&str, &str); 4] = [
    ("", "Same as everyone"),
    ("every_request", "Every request"),
    ("navigation", "Page navigations only"),
    ("interaction", "Real input only, reported by the page guard"),
];

fn activity_words(code: &str) -> String {
    let known = ACTIVITY.iter().find(|(value, _)| *value == code);
    known.map_or(code, |(_, words)| words).to_owned()
}

fn form(fields: ApplicationInput) -> ApplicationForm {
    ApplicationForm {
        activity: Choice::list(ACTIVITY, &fields.activity),
        member: fields.roles.iter().any(|role| role == Role::Member.as_str()),
        administrator: fields.roles.iter().any(|role| role == Role::Administrator.as_str()),
        hosts: fields.hosts,
        prefixes: fields.prefixes,
        groups: fields.groups,
        public: fields.public,
        ignored: fields.ignored,
    }
}

/// `POST /admin/applications`
async fn create(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<ApplicationInput>>,
) -> Result<HttpResponse, PageError> {
    answer_once(&req, &ctx, &admin, create_application(&req, &ctx, &admin, fields.0)).await
}

async fn create_application(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: ApplicationInput,
) -> Result<HttpResponse, PageError> {
    let name = fields.name.trim().to_owned();
    let flash = Flash::ok(format!("{name} is registered; now configure the proxy."));
    let answer = FormAnswer::new(page_address(&name), flash);
    match applications::create(
        &keep(req, ctx, &answer),
        &admin.0.initiator,
        &fields.name,
        fields.change(),
    )
    .await?
    {
        ApplicationOutcome::Done => Ok(answer.respond(req)),
        ApplicationOutcome::Faulty(faults) => {
            let shown = shown_list(req, ctx, admin, fields, named(faults)).await?;
            render_page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        ApplicationOutcome::Unknown => Err(PageError::NotFound),
    }
}

fn named(faults: Vec<(&'static str, String)>) -> FormFaults {
    let owned = |(field, why): (&str, String)| (field.to_owned(), why);
    faults.into_iter().map(owned).collect()
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    render_page(
        StatusCode::OK,
        &shown(&req, &ctx, &admin, &name, None, Vec::new()).await?,
    )
}

/// Renders one application's page; `typed` is the input that was just sent.
async fn shown(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    name: &str,
    typed: Option<ApplicationInput>,
    faults: FormFaults,
) -> Result<ApplicationPage, PageError> {
    let view = applications::find(ctx, name).await?.ok_or(PageError::NotFound)?;
    let (sessions, exact) = applications::live_sessions(ctx, name, SESSIONS).await?;
    Ok(ApplicationPage {
        shell: Shell::admin(req, ctx, admin, name, "applications").await?,
        line: application_line(&view),
        snippets: snippets::snippets(&ctx.config, &view.application),
        sessions,
        more: !exact,
        sessions_href: href(paths::ADMIN_SESSIONS, [("app", name)]),
        audit: href(paths::ADMIN_AUDIT, [("q", name), ("event", "application.changed")]),
        form: form(typed.unwrap_or_else(|| stored(&view))),
        faults,
    })
}

/// Returns the form's fields as stored; of the policy only what its own scope sets.
fn stored(view: &ApplicationView) -> ApplicationInput {
    let typed = ApplicationFields::from_application(&view.application);
    let own = |(value, source): &(Value, Source)| match source {
        Source::SetIn(Scope::Application(_)) => Some(value.clone()),
        Source::Default | Source::SetIn(_) | Source::Mode(_) | Source::Pinned => None,
    };
    ApplicationInput {
        hosts: typed.hosts.join("\n"),
        prefixes: typed.prefixes.join("\n"),
        roles: typed.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        groups: typed.groups.join(", "),
        public: typed.public.join("\n"),
        activity: own(&view.activity).map(|value| value.to_string()).unwrap_or_default(),
        ignored: match own(&view.ignored) {
            Some(Value::List(globs)) => globs.join("\n"),
            Some(_) | None => String::new(),
        },
        ..ApplicationInput::default()
    }
}

/// `POST /admin/applications/{name}`: saves or deletes, depending on `act`.
async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<ApplicationInput>>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let name = name.into_inner();
    answer_once(
        &req,
        &ctx,
        &admin,
        change_application(&req, &ctx, &admin, &name, fields.0),
    )
    .await
}

async fn change_application(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    name: &str,
    fields: ApplicationInput,
) -> Result<HttpResponse, PageError> {
    let (initiator, deletes) = (&admin.0.initiator, fields.act == "delete");
    if deletes && fields.confirm_name.trim() != name {
        let faults = vec![(
            "confirm_name".to_owned(),
            format!("Type {name} to remove this application."),
        )];
        let shown = shown(req, ctx, admin, name, None, faults).await?;
        return render_page(StatusCode::UNPROCESSABLE_ENTITY, &shown);
    }
    let answer = if deletes {
        let flash = format!("{name} was removed. Forwarded requests for it are now refused.");
        FormAnswer::new(paths::ADMIN_APPLICATIONS, Flash::ok(flash))
    } else {
        FormAnswer::new(page_address(name), Flash::ok("Saved. It applies to the next request."))
    };
    let keeping = keep(req, ctx, &answer);
    let verdict = if deletes {
        applications::delete(&keeping, initiator, name).await?
    } else {
        applications::set(&keeping, initiator, name, fields.change()).await?
    };
    match verdict {
        ApplicationOutcome::Done => Ok(answer.respond(req)),
        ApplicationOutcome::Faulty(faults) => {
            let shown = shown(req, ctx, admin, name, Some(fields), named(faults)).await?;
            render_page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        ApplicationOutcome::Unknown => Err(PageError::NotFound),
    }
}
