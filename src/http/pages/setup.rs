//! `/setup`: creating the first administrator, once, with the token from the log.

use super::strength as meter;
use crate::{
    domain::{policy::posture::baselines, secret::Secret},
    flows::{
        Ctx,
        setup::{self, NewAdministrator, SetupOutcome},
    },
    http::{
        error::{PageError, login_url},
        filters,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        link_token::{LinkCookie, omit_referrer},
        negotiation::wants_html,
        respond::render_page,
        shell::Shell,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

/// Preselected on the page: OWASP ASVS level 2.
const PRESELECTED: &str = "asvs-l2";
/// Where the new administrator sets up a second factor, after the first sign-in.
const NEXT_STEP: &str = "/factors?setup=1";

/// The cookie with the token while the page is open.
const COOKIE: LinkCookie = LinkCookie::new("setup");

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    shell: Shell,
    token: String,
    username: String,
    email: String,
    baselines: Vec<BaselineChoice>,
    /// Fields with their error messages.
    faults: Vec<(String, String)>,
    min_length: usize,
}

/// The page of a link that does not work.
#[derive(Template)]
#[template(path = "pages/setup_link.html")]
struct SetupLinkPage {
    shell: Shell,
    /// Whether setup is still open.
    is_awaited: bool,
}

struct BaselineChoice {
    id: String,
    title: String,
    summary: String,
    source: String,
    /// The minimum length of passwords under this baseline.
    min_length: usize,
    selected: bool,
}

/// The token of the setup link.
#[derive(Deserialize)]
pub struct SetupQuery {
    #[serde(default)]
    token: String,
}

/// The setup form.
#[derive(Deserialize)]
pub struct SetupForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    password_again: String,
    #[serde(default)]
    baseline: String,
}

/// `GET /setup`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Query(query): Query<SetupQuery>,
) -> Result<HttpResponse, PageError> {
    if !query.token.is_empty() {
        return Ok(COOKIE.exchange(&req, &query.token));
    }
    let token = COOKIE.read(&req).unwrap_or_default();
    if !setup::is_open(&ctx, &token).await? {
        return refuse_link(&req, &ctx).await;
    }
    show(
        &req,
        &ctx,
        StatusCode::OK,
        &SetupForm {
            token,
            baseline: PRESELECTED.to_owned(),
            ..SetupForm::empty()
        },
        Vec::new(),
    )
}

/// `POST /setup`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<SetupForm>,
) -> Result<HttpResponse, PageError> {
    let new = NewAdministrator {
        token: Secret::new(form.token.clone()),
        username: form.username.clone(),
        email: form.email.clone(),
        password: Secret::new(form.password.clone()),
        password_again: Secret::new(form.password_again.clone()),
        baseline: form.baseline.clone(),
    };
    match setup::complete(&ctx, new, anyone.client.origin()).await? {
        SetupOutcome::Done { name, .. } => {
            let words = format!("Nightlatch is set up. Sign in as {name}.");
            // The next step of setup is a second factor, which the administrator may skip.
            let next = login_url(Some(NEXT_STEP), None);
            let mut response = flash::redirect(&req, &next, &Flash::ok(words));
            COOKIE.forget(&req, &mut response);
            Ok(response)
        }
        SetupOutcome::Faulty(faults) => {
            let faults = faults
                .into_iter()
                .map(|(field, words)| (field.to_owned(), words))
                .collect();
            show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, &form, faults)
        }
        SetupOutcome::Refused => refuse_link(&req, &ctx).await,
    }
}

/// Explains that the link does not work, and what to do; the status is 404, as for every unknown
/// address.
async fn refuse_link(req: &HttpRequest, ctx: &Ctx) -> Result<HttpResponse, PageError> {
    if !wants_html(req) {
        return Err(PageError::NotFound);
    }
    let is_awaited = setup::is_awaited(ctx).await?;
    let title = if is_awaited {
        "This setup link does not work"
    } else {
        "Setup is complete"
    };
    let page = SetupLinkPage {
        shell: Shell::anonymous(req, ctx, title),
        is_awaited,
    };
    Ok(omit_referrer(render_page(StatusCode::NOT_FOUND, &page)?))
}

/// The current input, for the strength meter.
#[derive(Deserialize)]
pub struct SetupStrengthForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    baseline: String,
    #[serde(default)]
    new_password: String,
}

/// `POST /setup/strength`: judges the password while it is typed, if the link is valid. Stores
/// nothing.
pub async fn strength(
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(typing): ShortForm<SetupStrengthForm>,
) -> Result<HttpResponse, PageError> {
    if !setup::is_open(&ctx, &typing.token).await? {
        return Err(PageError::NotFound);
    }
    let policy = setup::password_rules(&ctx, &typing.baseline);
    let account_words = vec![typing.username, typing.email];
    meter::answer(&ctx, &anyone.client, typing.new_password, account_words, policy).await
}

fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    status: StatusCode,
    form: &SetupForm,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let baselines = baselines()
        .iter()
        .map(|baseline| BaselineChoice {
            id: baseline.id.to_owned(),
            title: baseline.title.to_owned(),
            summary: baseline.summary.to_owned(),
            source: baseline.source.to_owned(),
            min_length: setup::password_rules(ctx, baseline.id).min_length,
            selected: baseline.id == form.baseline,
        })
        .collect();
    Ok(omit_referrer(render_page(
        status,
        &SetupPage {
            shell: Shell::anonymous(req, ctx, "Set up"),
            token: form.token.clone(),
            username: form.username.clone(),
            email: form.email.clone(),
            baselines,
            faults,
            min_length: setup::password_rules(ctx, &form.baseline).min_length,
        },
    )?))
}

impl SetupForm {
    fn empty() -> Self {
        Self {
            token: String::new(),
            username: String::new(),
            email: String::new(),
            password: String::new(),
            password_again: String::new(),
            baseline: String::new(),
        }
    }
}
