//! Step-up: critical actions ask to confirm the identity (with a passkey, the password and a code,
//! or the password) if the last confirmation is older than the visitor's limit. A handler declares
//! this in its signature: `ConfirmedVisitor<Admin, Form<Fields>>`. `domain::session` decides how
//! long a confirmation is valid.

use super::{
    error::PageError,
    filters,
    flash::{self, Flash},
    form_key::note_form,
    forms::fill_placeholders,
    negotiation::wants_html,
    paths,
    problem::{Problem, set_retry_after},
    request_body::{FORM_TYPE, JSON_TYPE, read_body},
    respond::render_page,
    session_proof::{renew, step_up_code},
    shell::Shell,
    sign_in::describe_refusal,
    visitor::{Admin, EnrollingVisitor, Member, Visitor},
};
use crate::{
    domain::{
        login::SignInRefusal,
        origin::ReturnTo,
        secret::Secret,
        session::{ADMINISTRATORS_PROOF, OWNERS_PROOF},
        time::Span,
    },
    flows::{
        Ctx,
        providers::{ProviderButton, find_confirming_source},
        step_up::{StepUpMethod, StepUpOutcome, StepUpRequest, find_method, is_confirmed, prove},
    },
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    error::InternalError,
    http::{StatusCode, header},
    web,
};
use askama::Template;
use std::{future::Future, pin::Pin};
use url::{Url, form_urlencoded};

mod input;

pub use input::{CriticalForm, Download, StepUpInput};

/// Field names of our own page; no other field of our forms has this prefix.
const PASSWORD: &str = "step_up_password";
/// A code of the authenticator app, or a recovery code, if the account has a second factor.
const CODE: &str = "step_up_code";
/// The account for which the page was shown: input of one user is never used for another.
const ACCOUNT: &str = "step_up_account";
/// The action to be confirmed, for the page that asks.
const ACT: &str = "step_up_act";
/// The address of *Cancel*.
const BACK: &str = "step_up_back";
/// Maximum size that these fields may add to a form, in bytes.
const ROOM: usize = 8 * 1024;

/// A visitor whose identity was confirmed recently enough, with the input.
pub struct ConfirmedVisitor<W, F>(pub W, pub F);

/// Visitors who can be asked, each kind with its own limit.
pub trait StepUpVisitor: FromRequest<Error = PageError> + 'static {
    const LIMIT: Span;

    fn visitor(&self) -> &Visitor;

    fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> impl Future<Output = Result<Shell, PageError>>;
}

const TITLE: &str = "Confirm it’s you";

impl StepUpVisitor for Admin {
    const LIMIT: Span = ADMINISTRATORS_PROOF;

    fn visitor(&self) -> &Visitor {
        &self.0
    }

    async fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> Result<Shell, PageError> {
        Shell::admin(req, ctx, self, TITLE, "").await
    }
}

impl StepUpVisitor for Member {
    const LIMIT: Span = OWNERS_PROOF;

    fn visitor(&self) -> &Visitor {
        &self.0
    }

    async fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> Result<Shell, PageError> {
        Ok(Shell::member(req, ctx, self, TITLE, ""))
    }
}

impl StepUpVisitor for EnrollingVisitor {
    const LIMIT: Span = OWNERS_PROOF;

    fn visitor(&self) -> &Visitor {
        &self.0
    }

    async fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> Result<Shell, PageError> {
        Ok(Shell::enrolling(req, ctx, self, TITLE))
    }
}

impl<W: StepUpVisitor, F: StepUpInput> FromRequest for ConfirmedVisitor<W, F> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let who = W::from_request(req, payload);
        let is_form = req.content_type().eq_ignore_ascii_case(FORM_TYPE);
        let json = F::IS_JSON.then(|| read_body(req, payload, JSON_TYPE, F::MAX_BYTES));
        let is_form = is_form && !F::IS_JSON;
        let body = (F::IS_FORM || is_form).then(|| read_body(req, payload, FORM_TYPE, F::MAX_BYTES + ROOM));
        let req = req.clone();
        Box::pin(async move {
            let who = who.await?;
            let ctx = req
                .app_data::<web::Data<Ctx>>()
                .cloned()
                .ok_or(PageError::missing_middleware())?;
            if let Some(json) = json {
                if !is_confirmed_by(&who, &ctx)? {
                    confirm::<W, F>(&req, &ctx, &who, &SubmittedForm::default()).await?;
                }
                let form = F::parse_body(&json.await?)?;
                return Ok(Self(who, form));
            }
            let typed = match body {
                Some(body) => SubmittedForm::read(&body.await?),
                None => SubmittedForm::default(),
            };
            let form = F::parse_body(&typed.form())?;
            if typed.account.as_ref().is_some_and(|asked| *asked != own_id(&who)) {
                return Err(refuse_other_account(&req, &who));
            }
            let is_held = form.only_ends_sessions() && who.visitor().looked_up().is_err();
            if form.is_critical() && !is_held && !is_confirmed_by(&who, &ctx)? {
                confirm::<W, F>(&req, &ctx, &who, &typed).await?;
            }
            note_form(&req, who.visitor().account, &typed.fields);
            if F::IS_DOWNLOAD && typed.account.is_some() && wants_html(&req) {
                return Err(redirect_to_download(&req, &typed));
            }
            Ok(Self(who, form))
        })
    }
}

