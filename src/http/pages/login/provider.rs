//! `/login/oidc/{source}`: sends the browser to an identity provider and takes the answer, for a
//! sign-in or for a confirmation within a session.

use crate::{
    domain::{account::AccountName, origin::ReturnTo, policy::effective::SameSite, session::Duty},
    flows::{
        Ctx,
        providers::{
            self, CallbackRequest, ProviderConfirmation, ProviderProofOutcome, ProviderRefusal, ProviderSignInOutcome,
            SignInRequest, SignInStart,
        },
    },
    http::{
        destination::{destination_address, query, return_to},
        error::{PageError, factor_url},
        filters,
        flash::{self, Flash},
        forms::Query,
        judged::TokenRecipient,
        link_token::omit_referrer,
        paths, provider_answer,
        provider_cookie::{self, ProviderPurpose},
        respond::{redirect_to, render_page},
        second_step,
        session_proof::renew,
        shell::Shell,
        sign_in::{hand_over_session, session_target},
        site::Site,
        visitor::{Anyone, FactorVisitor, Visitor},
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web,
};
use askama::Template;
use serde::Deserialize;

/// Where the sign-in continues.
#[derive(Deserialize)]
pub struct ProviderStartQuery {
    #[serde(default)]
    return_to: String,
}

/// Who signs in again, and on which page the sign-in ends.
#[derive(Deserialize)]
pub struct ProviderAgainQuery {
    #[serde(default)]
    user: String,
    #[serde(default)]
    return_to: String,
}

/// Which answer the browser brings from the callback.
#[derive(Deserialize)]
pub struct ProviderAnswerQuery {
    #[serde(default)]
    id: String,
    /// Set by our own page, which opens the address again with a strict cookie.
    again: Option<String>,
}

/// A page from which the browser continues automatically, or the end of a confirmation.
#[derive(Template)]
#[template(path = "pages/login/provider.html")]
struct ProviderPage {
    shell: Shell,
    message: String,
    /// The URL at which it continues; `None`: the tab can be closed.
    on: Option<String>,
    /// Where a failed sign-in begins again.
    retry: Option<String>,
    /// Whether this is the end of a confirmation: the page that asked for it is notified.
    is_confirmed: bool,
}

/// How a failed sign-in is answered.
enum RefusalPage {
    /// On the sign-in page, which keeps this return address.
    SignInPage(String),
    /// On a page that leads to this address again.
    Retry(String),
}

fn redirect_uri(ctx: &Ctx, source: &str) -> String {
    let path = paths::LOGIN_OIDC_CALLBACK.replace("{source}", source);
    format!("{}{path}", ctx.config.base_url())
}

/// `GET /login/oidc/{source}`
pub async fn start(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    source: web::Path<String>,
    Query(asked): Query<ProviderStartQuery>,
) -> Result<HttpResponse, PageError> {
    let (target, origin) = return_to(&ctx, &asked.return_to);
    if anyone.visitor.is_some() {
        return Ok(redirect_to(&destination_address(
            &ctx,
            target.as_ref(),
            origin.as_ref(),
        )));
    }
    let target = target.as_ref().map(ReturnTo::as_str);
    match anyone.duty {
        Some(Duty::PasswordChange) => return Ok(redirect_to(paths::PASSWORD)),
        Some(Duty::Factor(_)) => return Ok(redirect_to(&factor_url(target))),
        Some(Duty::DeviceProof(_)) => {}
        None => {}
    }
    let request = SignInRequest {
        source: source.into_inner(),
        return_to: target.unwrap_or_default().to_owned(),
        hint: None,
        must_authenticate: false,
    };
    send(&req, &ctx, &anyone, request, ProviderPurpose::SignIn).await
}

/// `GET /login/oidc/{source}/again`: signs in over a covered page, in a window of its own. A live
/// session of the browser is replaced.
pub async fn again(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    source: web::Path<String>,
    Query(asked): Query<ProviderAgainQuery>,
) -> Result<HttpResponse, PageError> {
    if AccountName::parse(&asked.user).is_err() {
        return Err(PageError::NotFound);
    }
    let (target, _) = return_to(&ctx, &asked.return_to);
    let request = SignInRequest {
        source: source.into_inner(),
        return_to: target.as_ref().map(ReturnTo::as_str).unwrap_or_default().to_owned(),
        hint: Some(asked.user.clone()),
        must_authenticate: true,
    };
    send(&req, &ctx, &anyone, request, ProviderPurpose::Again(asked.user)).await
}

/// Returns the address at which the owner of a covered page signs in again.
fn again_address(source: &str, user: &str, return_to: &str) -> String {
    let path = paths::LOGIN_OIDC_AGAIN.replace("{source}", source);
    format!("{path}?{}", query(&[("user", user), ("return_to", return_to)]))
}

/// `GET /login/oidc/{source}/confirm`
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    FactorVisitor(visitor): FactorVisitor,
    anyone: Anyone,
    source: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let source = source.into_inner();
    let own = providers::find_confirming_source(&ctx, &visitor.admitted.account);
    if own.is_none_or(|own| own.name != source) {
        return Err(PageError::NotFound);
    }
    let request = SignInRequest {
        source,
        return_to: String::new(),
        hint: Some(visitor.name.clone()),
        must_authenticate: true,
    };
    send(&req, &ctx, &anyone, request, ProviderPurpose::Confirm(visitor.session)).await
}

