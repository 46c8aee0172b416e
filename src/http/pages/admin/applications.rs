//! `/admin/applications`: what is protected, where it answers and who may enter; and one application in full.

use super::list::{href, segment};
use super::part::Choice;
use crate::domain::account::Role;
use crate::domain::application::Typed;
use crate::domain::policy::{Scope, Source, Value};
use crate::flows::Ctx;
use crate::flows::applications::{self, ApplicationView, Verdict};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Form;
use crate::http::pages::{Shell, page};
use crate::http::step_up::Confirmed;
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use submitted::Fields;
use view::{ApplicationForm, ApplicationLine, ApplicationPage, ApplicationsPage};

mod rehearsal;
mod seen;
pub mod submitted;
pub mod view;

/// Sessions counted at most.
const SESSIONS: i64 = 10_000;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_APPLICATIONS, Who::Administrator, list),
        Route::post(paths::ADMIN_APPLICATIONS, Who::Administrator, create).step_up(),
        Route::get(paths::ADMIN_APPLICATION, Who::Administrator, detail),
        Route::post(paths::ADMIN_APPLICATION, Who::Administrator, submit).step_up(),
        Route::get(paths::ADMIN_APPLICATION_TEST, Who::Administrator, rehearsal::show),
    ]
}

type Faults = Vec<(String, String)>;

async fn list(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let shown = shown_list(&req, &ctx, &admin, Fields::default(), Vec::new()).await?;
    page(StatusCode::OK, &shown)
}

async fn shown_list(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: Fields,
    faults: Faults,
) -> Result<ApplicationsPage, PageError> {
    let all = applications::list(ctx).await?;
    Ok(ApplicationsPage {
        shell: Shell::admin(req, ctx, admin, "Applications", "applications").await?,
        rows: all.iter().map(line).collect(),
        strangers: seen::strangers(&applications::strangers(ctx).await?),
        // The first one needs no list to look at before it.
        open: all.is_empty() || !faults.is_empty(),
        name: fields.name.clone(),
        form: form(fields),
        faults,
    })
}

fn line(view: &ApplicationView) -> ApplicationLine {
    let application = &view.application;
    ApplicationLine {
        name: application.name.clone(),
        href: address(&application.name),
        hosts: application.hosts.iter().map(ToString::to_string).collect(),
        prefixes: application.prefixes.clone(),
        entrants: application.entrants(),
        public: application.public.len(),
        activity: activity_words(&view.activity.0.to_string()),
        overrides: i64::try_from(view.overrides).unwrap_or(i64::MAX),
        policy: policy_address(&application.name),
        seen: seen::line(&view.seen),
    }
}

/// Where an application's own page is.
fn address(name: &str) -> String {
    format!("{}/{}", paths::ADMIN_APPLICATIONS, segment(name))
}

fn policy_address(name: &str) -> String {
    let scope = Scope::Application(name.to_owned()).to_string();
    href(paths::ADMIN_POLICY, [("scope", scope.as_str())])
}

/// What counts as activity, as `activity.counts` has it, in the words of the list and of the form.
const ACTIVITY: [(&str, &str); 4] = [
    ("", "As for everyone"),
    ("every_request", "Every request"),
    ("navigation", "Page navigations only"),
    ("interaction", "Real input only, told by the page guard"),
];

fn activity_words(code: &str) -> String {
    let known = ACTIVITY.iter().find(|(value, _)| *value == code);
    known.map_or(code, |(_, words)| words).to_owned()
}

fn form(fields: Fields) -> ApplicationForm {
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
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    match applications::create(&ctx, &admin.0.acting, &fields.name, fields.change()).await? {
        Verdict::Done => {
            let name = fields.name.trim();
            let said = Flash::ok(format!("{name} is protected: let the proxy ask for it now."));
            Ok(redirect(&req, &address(name), &said))
        }
        Verdict::Faulty(faults) => {
            let shown = shown_list(&req, &ctx, &admin, fields, named(faults)).await?;
            page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Verdict::Unknown => Err(PageError::NotFound),
    }
}

fn named(faults: Vec<(&'static str, String)>) -> Faults {
    let owned = |(field, why): (&str, String)| (field.to_owned(), why);
    faults.into_iter().map(owned).collect()
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    page(
        StatusCode::OK,
        &shown(&req, &ctx, &admin, &name, None, Vec::new()).await?,
    )
}

/// One application's page; `typed` is what was just sent.
async fn shown(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    name: &str,
    typed: Option<Fields>,
    faults: Faults,
) -> Result<ApplicationPage, PageError> {
    let view = applications::find(ctx, name).await?.ok_or(PageError::NotFound)?;
    let (sessions, exact) = applications::live_sessions(ctx, name, SESSIONS).await?;
    Ok(ApplicationPage {
        shell: Shell::admin(req, ctx, admin, name, "applications").await?,
        line: line(&view),
        sessions,
        more: !exact,
        sessions_href: href(paths::ADMIN_SESSIONS, [("app", name)]),
        audit: href(paths::ADMIN_AUDIT, [("q", name), ("event", "application.changed")]),
        form: form(typed.unwrap_or_else(|| stored(&view))),
        faults,
    })
}

/// The form's fields as they are stored; of the policy only what its own scope sets.
fn stored(view: &ApplicationView) -> Fields {
    let typed = Typed::of(&view.application);
    let own = |(value, source): &(Value, Source)| match source {
        Source::SetIn(Scope::Application(_)) => Some(value.clone()),
        Source::Default | Source::SetIn(_) | Source::Mode(_) | Source::Pinned => None,
    };
    Fields {
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
        ..Fields::default()
    }
}

/// `POST /admin/applications/{name}`: saved or deleted, as `act` says.
async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (name, fields) = (name.into_inner(), fields.0);
    let (acting, deletes) = (&admin.0.acting, fields.act == "delete");
    if deletes && fields.confirm_name.trim() != name {
        let faults = vec![(
            "confirm_name".to_owned(),
            format!("Type {name} to remove this application."),
        )];
        let shown = shown(&req, &ctx, &admin, &name, None, faults).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &shown);
    }
    let verdict = if deletes {
        applications::delete(&ctx, acting, &name).await?
    } else {
        applications::set(&ctx, acting, &name, fields.change()).await?
    };
    match verdict {
        Verdict::Done if deletes => {
            let said = Flash::ok(format!("{name} was removed: forwarded requests for it are refused."));
            Ok(redirect(&req, paths::ADMIN_APPLICATIONS, &said))
        }
        Verdict::Done => Ok(redirect(
            &req,
            &address(&name),
            &Flash::ok("Saved: it holds at the next request."),
        )),
        Verdict::Faulty(faults) => {
            let shown = shown(&req, &ctx, &admin, &name, Some(fields), named(faults)).await?;
            page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Verdict::Unknown => Err(PageError::NotFound),
    }
}