fn is_confirmed_by<W: StepUpVisitor>(who: &W, ctx: &Ctx) -> Result<bool, PageError> {
    let admitted = &who.visitor().looked_up()?.admitted;
    let (account, session) = (&admitted.account, &admitted.session.row);
    Ok(is_confirmed(ctx, account, session, &admitted.token_digest, W::LIMIT))
}

fn own_id(who: &impl StepUpVisitor) -> String {
    who.visitor().account.0.to_string()
}

/// The fields of a body, with our own separated from the form's.
#[derive(Default)]
struct SubmittedForm {
    fields: Vec<(String, String)>,
    password: Option<Secret>,
    code: Option<Secret>,
    account: Option<String>,
    back: Option<String>,
    /// The action to be confirmed, as the sent form describes it.
    act: Option<String>,
}

impl SubmittedForm {
    fn read(body: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                PASSWORD => typed.password = Some(Secret::new(value)),
                CODE => typed.code = Some(Secret::new(value)).filter(|typed| !typed.expose().is_empty()),
                ACCOUNT => typed.account = Some(value),
                BACK => typed.back = Some(value),
                ACT => typed.act = Some(value).filter(|act| !act.trim().is_empty()),
                _ => typed.fields.push((name.into_owned(), value)),
            }
        }
        typed.act = typed.act.map(|act| fill_placeholders(&act, &typed.fields));
        typed
    }

    /// Returns the form without our own fields.
    fn form(&self) -> Vec<u8> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.fields);
        form.finish().into_bytes()
    }
}

/// The fields that a page adds to its own form if the password is due, so that it asks only once.
pub struct ProofFields {
    pub account: String,
    /// The username, for password managers.
    pub name: String,
    pub back: String,
}

/// Returns the fields for the visitor's password if the last proof is too old for a sensitive
/// action. An account with a second factor is asked for it on a separate page.
pub fn proof_fields<W: StepUpVisitor>(who: &W, ctx: &Ctx, back: &str) -> Option<ProofFields> {
    let visitor = who.visitor();
    let account = &visitor.admitted.account;
    let is_password_enough = !account.factors.has_any() && find_confirming_source(ctx, account).is_none();
    (is_password_enough && is_confirmed_by(who, ctx).is_ok_and(|is_confirmed| !is_confirmed)).then(|| ProofFields {
        account: own_id(who),
        name: visitor.name.clone(),
        back: back.to_owned(),
    })
}

/// Checks the proof in the request. Without one, or if it is wrong, asks for it.
async fn confirm<W: StepUpVisitor, F: StepUpInput>(
    req: &HttpRequest,
    ctx: &Ctx,
    who: &W,
    typed: &SubmittedForm,
) -> Result<(), actix_web::Error> {
    let visitor = who.visitor();
    let Some(password) = typed.password.clone() else {
        return Err(request_confirmation::<W, F>(req, ctx, who, typed).await?);
    };
    let request = StepUpRequest {
        account: visitor.account,
        session: visitor.session,
        token_digest: visitor.admitted.token_digest.clone(),
        client: visitor.client.clone(),
        password,
        code: typed.code.clone(),
    };
    let (refusal, field) = match prove(ctx, &visitor.initiator, request).await.map_err(PageError::from)? {
        StepUpOutcome::Proved(token) => return Ok(renew(req, token.as_ref())?),
        StepUpOutcome::MoreNeeded(_) => return Err(request_confirmation::<W, F>(req, ctx, who, typed).await?),
        StepUpOutcome::Wrong => (SignInRefusal::Credentials, PASSWORD),
        StepUpOutcome::WrongCode => (SignInRefusal::Credentials, CODE),
        StepUpOutcome::Refused(refusal) => (refusal, PASSWORD),
    };
    let (status, retry_after, words) = match (&refusal, field) {
        (SignInRefusal::Credentials, CODE) => reject_input("That code is wrong or was already used."),
        (SignInRefusal::Credentials, _) => reject_input("The password is wrong."),
        (refusal, _) => describe_refusal(refusal, ctx.now()),
    };
    if wants_html(req) {
        let fault = Some((field, words));
        return Err(render_again::<W, F>(req, ctx, who, typed, status, retry_after, fault).await?);
    }
    let problem = Problem::new(status, refusal.code(), &words);
    Err(replace_response(problem.into_response(), retry_after))
}

fn reject_input(words: &str) -> (StatusCode, Option<i64>, String) {
    (StatusCode::UNPROCESSABLE_ENTITY, None, words.to_owned())
}

