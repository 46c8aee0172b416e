//! The errors of pages, each with its status and code. `error_page` makes the response, which never
//! shows a backtrace, SQL or a path.

use super::{log_once, paths};
use crate::{
    domain::{
        factor::FactorDuty,
        session::{DeviceFault, Duty, EndReason},
    },
    flows::{FlowError, step_up::StepUpMethod},
};
use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use url::form_urlencoded;

/// The reason why a page is refused.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("not signed in")]
    SignIn {
        return_to: Option<String>,
        reason: Option<EndReason>,
    },
    /// The session is live, but the request did not prove its device.
    #[error("the device did not prove itself")]
    DeviceProof {
        return_to: Option<String>,
        fault: DeviceFault,
    },
    #[error("the password must be changed first")]
    PasswordChange,
    /// A second factor must be proved or enrolled first.
    #[error("a second factor is required first")]
    Factor {
        return_to: Option<String>,
        duty: FactorDuty,
    },
    #[error("not allowed")]
    Forbidden,
    #[error("the application is not for this account")]
    NoEntry,
    /// The action needs a confirmation; users get the page of `step_up` instead.
    #[error("the identity must be confirmed first")]
    StepUp(StepUpMethod),
    /// The message is shown.
    #[error("started by another site")]
    CrossSite(String),
    /// The message is shown.
    #[error("{0}")]
    TooOften(&'static str),
    #[error("not found")]
    NotFound,
    /// The message is shown.
    #[error("served under another name")]
    Misdirected(Option<String>),
    /// The message is shown.
    #[error("{0}")]
    BadRequest(String),
    #[error("too large")]
    TooLarge,
    #[error("unsupported media type")]
    UnsupportedMedia,
    #[error("too slow")]
    Timeout,
    /// An end of sessions that could not be held: the database does not answer, and this server
    /// does not remember the visitor.
    #[error("the database is not available, and an end of sessions could not be held: {0}")]
    NothingEnded(String),
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// An internal error; the message goes only to the log.
    #[error("{0}")]
    Internal(String),
}

impl PageError {
    /// Creates the error of missing middleware: the application was put together wrongly.
    pub fn missing_middleware() -> Self {
        Self::Internal("a layer of the application is missing".to_owned())
    }

    fn code(&self) -> &'static str {
        match self {
            Self::SignIn {
                reason: Some(reason), ..
            } => reason.as_str(),
            Self::SignIn { reason: None, .. } => "sign_in",
            Self::DeviceProof { fault, .. } => fault.as_str(),
            Self::PasswordChange => "password_change",
            Self::Factor { .. } => "factor",
            Self::Forbidden | Self::NoEntry => "forbidden",
            Self::StepUp(_) => "step_up",
            Self::CrossSite(_) => "cross_site",
            Self::TooOften(_) => "too_many_requests",
            Self::NotFound | Self::Flow(FlowError::NotFound) => "not_found",
            Self::Misdirected(_) => "misdirected",
            Self::BadRequest(_) => "bad_request",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media_type",
            Self::Timeout => "timeout",
            Self::NothingEnded(_) | Self::Flow(FlowError::Unavailable(_)) => "unavailable",
            Self::Flow(FlowError::EndHeld(_)) => "end_held",
            Self::Flow(FlowError::HashingBusy(_)) => "busy",
            Self::Flow(FlowError::SourceDown(_)) => "source_down",
            Self::Flow(FlowError::Internal(_)) | Self::Internal(_) => "internal",
        }
    }
}

/// The data from which the outer middleware makes a page.
#[derive(Debug, Clone)]
pub(super) struct RefusalDetails {
    pub code: String,
    pub message: Option<String>,
    pub sign_in: Option<SignInHint>,
}