/// Sends the browser to the provider.
async fn send(
    req: &HttpRequest,
    ctx: &Ctx,
    anyone: &Anyone,
    request: SignInRequest,
    errand: ProviderPurpose,
) -> Result<HttpResponse, PageError> {
    // A check of the link begins nothing.
    if *req.method() == Method::HEAD {
        return Err(PageError::NotFound);
    }
    let redirect_uri = redirect_uri(ctx, &request.source);
    let on_refusal = match &errand {
        ProviderPurpose::Again(user) => RefusalPage::Retry(again_address(&request.source, user, &request.return_to)),
        ProviderPurpose::SignIn | ProviderPurpose::Confirm(_) => RefusalPage::SignInPage(request.return_to.clone()),
    };
    match providers::start(ctx, &anyone.client, request, &redirect_uri).await? {
        SignInStart::Redirect(started) => {
            let (url, pending) = *started;
            let mut response = omit_referrer(redirect_to(url.as_str()));
            provider_cookie::remember(req, response.headers_mut(), &pending, errand);
            Ok(response)
        }
        SignInStart::Unknown => Err(PageError::NotFound),
        SignInStart::Refused(refusal) => refuse(req, ctx, &refusal, on_refusal),
    }
}

/// `GET /login/oidc/{source}/callback`: always a redirect to an address without the provider's
/// parameters.
pub async fn callback(req: HttpRequest) -> Result<HttpResponse, PageError> {
    let path = req.path().strip_suffix("callback").ok_or(PageError::NotFound)?;
    Ok(provider_answer::exchange(&req, &format!("{path}answer")))
}

/// `GET /login/oidc/{source}/answer`
pub async fn answer(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    source: web::Path<String>,
    Query(asked): Query<ProviderAnswerQuery>,
) -> Result<HttpResponse, PageError> {
    // Only an arriving browser uses up the answer, and not a check of a link.
    if *req.method() == Method::HEAD {
        return Err(PageError::NotFound);
    }
    let source = source.into_inner();
    let answer = provider_answer::find(&req, &asked.id);
    let found = provider_cookie::find(&req, &answer);
    if let Some((_, ProviderPurpose::Confirm(_))) = &found
        && anyone.session.is_none()
        && asked.again.is_none()
    {
        // A strict cookie arrives after a redirect of ours, but not after one of another site.
        let again = query(&[("id", asked.id.as_str()), ("again", "1")]);
        return continue_page(&req, &ctx, format!("{}?{again}", req.path()));
    }
    let redirect_uri = redirect_uri(&ctx, &source);
    let mut response = match found {
        Some((pending, ProviderPurpose::Confirm(session))) => match &anyone.visitor {
            Some(visitor) if visitor.session == session => {
                let request = ProviderConfirmation {
                    source,
                    query: answer.clone(),
                    pending,
                    redirect_uri,
                    account: visitor.account,
                    session,
                    token_digest: visitor.admitted.token_digest.clone(),
                    client: anyone.client.clone(),
                };
                finish_confirmation(&req, &ctx, visitor, request).await?
            }
            Some(_) | None => {
                let words = "Your session ended meanwhile, so nothing was confirmed.";
                flash::redirect(&req, paths::HOME, &Flash::error(words))
            }
        },
        found => {
            let (pending, errand) = found.unzip();
            let request = CallbackRequest {
                source,
                query: answer.clone(),
                pending,
                again: errand.and_then(ProviderPurpose::into_owner),
                redirect_uri,
                client: anyone.client.clone(),
                target: session_target(&ctx, &Site::Own, &anyone),
                trusted: second_step::trusted_token(&req),
            };
            finish_sign_in(&req, &ctx, &anyone, request).await?
        }
    };
    provider_cookie::forget(&req, response.headers_mut(), &answer);
    provider_answer::forget(&req, response.headers_mut(), &answer);
    Ok(omit_referrer(response))
}

