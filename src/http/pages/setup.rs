//! `/setup`: the first administrator, once, with the token that the log printed.

use super::{Shell, filters, page, strength as meter};
use crate::{
    domain::{policy::posture::baselines, secret::Secret},
    flows::{
        Ctx,
        setup::{self, NewAdministrator, SetUp},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        paths,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

/// Preselected on the page (security.md): OWASP ASVS level 2.
const PRESELECTED: &str = "asvs-l2";

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    shell: Shell,
    token: String,
    username: String,
    email: String,
    baselines: Vec<BaselineChoice>,
    /// Field and sentence.
    faults: Vec<(String, String)>,
    min_length: usize,
}

struct BaselineChoice {
    id: String,
    title: String,
    summary: String,
    source: String,
    /// Characters that a password has at least, once this baseline holds.
    min_length: usize,
    selected: bool,
}

#[derive(Deserialize)]
pub struct SetupQuery {
    #[serde(default)]
    token: String,
}

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

pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Query(query): Query<SetupQuery>,
) -> Result<HttpResponse, PageError> {
    if !setup::is_open(&ctx, &query.token).await? {
        return Err(PageError::NotFound);
    }
    show(
        &req,
        &ctx,
        StatusCode::OK,
        &SetupForm {
            token: query.token,
            baseline: PRESELECTED.to_owned(),
            ..SetupForm::empty()
        },
        Vec::new(),
    )
}

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
        SetUp::Done { name, .. } => {
            let words = format!("Nightlatch is set up. Sign in as {name}.");
            Ok(flash::redirect(&req, paths::LOGIN, &Flash::ok(words)))
        }
        SetUp::Faulty(faults) => {
            let faults = faults
                .into_iter()
                .map(|(field, words)| (field.to_owned(), words))
                .collect();
            show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, &form, faults)
        }
        SetUp::Refused => Err(PageError::NotFound),
    }
}

#[derive(Deserialize)]
pub struct Typing {
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

/// `POST /setup/strength`: how what was typed so far stands, for whom the link works. Keeps nothing.
pub async fn strength(ctx: web::Data<Ctx>, Form(typing): ShortForm<Typing>) -> Result<HttpResponse, PageError> {
    if !setup::is_open(&ctx, &typing.token).await? {
        return Err(PageError::NotFound);
    }
    let policy = setup::password_rules(&ctx, &typing.baseline);
    meter::answer(typing.new_password, vec![typing.username, typing.email], policy).await
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
    page(
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
    )
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
