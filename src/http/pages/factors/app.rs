//! Setting up an authenticator app: the page that shows its secret once, and the code that confirms
//! it.

use super::{forget_way, next_url, recovery, refuse, return_url};
use crate::{
    domain::{
        secret::{self, Secret},
        session::SessionId,
    },
    flows::{
        Ctx,
        factors::{
            AppConfirmation, AppEnrolment, FactorOwner, RemovalOutcome, confirm_app, remove_app, repeat_confirmation,
            start_app,
        },
    },
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{Form, ShortForm},
        negotiation::wants_html,
        paths,
        problem::Problem,
        request_body::{FORM_TYPE, MAX_SHORT_BYTES, read_body, replay_body},
        respond::render_page,
        session_proof::{factor_owner, proving_session, renew},
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::{EnrollingVisitor, FactorVisitor, Member},
    },
    live::long_actions::{LongAction, StartedAction},
};
use actix_web::{FromRequest, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const TITLE: &str = "Set up an authenticator app";

#[derive(Template)]
#[template(path = "pages/factors/app.html")]
struct AppPage<'a> {
    shell: Shell,
    faults: Vec<(String, String)>,
    /// The QR code and the secret; shown once.
    setup: Option<SetupView<'a>>,
    /// The account name that the app lists.
    name: &'a str,
    /// Identifies the form with the code, so that a second click changes nothing.
    act: String,
    back: &'static str,
}

/// The secret of a new authenticator app, in two forms.
struct SetupView<'a> {
    /// The QR code as SVG.
    qr: &'a str,
    /// The secret in base32.
    secret: &'a str,
}

/// The first code of the app.
#[derive(Deserialize)]
pub struct AppCodeForm {
    #[serde(default)]
    code: String,
    /// Which form it is.
    #[serde(default)]
    act: String,
}

impl CriticalForm for AppCodeForm {}

impl AppCodeForm {
    /// Returns what identifies a submission and its repetition: the same form, sent by the same
    /// session with the same code. Nobody else gets the result, which holds recovery codes and the
    /// session's new id. `None`: the form has no id, so it is never repeated.
    fn submission(&self, session: SessionId) -> Option<Uuid> {
        let form = Uuid::parse_str(self.act.trim()).ok()?;
        let code: String = self.code.chars().filter(|typed| !typed.is_whitespace()).collect();
        let digest = secret::digest(&format!("{form} {} {code}", session.0));
        Uuid::parse_str(digest.get(..32)?).ok()
    }
}

/// `POST /factors/totp/start`
pub async fn start(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(enrolling, ()): ConfirmedVisitor<EnrollingVisitor, ()>,
) -> Result<HttpResponse, PageError> {
    let owner = factor_owner(&req, &enrolling.0);
    match start_app(&ctx, &enrolling.0.initiator, &owner).await? {
        Ok(setup) => show(&req, &ctx, &enrolling, StatusCode::OK, Some(&setup), Vec::new()),
        Err(refusal) => Ok(refuse(&req, &ctx, refusal, return_url(&enrolling))),
    }
}

/// The result of turning an app on, for a second submission of the same form.
struct EnabledApp {
    recovery_codes: Option<Vec<Secret>>,
    token: Option<Secret>,
}

/// How long a second submission gets the result of the first.
const REPEATABLE: Duration = Duration::from_secs(30);
/// How long a second submission waits for the first.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST /factors/totp`. A second click sends the form again under an id that the first one is
/// replacing. Both get the same page, because the recovery codes are on it and nowhere else.
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    visitor: FactorVisitor,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let body = read_body(&req, &mut payload.into_inner(), FORM_TYPE, MAX_SHORT_BYTES).await?;
    let submitted = ShortForm::<AppCodeForm>::parse_body(&body)?.0;
    let (owner, key) = (visitor.0.account, submitted.submission(visitor.0.session));
    let find_earlier = || key.and_then(|key| ctx.live.long_actions.find(owner, key, ctx.now()));
    let repeated = EnrollingVisitor(visitor.0.looked_up()?.clone());
    if let Some(earlier) = find_earlier() {
        return Ok(repeat(&req, &ctx, &repeated, &earlier).await?);
    }
    let confirmed = ConfirmedVisitor::<EnrollingVisitor, Form<AppCodeForm>>::from_request(&req, &mut replay_body(body));
    let ConfirmedVisitor(enrolling, Form(form)) = match confirmed.await {
        Ok(confirmed) => confirmed,
        Err(refusal) => match find_earlier() {
            Some(earlier) => return Ok(repeat(&req, &ctx, &repeated, &earlier).await?),
            None => return Err(refusal),
        },
    };
    let act = match key.map(|key| ctx.live.long_actions.begin(owner, key, TITLE, ctx.now())) {
        Some(StartedAction::Known(earlier)) => return Ok(repeat(&req, &ctx, &repeated, &earlier).await?),
        Some(StartedAction::New(act)) => Some(act),
        None => None,
    };
    // Runs to its end even if the browser drops this request for a second one.
    let confirmed = actix_web::rt::spawn(enable_app(
        ctx.clone().into_inner(),
        factor_owner(&req, &enrolling.0),
        enrolling.clone(),
        form,
        act,
    ));
    let outcome = confirmed
        .await
        .map_err(|error| PageError::Internal(error.to_string()))??;
    Ok(answer_confirmation(&req, &ctx, &enrolling, outcome)?)
}