async fn finish_sign_in(
    req: &HttpRequest,
    ctx: &Ctx,
    anyone: &Anyone,
    request: CallbackRequest,
) -> Result<HttpResponse, PageError> {
    let kept = request.pending.as_ref().map(|pending| pending.return_to.clone());
    let (target, origin) = return_to(ctx, &kept.unwrap_or_default());
    let kept = target.as_ref().map(ReturnTo::as_str).unwrap_or_default();
    let on_refusal = match &request.again {
        Some(user) => RefusalPage::Retry(again_address(&request.source, user, kept)),
        None => RefusalPage::SignInPage(kept.to_owned()),
    };
    match providers::complete(ctx, request).await? {
        ProviderSignInOutcome::Accepted(opened) => {
            hand_over_session(
                req,
                opened.account.id,
                TokenRecipient::from_opened(&opened),
                &opened.token,
            )?;
            let client = &anyone.client;
            ctx.live
                .awaited_cookies
                .await_cookie(client.ip, client.user_agent.as_deref(), opened.session, ctx.now());
            let on = destination_address(ctx, target.as_ref(), origin.as_ref());
            let mut response = match ctx.in_force().everyone().cookie.same_site {
                SameSite::Strict => continue_page(req, ctx, on)?,
                SameSite::Lax | SameSite::None => redirect_to(&on),
            };
            second_step::abandon(req, ctx, response.headers_mut()).await;
            Ok(response)
        }
        ProviderSignInOutcome::FactorNeeded(due) => {
            let mut response = redirect_to(paths::LOGIN_FACTOR);
            second_step::remember(req, ctx, response.headers_mut(), &due.token).await;
            Ok(response)
        }
        ProviderSignInOutcome::Refused(refusal) => refuse(req, ctx, &refusal, on_refusal),
        ProviderSignInOutcome::NotAllowed => Err(PageError::NoEntry),
        ProviderSignInOutcome::Unknown => Err(PageError::NotFound),
    }
}

async fn finish_confirmation(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &Visitor,
    request: ProviderConfirmation,
) -> Result<HttpResponse, PageError> {
    match providers::confirm(ctx, &visitor.initiator, request).await? {
        ProviderProofOutcome::Proved(token) => {
            renew(req, token.as_ref())?;
            let page = ProviderPage {
                shell: Shell::anonymous(req, ctx, "Confirmed"),
                message: "You confirmed that it’s you. Close this window and continue in the other one.".to_owned(),
                on: None,
                retry: None,
                is_confirmed: true,
            };
            render_page(StatusCode::OK, &page)
        }
        ProviderProofOutcome::Refused(refusal) => Ok(flash::redirect(req, paths::HOME, &Flash::error(refusal.message))),
        ProviderProofOutcome::Unknown => Err(PageError::NotFound),
    }
}

/// Says why there is no session. `local` keeps the sign-in page from leading to the provider again.
fn refuse(
    req: &HttpRequest,
    ctx: &Ctx,
    refusal: &ProviderRefusal,
    how: RefusalPage,
) -> Result<HttpResponse, PageError> {
    let return_to = match how {
        RefusalPage::SignInPage(return_to) => return_to,
        RefusalPage::Retry(address) => {
            let page = ProviderPage {
                shell: Shell::anonymous(req, ctx, "Not signed in"),
                message: refusal.message.clone(),
                on: None,
                retry: Some(address),
                is_confirmed: false,
            };
            let status = match refusal.is_outage {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::UNPROCESSABLE_ENTITY,
            };
            return render_page(status, &page);
        }
    };
    let mut pairs = vec![("local", "1")];
    if !return_to.is_empty() {
        pairs.push(("return_to", return_to.as_str()));
    }
    let login = format!("{}?{}", paths::LOGIN, query(&pairs));
    Ok(flash::redirect(req, &login, &Flash::error(refusal.message.clone())))
}

fn continue_page(req: &HttpRequest, ctx: &Ctx, on: String) -> Result<HttpResponse, PageError> {
    let page = ProviderPage {
        shell: Shell::anonymous(req, ctx, "One moment"),
        message: "You come from the identity provider. The page opens automatically.".to_owned(),
        on: Some(on),
        retry: None,
        is_confirmed: false,
    };
    render_page(StatusCode::OK, &page)
}
