//! The site of a request: our own host, or that of an application, for which only its trusted proxy
//! may forward requests. Tokens, cookies and links depend on it. `host` decides which hosts are
//! answered.

use crate::{
    config::Config,
    domain::application::{Application, Applications, Host, RequestTarget},
};
use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{self, HeaderMap},
};
use std::{borrow::Cow, sync::Arc};
use url::Url;

/// The requested host.
#[derive(Debug, Clone, Default)]
pub enum Site {
    /// The public URL's host.
    #[default]
    Own,
    /// A registered application's host.
    Application(Arc<ApplicationHost>),
}

/// An application's host, as seen by one request.
#[derive(Debug)]
pub struct ApplicationHost {
    /// The name in lower case, without port, because cookies ignore ports.
    pub host: String,
    /// The origins of its pages, as browsers write them; the one with our own scheme comes last.
    pub origins: Vec<String>,
    /// The application of the page that sent the request.
    pub application: Arc<Application>,
    /// The host, as tokens store it.
    pub token_host: String,
}

impl ApplicationHost {
    /// Returns the address of its front page.
    pub fn front_page(&self) -> String {
        let origin = self.origins.last().map_or("", String::as_str);
        let prefix = self.application.prefixes.first().map_or("/", String::as_str);
        Url::parse(origin).map_or_else(
            |_| String::new(),
            |mut url| {
                url.set_path(prefix);
                url.into()
            },
        )
    }
}

impl Site {
    /// Returns the site that `host::check` found.
    pub fn from_request(req: &HttpRequest) -> Self {
        req.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Returns the site of an application's host, requested as `authority` (`host[:port]`). `None`:
    /// no application has it.
    pub fn of_application(
        config: &Config,
        applications: &Applications,
        authority: &str,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let authority = Host::parse(authority).ok()?;
        let own_scheme = if config.https() { "https" } else { "http" };
        let origins: Vec<String> = ["https", "http"]
            .iter()
            .filter_map(|scheme| applications.origin_of(&format!("{scheme}://{authority}/"), own_scheme))
            .map(|origin| origin.ascii_serialization())
            .collect();
        let page = page(&origins, headers)?;
        Some(Self::Application(Arc::new(ApplicationHost {
            token_host: token_host(config, &authority.name).to_owned(),
            host: authority.name,
            application: applications.of_page(&page)?,
            origins,
        })))
    }

    /// Returns the host for which a token issued or presented here is valid, as tokens store it.
    pub fn token_host(&self) -> &str {
        match self {
            Self::Own => "",
            Self::Application(entrance) => &entrance.token_host,
        }
    }

    /// Returns the application of the page that sent the request.
    pub fn application(&self) -> Option<&Arc<Application>> {
        match self {
            Self::Own => None,
            Self::Application(entrance) => Some(&entrance.application),
        }
    }

    /// Returns the address of one of our own pages, as reached from here.
    pub fn link<'a>(&self, config: &Config, path: &'a str) -> Cow<'a, str> {
        match self {
            Self::Own => path.into(),
            Self::Application(_) => format!("{}{path}", config.base_url()).into(),
        }
    }
}

/// Returns the page that sent the request: the browser's `Referer`, if it is on this host.
fn page(origins: &[String], headers: &HeaderMap) -> Option<RequestTarget> {
    let asked_by = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let own = asked_by.filter(|url| {
        let origin = Url::parse(url).map(|url| url.origin().ascii_serialization());
        origin.is_ok_and(|origin| origins.contains(&origin))
    });
    let root = || RequestTarget::of_url(&format!("{}/", origins.first()?)).ok();
    own.and_then(|url| RequestTarget::of_url(url).ok()).or_else(root)
}

/// Returns whether browsers send our own cookie to the host.
pub fn shares_cookie(config: &Config, host: &str) -> bool {
    config.cookie_reaches(host)
}

/// Returns a host as tokens store it.
pub fn token_host<'a>(config: &Config, host: &'a str) -> &'a str {
    if shares_cookie(config, host) { "" } else { host }
}