/// Turns the app on, and keeps the result for a second submission.
async fn enable_app(
    ctx: Arc<Ctx>,
    owner: FactorOwner,
    enrolling: EnrollingVisitor,
    form: AppCodeForm,
    act: Option<Arc<LongAction>>,
) -> Result<AppConfirmation, PageError> {
    let account = owner.session.account;
    let outcome = confirm_app(&ctx, &enrolling.0.initiator, owner, Secret::new(form.code)).await;
    let Some(act) = act else { return Ok(outcome?) };
    let key = act.key;
    match &outcome {
        Ok(AppConfirmation::ConfirmedVisitor { recovery_codes, token }) => {
            act.finish(Arc::new(EnabledApp {
                recovery_codes: recovery_codes.clone(),
                token: token.clone(),
            }));
            actix_web::rt::spawn(async move {
                actix_web::rt::time::sleep(REPEATABLE).await;
                ctx.live.long_actions.forget(account, key);
            });
        }
        Ok(AppConfirmation::Wrong | AppConfirmation::NoneStarted | AppConfirmation::Refused(_)) | Err(_) => {
            ctx.live.long_actions.forget(account, key);
            // A request that waits for the result need not wait any longer.
            act.finish(Arc::new(()));
        }
    }
    Ok(outcome?)
}

/// Answers a second submission with the result of the first.
async fn repeat(
    req: &HttpRequest,
    ctx: &Ctx,
    enrolling: &EnrollingVisitor,
    earlier: &LongAction,
) -> Result<HttpResponse, PageError> {
    let result = earlier.wait(PATIENCE).await;
    let enabled = result.as_ref().and_then(|result| result.downcast_ref::<EnabledApp>());
    let outcome = match enabled {
        Some(EnabledApp { recovery_codes, token }) => {
            let session = proving_session(&enrolling.0);
            repeat_confirmation(ctx, &session, recovery_codes.clone(), token.clone()).await?
        }
        None => AppConfirmation::Wrong,
    };
    answer_confirmation(req, ctx, enrolling, outcome)
}

fn answer_confirmation(
    req: &HttpRequest,
    ctx: &Ctx,
    enrolling: &EnrollingVisitor,
    outcome: AppConfirmation,
) -> Result<HttpResponse, PageError> {
    let (recovery_codes, token) = match outcome {
        AppConfirmation::ConfirmedVisitor { recovery_codes, token } => (recovery_codes, token),
        AppConfirmation::Wrong => return wrong(req, ctx, enrolling),
        AppConfirmation::NoneStarted => {
            let words = "The setup took too long. Start again.";
            return Ok(if wants_html(req) {
                flash::redirect(req, return_url(enrolling), &Flash::error(words))
            } else {
                Problem::new(StatusCode::CONFLICT, "none_started", words).into_response()
            });
        }
        AppConfirmation::Refused(refusal) => return Ok(refuse(req, ctx, refusal, return_url(enrolling))),
    };
    renew(req, token.as_ref())?;
    let onward = next_url(req, ctx, enrolling);
    let mut response = match recovery_codes {
        Some(codes) => recovery::show(req, ctx, enrolling, "Your authenticator app is on.", &codes, &onward)?,
        None => flash::redirect(req, &onward, &Flash::ok("Your authenticator app is on.")),
    };
    forget_way(req, response.headers_mut());
    Ok(response)
}

/// `POST /factors/totp/remove`
pub async fn remove(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    match remove_app(&ctx, &visitor.initiator, &proving_session(visitor)).await? {
        RemovalOutcome::Removed => {
            let words = Flash::ok("The authenticator app was removed.");
            Ok(flash::redirect(&req, paths::FACTORS, &words))
        }
        RemovalOutcome::NotFound => Err(PageError::NotFound),
        RemovalOutcome::LastFactor => Ok(last_factor(&req)),
    }
}

/// Says that the last factor stays while one is required.
pub(super) fn last_factor(req: &HttpRequest) -> HttpResponse {
    let words = "Your account requires a second factor, and this is the last one. Add another one first.";
    if wants_html(req) {
        return flash::redirect(req, paths::FACTORS, &Flash::error(words));
    }
    Problem::new(StatusCode::CONFLICT, "last_factor", words).into_response()
}

/// Shows the form again, without the secret, which is shown only once.
fn wrong(req: &HttpRequest, ctx: &Ctx, enrolling: &EnrollingVisitor) -> Result<HttpResponse, PageError> {
    let words = "That is not the code that the app shows now. Check the clock of your phone.";
    if wants_html(req) {
        let faults = vec![("code".to_owned(), words.to_owned())];
        return show(req, ctx, enrolling, StatusCode::UNPROCESSABLE_ENTITY, None, faults);
    }
    Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_factor", words).into_response())
}

fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    enrolling: &EnrollingVisitor,
    status: StatusCode,
    setup: Option<&AppEnrolment>,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let page = AppPage {
        shell: Shell::enrolling(req, ctx, enrolling, TITLE),
        faults,
        setup: setup.map(|setup| SetupView {
            qr: setup.qr.expose(),
            secret: setup.secret.expose(),
        }),
        name: &enrolling.0.name,
        act: ctx.new_id(ctx.now()).to_string(),
        back: return_url(enrolling),
    };
    render_page(status, &page)
}
