//! Step-up: acts that matter ask for the password again when its last proof is older than the visitor's limit. A handler says so by
//! its signature, as it says who may call it: `Confirmed<Admin, Form<Fields>>`. How long a proof counts is `domain`'s.

use super::{
    error::{PageError, problem_body, problem_response, wants_html},
    filters, flash,
    flash::Flash,
    forms::{self, FORM_TYPE, Form, MAX_FORM_BYTES},
    pages::{Shell, login, page},
    paths,
    visitor::{Admin, Member, Visitor},
};
use crate::{
    domain::{
        login::Refusal,
        origin::ReturnTo,
        secret::Secret,
        session::{ADMINISTRATORS_PROOF, OWNERS_PROOF, proof_holds},
        time::Span,
    },
    flows::{
        Ctx,
        step_up::{Proof, Proved, prove},
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
use serde::de::DeserializeOwned;
use std::{future::Future, pin::Pin};
use url::{Url, form_urlencoded};

/// Field names of our own page; no form of ours has others that begin so.
const PASSWORD: &str = "step_up_password";
/// The account that was asked: what one person typed is never carried out for another.
const ACCOUNT: &str = "step_up_account";
/// Where *Cancel* leads.
const BACK: &str = "step_up_back";
/// What those three may add to a form.
const ROOM: usize = 8 * 1024;

/// Somebody whose password was proved lately enough for what they sent.
pub struct Confirmed<W, F>(pub W, pub F);

/// A form whose act asks for the password again.
pub trait Critical: DeserializeOwned + 'static {
    /// Fields that are not sent back to a browser, and the label under which they are asked for again.
    const SECRETS: &[(&str, &str)] = &[];
    /// The largest that it may be, as it is sent.
    const MOST_BYTES: usize = MAX_FORM_BYTES;

    /// Whether what was filled in is such an act.
    fn is_critical(&self) -> bool {
        true
    }
}

/// What a handler takes that answers with a file. A browser that sent the password is led back to where it came from, and fetches the
/// file from there: an answer that is a file would leave the page standing with the password in it.
pub struct Download;

/// What a handler takes beside the visitor: a form, a link to a file, or nothing (`()`).
pub trait Sent: Sized + 'static {
    const SECRETS: &[(&str, &str)];
    const MOST_BYTES: usize;
    /// Another media type is refused.
    const IS_FORM: bool;
    const IS_DOWNLOAD: bool = false;

    fn of(body: &[u8]) -> Result<Self, PageError>;

    fn is_critical(&self) -> bool;
}

impl<T: Critical> Sent for Form<T> {
    const SECRETS: &[(&str, &str)] = T::SECRETS;
    const MOST_BYTES: usize = T::MOST_BYTES;
    const IS_FORM: bool = true;

    fn of(body: &[u8]) -> Result<Self, PageError> {
        Form::of(body)
    }

    fn is_critical(&self) -> bool {
        self.0.is_critical()
    }
}

impl Sent for () {
    const SECRETS: &[(&str, &str)] = &[];
    const MOST_BYTES: usize = MAX_FORM_BYTES;
    const IS_FORM: bool = false;

    fn of(_: &[u8]) -> Result<Self, PageError> {
        Ok(())
    }

    fn is_critical(&self) -> bool {
        true
    }
}

impl Sent for Download {
    const SECRETS: &[(&str, &str)] = &[];
    const MOST_BYTES: usize = MAX_FORM_BYTES;
    const IS_FORM: bool = false;
    const IS_DOWNLOAD: bool = true;

    fn of(_: &[u8]) -> Result<Self, PageError> {
        Ok(Self)
    }

    fn is_critical(&self) -> bool {
        true
    }
}

/// Who can be asked: each with a limit of their own.
pub trait Provable: FromRequest<Error = PageError> + 'static {
    const LIMIT: Span;

    fn visitor(&self) -> &Visitor;

    fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> impl Future<Output = Result<Shell, PageError>>;
}

const TITLE: &str = "Confirm that it is you";

impl Provable for Admin {
    const LIMIT: Span = ADMINISTRATORS_PROOF;

    fn visitor(&self) -> &Visitor {
        &self.0
    }

    async fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> Result<Shell, PageError> {
        Shell::admin(req, ctx, self, TITLE, "").await
    }
}

impl Provable for Member {
    const LIMIT: Span = OWNERS_PROOF;

    fn visitor(&self) -> &Visitor {
        &self.0
    }

    async fn shell(&self, req: &HttpRequest, ctx: &Ctx) -> Result<Shell, PageError> {
        Ok(Shell::member(req, ctx, self, TITLE, ""))
    }
}

impl<W: Provable, F: Sent> FromRequest for Confirmed<W, F> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let who = W::from_request(req, payload);
        let is_form = req.content_type().eq_ignore_ascii_case(FORM_TYPE);
        let body = (F::IS_FORM || is_form).then(|| forms::body(req, payload, FORM_TYPE, F::MOST_BYTES + ROOM));
        let req = req.clone();
        Box::pin(async move {
            let who = who.await?;
            let ctx = req.app_data::<web::Data<Ctx>>().cloned().ok_or(PageError::misbuilt())?;
            let typed = match body {
                Some(body) => Typed::read(&body.await?),
                None => Typed::default(),
            };
            let form = F::of(&typed.form())?;
            if typed.account.as_ref().is_some_and(|asked| *asked != own_id(&who)) {
                return Err(somebody_else(&req, &who));
            }
            let proved_at = who.visitor().admitted.session.row.proved_at;
            if form.is_critical() && !proof_holds(proved_at, W::LIMIT, ctx.now()) {
                confirm::<W, F>(&req, &ctx, &who, &typed).await?;
            }
            if F::IS_DOWNLOAD && typed.account.is_some() && wants_html(req.headers()) {
                return Err(fetched_there(&req, &typed));
            }
            Ok(Self(who, form))
        })
    }
}

