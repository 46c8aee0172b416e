//! `/factors`: a person's own second factors. Each change asks for a step-up. The enrolment routes
//! also answer while setting one up is required.

pub mod app;
pub mod link;
pub mod passkeys;
pub mod recovery;
pub mod removal;

use crate::{
    domain::{account::Role, factor::FactorRequirement, time::Timestamp},
    flows::{
        Ctx, accounts,
        factors::{EnrolledView, EnrolmentRefusal, find_enrolment_refusals, list_factors, untrust_browser},
    },
    http::{
        destination::{destination_address, return_to},
        enrolment_link,
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::Query,
        negotiation::wants_html,
        onward, paths,
        problem::Problem,
        respond::{redirect_to, render_page},
        session_proof::{factor_owner, passkey_place},
        shell::Shell,
        step_up::ConfirmedVisitor,
        visitor::{EnrollingVisitor, Member, Visitor},
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderMap},
    web,
};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "pages/factors.html")]
struct FactorsPage {
    shell: Shell,
    faults: Vec<(String, String)>,
    /// Whether it is the last step of setup, which may be skipped.
    is_setup: bool,
    /// What the policy requires, as a sentence.
    requirement: Option<String>,
    choices: EnrolmentChoices,
    barriers: EnrolmentBarriers,
    enrolled: EnrolledView,
    /// The domain for which passkeys are made.
    domain: String,
    password_changed: Timestamp,
    /// The title of the source that keeps the password; `None`: it is kept here.
    keeper: Option<String>,
}

/// What keeps the visitor from adding factors, as sentences; `None`: nothing.
struct EnrolmentBarriers {
    /// Any factor.
    all: Option<String>,
    /// A passkey, if they can be used here.
    passkey: Option<String>,
    /// An authenticator app, if the policy allows them.
    app: Option<String>,
}

/// The kinds of factors that can be set up now.
pub struct EnrolmentChoices {
    /// Passkeys.
    pub passkeys: PasskeyOffer,
    /// Authenticator apps.
    pub authenticator_app: bool,
}

/// Whether passkeys can be set up.
pub enum PasskeyOffer {
    /// For this domain.
    Offered(String),
    /// Not under the current address; the sentence says which name to use.
    Unusable(String),
    /// The policy switches them off.
    Off,
}

impl EnrolmentChoices {
    /// Returns what may be set up to meet a requirement.
    pub fn under(req: &HttpRequest, ctx: &Ctx, visitor: &Visitor, required: FactorRequirement) -> Self {
        let policy = &visitor.policy.factors;
        let passkeys = match (policy.passkeys, passkey_place(req, ctx), ctx.config.passkey_domain()) {
            (false, _, _) => PasskeyOffer::Off,
            (true, Some(_), Some(domain)) => PasskeyOffer::Offered(domain),
            (true, _, _) => PasskeyOffer::Unusable(name_to_use(ctx)),
        };
        Self {
            passkeys,
            authenticator_app: policy.authenticator_app && required != FactorRequirement::Passkey,
        }
    }
}

/// Returns why passkeys do not work under this address, and which name helps.
pub(super) fn name_to_use(ctx: &Ctx) -> String {
    let origin = ctx.config.passkey_domain().and(ctx.config.passkey_origin());
    match origin {
        Some(origin) => format!(
            "Passkeys do not work under this address. Open Nightlatch under {}.",
            origin.as_str().trim_end_matches('/')
        ),
        None => "Passkeys do not work on an IP address. An administrator must give Nightlatch a name (public_url), \
                 such as https://login.example.org."
            .to_owned(),
    }
}

/// How the page is reached.
#[derive(Deserialize)]
pub struct FactorsQuery {
    #[serde(default)]
    setup: String,
}

/// `GET /factors`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    member: Member,
    Query(query): Query<FactorsQuery>,
) -> Result<HttpResponse, PageError> {
    render(&req, &ctx, &member, !query.setup.is_empty(), Vec::new()).await
}

/// Renders the page. `is_setup`: it was opened as the last step of setup.
async fn render(
    req: &HttpRequest,
    ctx: &Ctx,
    member: &Member,
    is_setup: bool,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let enrolled = list_factors(ctx, visitor.account).await?;
    let view = accounts::view(ctx, visitor.account).await?.ok_or(PageError::NotFound)?;
    let page = FactorsPage {
        shell: Shell::member(req, ctx, member, "Security", "security"),
        is_setup: is_setup && !enrolled.factors.has_any() && visitor.role == Role::Administrator,
        requirement: requirement(enrolled.required, visitor.admitted.enrol_by),
        choices: EnrolmentChoices::under(req, ctx, visitor, FactorRequirement::Off),
        barriers: find_barriers(req, ctx, visitor).await?,
        domain: ctx.config.passkey_domain().unwrap_or_default(),
        enrolled,
        keeper: ctx.source_title(&view.account),
        password_changed: view.account.password_changed_at,
        faults,
    };
    let status = match page.faults.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    render_page(status, &page)
}

