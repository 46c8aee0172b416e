//! Answers to forms that may be sent twice, also to two instances: the act happens once, and every
//! sending is answered with its result. Only a form with a key is kept (`http::form_key`).
use crate::{
    domain::secret::Secret,
    flows::{Ctx, FlowError, FormOutcome, FormSubmission, KeptForm, applications, fetch_form, find_form},
    http::{
        error::PageError,
        flash::{Flash, redirect},
        form_key::sent_form,
        paths,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a second sending waits for the result of the first.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// The answer to a form: a redirect, with a message for the next page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormAnswer {
    /// The address of the next page.
    pub to: String,
    /// The message.
    pub flash: Flash,
    /// What was left out of an act on many accounts: address, name and reason. If there is any, it
    /// is shown instead of the next page.
    #[serde(default)]
    pub skipped: Vec<(String, String, String)>,
}

/// The secrets of a message.
#[derive(Serialize, Deserialize)]
struct FlashSecrets {
    secret: Option<String>,
    link: Option<String>,
}

/// The result of performing a form's act.
pub enum Performed<T> {
    /// It was done.
    Answered(HttpResponse),
    /// It came to nothing, and the form can be sent again.
    Refused(T),
}

impl FormAnswer {
    /// Creates the answer that leads to a page.
    pub fn new(to: impl Into<String>, flash: Flash) -> Self {
        Self {
            to: to.into(),
            flash,
            skipped: Vec::new(),
        }
    }

    /// Answers with the redirect.
    pub fn respond(&self, req: &HttpRequest) -> HttpResponse {
        redirect(req, &self.to, &self.flash)
    }

    /// Returns the answer as it is kept, with its secrets apart. `None`: it cannot be written,
    /// which happens to none of ours.
    pub fn to_outcome(&self) -> Option<FormOutcome> {
        let mut kept = self.clone();
        let secrets = FlashSecrets {
            secret: kept.flash.secret.take(),
            link: kept.flash.link.take(),
        };
        let has_any = secrets.secret.is_some() || secrets.link.is_some();
        Some(FormOutcome {
            text: serde_json::to_string(&kept).ok()?,
            secrets: match has_any {
                true => Some(Secret::new(serde_json::to_string(&secrets).ok()?)),
                false => None,
            },
        })
    }

    /// Reads a kept answer.
    pub fn from_outcome(outcome: &FormOutcome) -> Result<Self, FlowError> {
        let unreadable = |error: serde_json::Error| FlowError::Internal(format!("the result of a form: {error}"));
        let mut answer: Self = serde_json::from_str(&outcome.text).map_err(unreadable)?;
        if let Some(secrets) = &outcome.secrets {
            let secrets: FlashSecrets = serde_json::from_str(secrets.expose()).map_err(unreadable)?;
            answer.flash.secret = secrets.secret;
            answer.flash.link = secrets.link;
        }
        Ok(answer)
    }
}

/// Performs the act of the form that was sent, with the context for its flow. `describe` makes the
/// answer of a result; `None`: nothing was done.
pub async fn perform<T: 'static, F: Future<Output = Result<T, FlowError>>>(
    req: &HttpRequest,
    ctx: &Ctx,
    describe: impl Fn(&T) -> Option<FormAnswer> + Clone + Send + Sync + 'static,
    act: impl FnOnce(Ctx) -> F,
) -> Result<Performed<T>, PageError> {
    let keep = describe.clone();
    let ctx = match sent_form(req) {
        Some(form) => ctx.performing(form, req.path(), move |done: &T| keep(done)?.to_outcome()),
        None => ctx.clone(),
    };
    let done = Box::pin(act(ctx)).await?;
    Ok(match describe(&done) {
        Some(answer) => Performed::Answered(answer.respond(req)),
        None => Performed::Refused(done),
    })
}

/// Returns the context for a flow whose transaction, with no result of its own, is answered so
/// unless it is rolled back.
pub fn keep(req: &HttpRequest, ctx: &Ctx, answer: &FormAnswer) -> Ctx {
    let answer = answer.clone();
    match sent_form(req) {
        Some(form) => ctx.performing(form, req.path(), move |(): &()| answer.to_outcome()),
        None => ctx.clone(),
    }
}

/// Answers a form that may have been sent before with its result, otherwise as `handle` does.
pub async fn answer_once(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    handle: impl Future<Output = Result<HttpResponse, PageError>>,
) -> Result<HttpResponse, PageError> {
    let Some(form) = sent_form(req).filter(|form| form.owner == admin.0.account) else {
        return Box::pin(handle).await;
    };
    // An end of sessions is not delayed by a database that does not answer.
    if let Ok(Some(response)) = find_answer(req, ctx, form, req.path()).await {
        return Ok(response);
    }
    let handled = Box::pin(handle).await;
    answer_again(req, ctx, form, req.path(), handled).await
}

/// Returns the answer to a form, unless it came to nothing and another sending of the form did not:
/// that one may have left nothing to do. If its act takes longer, the answer leads to `progress`.
pub async fn answer_again(
    req: &HttpRequest,
    ctx: &Ctx,
    form: FormSubmission,
    progress: &str,
    handled: Result<HttpResponse, PageError>,
) -> Result<HttpResponse, PageError> {
    if matches!(&handled, Ok(response) if response.status().is_redirection())
        || matches!(&handled, Err(PageError::Flow(FlowError::EndHeld(_))))
    {
        return handled;
    }
    match find_answer(req, ctx, form, progress).await {
        Ok(Some(response)) => Ok(response),
        Ok(None) | Err(_) => handled,
    }
}

/// Finds the answer to a form that was sent before, and waits for it a moment. If its act takes
/// longer, the answer leads to `progress`.
async fn find_answer(
    req: &HttpRequest,
    ctx: &Ctx,
    form: FormSubmission,
    progress: &str,
) -> Result<Option<HttpResponse>, FlowError> {
    let Some(kept) = wait_for_result(ctx, form).await? else {
        return Ok(None);
    };
    let Some(outcome) = &kept.outcome else {
        let flash = Flash::info("This is being done. Reload the page to see the result.");
        return Ok(Some(redirect(req, progress, &flash)));
    };
    if kept.route.starts_with(paths::ADMIN_APPLICATIONS) {
        // The next page reads applications from memory, and another instance may have performed
        // the action.
        applications::refresh(ctx).await?;
    }
    if outcome.secrets.is_some() {
        fetch_form(ctx, form).await?;
    }
    Ok(Some(FormAnswer::from_outcome(outcome)?.respond(req)))
}

/// Waits until an act that was begun is done. `None`: none was begun, or it came to nothing.
pub async fn wait_for_result(ctx: &Ctx, form: FormSubmission) -> Result<Option<KeptForm>, FlowError> {
    let wait = async {
        loop {
            match find_form(ctx, form).await? {
                Some(kept) if kept.outcome.is_none() => tokio::time::sleep(INTERVAL).await,
                found => return Ok(found),
            }
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(found) => found,
        Err(_) => find_form(ctx, form).await,
    }
}