/// Asks for what is missing.
async fn request_confirmation<W: StepUpVisitor, F: StepUpInput>(
    req: &HttpRequest,
    ctx: &Ctx,
    who: &W,
    typed: &SubmittedForm,
) -> Result<actix_web::Error, PageError> {
    if wants_html(req) {
        render_again::<W, F>(req, ctx, who, typed, StatusCode::FORBIDDEN, None, None).await
    } else {
        Ok(PageError::StepUp(find_method(ctx, who.visitor().account).await?).into())
    }
}

/// What the page asks for.
struct ProofWay {
    passkey: bool,
    /// Whether nothing can be asked for, because the passkeys were made for another domain.
    dead_passkeys: bool,
    password: bool,
    /// The code that is asked for with the password.
    code: Option<super::prove_form::CodeField>,
    /// The identity provider that confirms instead.
    provider: Option<ProviderButton>,
}

impl ProofWay {
    fn new(ctx: &Ctx, visitor: &Visitor, method: StepUpMethod) -> Self {
        let provider = find_confirming_source(ctx, &visitor.admitted.account);
        Self {
            passkey: method.takes_passkey(),
            dead_passkeys: method == StepUpMethod::DeadPasskeys,
            password: method.takes_password(),
            code: step_up_code(&visitor.admitted, method),
            provider: provider.filter(|_| method == StepUpMethod::IdentityProvider),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/step_up.html")]
struct StepUpPage {
    shell: Shell,
    /// The action to be confirmed, if the form describes it.
    act: Option<String>,
    /// The address to which the form is sent: the requested one.
    action: String,
    back: String,
    account: String,
    /// The username, for password managers.
    name: String,
    minutes: i64,
    fields: Vec<(String, String)>,
    /// Fields that are requested again, with their labels.
    secrets: Vec<(String, String)>,
    faults: Vec<(String, String)>,
    way: ProofWay,
}

/// Renders the page with everything that was entered, except secrets.
async fn render_again<W: StepUpVisitor, F: StepUpInput>(
    req: &HttpRequest,
    ctx: &Ctx,
    who: &W,
    typed: &SubmittedForm,
    status: StatusCode,
    retry_after: Option<i64>,
    fault: Option<(&'static str, String)>,
) -> Result<actix_web::Error, PageError> {
    let label = |name: &str| {
        F::SECRETS
            .iter()
            .find(|(secret, _)| *secret == name)
            .map(|(_, label)| *label)
    };
    let fields = typed.fields.iter().filter(|(name, _)| label(name).is_none());
    let secrets = typed.fields.iter().filter(|(_, value)| !value.is_empty());
    let visitor = who.visitor();
    let view = StepUpPage {
        shell: who.shell(req, ctx).await?,
        act: typed.act.clone(),
        action: own_address(req),
        back: previous_page(req, typed),
        account: own_id(who),
        name: visitor.name.clone(),
        minutes: W::LIMIT.as_secs() / 60,
        fields: fields.cloned().collect(),
        secrets: secrets
            .filter_map(|(name, _)| Some((name.clone(), label(name)?.to_owned())))
            .collect(),
        faults: fault
            .map(|(field, words)| (field.to_owned(), words))
            .into_iter()
            .collect(),
        way: ProofWay::new(ctx, visitor, find_method(ctx, visitor.account).await?),
    };
    Ok(replace_response(render_page(status, &view)?, retry_after))
}

/// Returns a response in place of the handler's.
fn replace_response(mut response: HttpResponse, retry_after: Option<i64>) -> actix_web::Error {
    set_retry_after(&mut response, retry_after);
    InternalError::from_response("the password must be confirmed", response).into()
}

fn own_address(req: &HttpRequest) -> String {
    let target = req.uri().path_and_query();
    target.map_or(paths::HOME, |target| target.as_str()).to_owned()
}

/// Redirects to the page that requested the file, which fetches it.
fn redirect_to_download(req: &HttpRequest, typed: &SubmittedForm) -> actix_web::Error {
    let flash = Flash::ok("Confirmed.").with_download(own_address(req));
    replace_response(flash::redirect(req, &previous_page(req, typed), &flash), None)
}

/// Returns the page that the visitor came from: a page of ours, or home.
fn previous_page(req: &HttpRequest, typed: &SubmittedForm) -> String {
    let came_from = || {
        let referer = Url::parse(req.headers().get(header::REFERER)?.to_str().ok()?).ok()?;
        Some(match referer.query() {
            Some(query) => format!("{}?{query}", referer.path()),
            None => referer.path().to_owned(),
        })
    };
    let target = typed.back.clone().or_else(came_from).unwrap_or_default();
    ReturnTo::parse(&target, &[]).map_or_else(|| paths::HOME.to_owned(), |target| target.as_str().to_owned())
}

fn refuse_other_account(req: &HttpRequest, who: &impl StepUpVisitor) -> actix_web::Error {
    let name = &who.visitor().name;
    let words = format!("You are signed in as {name}, but someone else started this action. Nothing was changed.");
    let response = if wants_html(req) {
        flash::redirect(req, paths::HOME, &Flash::error(words))
    } else {
        Problem::new(StatusCode::CONFLICT, "somebody_else", &words).into_response()
    };
    replace_response(response, None)
}