/// Finds why forms that add a factor would be refused, so that the page says that instead.
async fn find_barriers(req: &HttpRequest, ctx: &Ctx, visitor: &Visitor) -> Result<EnrolmentBarriers, PageError> {
    let refusals = find_enrolment_refusals(ctx, &factor_owner(req, visitor)).await?;
    let all = refusals.of_every_kind().filter(|refusal| match refusal {
        EnrolmentRefusal::LinkNeeded | EnrolmentRefusal::ProveFirst => true,
        EnrolmentRefusal::Off
        | EnrolmentRefusal::NoPasskeysHere
        | EnrolmentRefusal::PasskeyRequired
        | EnrolmentRefusal::TooMany => false,
    });
    let describe = |refusal| describe_enrolment_refusal(ctx, refusal).2;
    Ok(EnrolmentBarriers {
        all: all.map(describe),
        passkey: refusals.passkey.map(describe),
        app: refusals.app.map(describe),
    })
}

/// Returns what is required, and by when.
fn requirement(required: FactorRequirement, enrol_by: Option<Timestamp>) -> Option<String> {
    let what = match required {
        FactorRequirement::Off => return None,
        FactorRequirement::Any => "a second factor",
        FactorRequirement::Passkey => "a passkey",
    };
    Some(match enrol_by {
        Some(by) => format!(
            "Your account requires {what}. Set one up by {}.",
            filters::format_utc(by)
        ),
        None => format!("Your account requires {what}."),
    })
}

/// `GET` of a page that is made for one setup: a reload and *Back* lead to where the setup starts.
pub async fn start_again(enrolling: EnrollingVisitor) -> HttpResponse {
    redirect_to(return_url(&enrolling))
}

/// `POST /factors/browsers/{id}/remove`
pub async fn untrust(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let removed = untrust_browser(&ctx, &visitor.initiator, visitor.account, parse_id(&id)?).await?;
    removed.then_some(()).ok_or(PageError::NotFound)?;
    let words = Flash::ok("That browser will be asked for your second factor again.");
    Ok(flash::redirect(&req, paths::FACTORS, &words))
}

fn parse_id(text: &str) -> Result<Uuid, PageError> {
    Uuid::parse_str(text).map_err(|_| PageError::NotFound)
}

/// Returns where to go after a factor was set up: to the page that was interrupted, or to the list.
fn next_url(req: &HttpRequest, ctx: &Ctx, enrolling: &EnrollingVisitor) -> String {
    if enrolling.0.admitted.duty.is_none() && !onward::has_target(req) {
        return paths::FACTORS.to_owned();
    }
    let (target, origin) = onward::read_target(req).map_or((None, None), |target| return_to(ctx, &target));
    destination_address(ctx, target.as_ref(), origin.as_ref())
}

/// Returns the page to go back to if nothing was set up.
fn return_url(enrolling: &EnrollingVisitor) -> &'static str {
    match enrolling.0.admitted.duty {
        Some(_) => paths::FACTOR,
        None => paths::FACTORS,
    }
}

/// Deletes what a completed enrolment no longer needs from the browser.
fn forget_way(req: &HttpRequest, headers: &mut HeaderMap) {
    if enrolment_link::is_carried(req) {
        enrolment_link::forget(req, headers);
    }
    if onward::has_target(req) {
        onward::forget(req, headers);
    }
}

/// Says why nothing can be set up: status, code and sentence.
fn describe_enrolment_refusal(ctx: &Ctx, refusal: EnrolmentRefusal) -> (StatusCode, &'static str, String) {
    match refusal {
        EnrolmentRefusal::Off => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "factor_off",
            "An administrator has turned this kind of second factor off.".to_owned(),
        ),
        EnrolmentRefusal::NoPasskeysHere => (StatusCode::UNPROCESSABLE_ENTITY, "no_passkeys_here", name_to_use(ctx)),
        EnrolmentRefusal::LinkNeeded => (
            StatusCode::FORBIDDEN,
            "enrolment_link",
            "Only a link from an administrator can add your first second factor. Ask an administrator to send you an \
             enrolment link, and open it in this browser."
                .to_owned(),
        ),
        EnrolmentRefusal::ProveFirst => (
            StatusCode::FORBIDDEN,
            "factor",
            "Use the second factor that you have before you add another one: sign out and sign in again.".to_owned(),
        ),
        EnrolmentRefusal::PasskeyRequired => (
            StatusCode::FORBIDDEN,
            "passkey_required",
            "Your account requires a passkey. Set one up, or use yours, before you add an authenticator app."
                .to_owned(),
        ),
        EnrolmentRefusal::TooMany => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "too_many_passkeys",
            "You have the most passkeys that an account can have. Remove one before you add another.".to_owned(),
        ),
    }
}

/// Answers a form that sets nothing up: people read why on the page that they came from.
fn refuse(req: &HttpRequest, ctx: &Ctx, refusal: EnrolmentRefusal, back: &str) -> HttpResponse {
    if !wants_html(req) {
        return refuse_script(ctx, refusal);
    }
    let (_, _, words) = describe_enrolment_refusal(ctx, refusal);
    flash::redirect(req, back, &Flash::error(words))
}

/// Answers a script that sets nothing up, always as a problem.
fn refuse_script(ctx: &Ctx, refusal: EnrolmentRefusal) -> HttpResponse {
    let (status, code, words) = describe_enrolment_refusal(ctx, refusal);
    Problem::new(status, code, &words).into_response()
}