#[derive(Debug, Clone)]
pub(super) struct SignInHint {
    pub location: String,
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } | Self::DeviceProof { .. } | Self::PasswordChange | Self::Factor { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden | Self::NoEntry | Self::CrossSite(_) | Self::StepUp(_) => StatusCode::FORBIDDEN,
            Self::NotFound | Self::Flow(FlowError::NotFound) => StatusCode::NOT_FOUND,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::NothingEnded(_)
            | Self::Flow(
                FlowError::Unavailable(_)
                | FlowError::EndHeld(_)
                | FlowError::HashingBusy(_)
                | FlowError::SourceDown(_),
            ) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Flow(FlowError::Internal(_)) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::new(self.status_code());
        match self {
            // A burst of sign-ins must not fill the log.
            Self::Flow(FlowError::HashingBusy(_)) => {
                log_once::warn("too many passwords were checked at once, so some requests were answered 503");
            }
            // The source's fault is logged once a minute where it is found.
            Self::Flow(FlowError::SourceDown(_)) => {}
            _ if response.status().is_server_error() => tracing::error!(error = %self, "a request failed"),
            _ => {}
        }
        if let Self::Flow(FlowError::HashingBusy(busy)) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(busy.retry_after_secs));
        } else if let Self::Flow(FlowError::SourceDown(_)) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(30));
        } else if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(2));
        }
        if let Self::TooOften(_) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(30));
        }
        let location = match self {
            Self::SignIn { return_to, reason } => Some(login_url(return_to.as_deref(), *reason)),
            Self::DeviceProof { return_to, fault } => Some(device_login_url(return_to.as_deref(), *fault)),
            Self::PasswordChange => Some(paths::PASSWORD.to_owned()),
            Self::Factor { return_to, .. } => Some(factor_url(return_to.as_deref())),
            _ => None,
        };
        let message = match self {
            Self::BadRequest(message) | Self::CrossSite(message) => Some(message.clone()),
            Self::Misdirected(message) => message.clone(),
            Self::DeviceProof { fault, .. } => Some(fault.sentence().to_owned()),
            Self::NoEntry => Some(NO_ENTRY.to_owned()),
            Self::Flow(FlowError::EndHeld(_)) => Some(END_HELD.to_owned()),
            Self::NothingEnded(_) => Some(NOTHING_ENDED.to_owned()),
            Self::Flow(FlowError::SourceDown(_)) => Some(SOURCE_DOWN.to_owned()),
            Self::PasswordChange => Some(Duty::PasswordChange.sentence().to_owned()),
            Self::Factor { duty, .. } => Some(Duty::Factor(*duty).sentence().to_owned()),
            Self::StepUp(method) => Some(describe_step_up(*method).to_owned()),
            Self::TooOften(message) => Some((*message).to_owned()),
            _ => None,
        };
        let sign_in = location.map(|location| SignInHint { location });
        response.extensions_mut().insert(RefusalDetails {
            code: self.code().to_owned(),
            message,
            sign_in,
        });
        response
    }
}

/// Says what a program must send to confirm the identity.
const fn describe_step_up(method: StepUpMethod) -> &'static str {
    match method {
        StepUpMethod::Password => "This action requires your password again: send it as `step_up_password`.",
        StepUpMethod::PasswordAndCode => {
            "This action requires your password and a code of your authenticator app, or a recovery code: send them \
             as `step_up_password` and `step_up_code`."
        }
        StepUpMethod::Passkey => {
            "This action requires your passkey: request its options at `/factor/options`, send the answer to \
             `/factor/passkey`, and repeat the request."
        }
        StepUpMethod::IdentityProvider => {
            "This action requires a new sign-in at your identity provider, which only a browser can do: open the \
             sign-in page of the provider, confirm there, and repeat the request."
        }
        StepUpMethod::DeadPasskeys => {
            "This action requires a confirmation, but the passkeys of your account were made for another domain. Ask \
             an administrator to reset your second factor."
        }
        StepUpMethod::PasskeyOrCode => {
            "This action requires your passkey (request its options at `/factor/options`, send the answer to \
             `/factor/passkey`, and repeat the request), or your password and a code: send them as \
             `step_up_password` and `step_up_code`."
        }
    }
}

/// The message for users whose account has no access to an application.
pub const NO_ENTRY: &str = "You don’t have access to this application.";

/// Returns `/factor?return_to=…`, where a second factor is proved or enrolled.
pub fn factor_url(return_to: Option<&str>) -> String {
    match return_to {
        None => paths::FACTOR.to_owned(),
        Some(target) => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", target)
                .finish();
            format!("{}?{query}", paths::FACTOR)
        }
    }
}

/// Message for people whose sign-out or end of sessions the database could not store.
pub const END_HELD: &str = "The database does not answer. This server refuses the session from now on, and the \
                            session will be ended as soon as the database answers. You do not need to \
                            repeat this.";

/// Message for people whose end of sessions could not be held.
const NOTHING_ENDED: &str = "The database does not answer, and this server does not remember your session, so it \
                             cannot tell who you are. Nothing was done, and no session was ended. Repeat this as soon \
                             as the database answers.";

/// Message for people whose password only a source can check that does not answer.
const SOURCE_DOWN: &str = "You could not be signed in: either a directory of your organization does not answer, or the \
                           username or password is wrong. Try again in a minute. If it goes on, tell your administrator.";

/// Returns `/login?return_to=…&reason=CODE`.
pub fn login_url(return_to: Option<&str>, reason: Option<EndReason>) -> String {
    login_address(return_to, reason.map(EndReason::as_str))
}

/// Returns the address of the sign-in page for a device that did not prove itself.
pub fn device_login_url(return_to: Option<&str>, fault: DeviceFault) -> String {
    login_address(return_to, Some(fault.as_str()))
}

fn login_address(return_to: Option<&str>, reason: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(target) = return_to.filter(|target| *target != "/") {
        query.append_pair("return_to", target);
    }
    if let Some(reason) = reason {
        query.append_pair("reason", reason);
    }
    let query = query.finish();
    if query.is_empty() {
        paths::LOGIN.to_owned()
    } else {
        format!("{}?{query}", paths::LOGIN)
    }
}