fn own_id(who: &impl Provable) -> String {
    who.visitor().account.0.to_string()
}

/// The fields of a body, ours apart from the form's.
#[derive(Default)]
struct Typed {
    fields: Vec<(String, String)>,
    password: Option<Secret>,
    account: Option<String>,
    back: Option<String>,
}

impl Typed {
    fn read(body: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                PASSWORD => typed.password = Some(Secret::new(value)),
                ACCOUNT => typed.account = Some(value),
                BACK => typed.back = Some(value),
                _ => typed.fields.push((name.into_owned(), value)),
            }
        }
        typed
    }

    /// The form without our fields.
    fn form(&self) -> Vec<u8> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.fields);
        form.finish().into_bytes()
    }
}

/// Proves the password that came along; without one, or with a wrong one, asks for it.
async fn confirm<W: Provable, F: Sent>(
    req: &HttpRequest,
    ctx: &Ctx,
    who: &W,
    typed: &Typed,
) -> Result<(), actix_web::Error> {
    let visitor = who.visitor();
    let Some(password) = typed.password.clone() else {
        return Err(if wants_html(req.headers()) {
            asked_again::<W, F>(req, ctx, who, typed, StatusCode::FORBIDDEN, None, None).await?
        } else {
            PageError::StepUp.into()
        });
    };
    let proof = Proof {
        account: visitor.account,
        session: visitor.session,
        ip: visitor.client.ip,
        user_agent: visitor.client.user_agent.clone(),
        password,
    };
    let refusal = match prove(ctx, &visitor.acting, proof).await.map_err(PageError::from)? {
        Proved::Done => return Ok(()),
        Proved::Wrong => Refusal::Credentials,
        Proved::Refused(refusal) => refusal,
    };
    let (status, retry_after, words) = match refusal {
        Refusal::Credentials => (
            StatusCode::UNPROCESSABLE_ENTITY,
            None,
            "The password is wrong.".to_owned(),
        ),
        ref refusal => login::answer(refusal, ctx.now()),
    };
    if wants_html(req.headers()) {
        return Err(asked_again::<W, F>(req, ctx, who, typed, status, retry_after, Some(words)).await?);
    }
    let body = problem_body(status, refusal.code(), &words);
    Err(answered(problem_response(status, &body), retry_after))
}

#[derive(Template)]
#[template(path = "pages/step_up.html")]
struct StepUpPage {
    shell: Shell,
    /// Where it is sent: the address that asked.
    action: String,
    back: String,
    account: String,
    /// For password managers.
    name: String,
    minutes: i64,
    fields: Vec<(String, String)>,
    /// Asked for again: field and label.
    secrets: Vec<(String, String)>,
    faults: Vec<(String, String)>,
}

/// The page with everything that was typed, secrets excepted.
async fn asked_again<W: Provable, F: Sent>(
    req: &HttpRequest,
    ctx: &Ctx,
    who: &W,
    typed: &Typed,
    status: StatusCode,
    retry_after: Option<i64>,
    fault: Option<String>,
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
        action: own_address(req),
        back: back(req, typed),
        account: own_id(who),
        name: visitor.name.clone(),
        minutes: W::LIMIT.as_secs() / 60,
        fields: fields.cloned().collect(),
        secrets: secrets
            .filter_map(|(name, _)| Some((name.clone(), label(name)?.to_owned())))
            .collect(),
        faults: fault.map(|words| (PASSWORD.to_owned(), words)).into_iter().collect(),
    };
    Ok(answered(page(status, &view)?, retry_after))
}

/// An answer in place of the handler's.
fn answered(mut response: HttpResponse, retry_after: Option<i64>) -> actix_web::Error {
    if let Some(secs) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, secs.into());
    }
    InternalError::from_response("the password must be confirmed", response).into()
}

fn own_address(req: &HttpRequest) -> String {
    let target = req.uri().path_and_query();
    target.map_or(paths::HOME, |target| target.as_str()).to_owned()
}

/// Back to the page that it was asked from, which fetches it.
fn fetched_there(req: &HttpRequest, typed: &Typed) -> actix_web::Error {
    let said = Flash::ok("Confirmed.").with_download(own_address(req));
    answered(flash::redirect(req, &back(req, typed), &said), None)
}

/// Where the visitor came from: a page of ours, or home.
fn back(req: &HttpRequest, typed: &Typed) -> String {
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

fn somebody_else(req: &HttpRequest, who: &impl Provable) -> actix_web::Error {
    let name = &who.visitor().name;
    let words = format!("You are signed in as {name}, and somebody else began this: nothing was done.");
    let response = if wants_html(req.headers()) {
        flash::redirect(req, paths::HOME, &Flash::error(words))
    } else {
        let status = StatusCode::CONFLICT;
        problem_response(status, &problem_body(status, "somebody_else", &words))
    };
    answered(response, None)
}
