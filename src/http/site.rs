//! Whose host a request was sent to: our own, or that of an application, for which only its trusted proxy speaks. Tokens, cookies
//! and links depend on it. Which hosts are answered at all is decided in `host`.

use crate::{
    config::Config,
    domain::application::{Application, Applications, Host, Target},
};
use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{self, HeaderMap},
};
use std::{borrow::Cow, sync::Arc};
use url::Url;

/// The host that was asked.
#[derive(Debug, Clone, Default)]
pub enum Site {
    /// The public URL's.
    #[default]
    Own,
    /// A registered application's.
    Application(Arc<Entrance>),
}

/// An application's host, as one request met it.
#[derive(Debug)]
pub struct Entrance {
    /// Lower case, without port: cookies know none.
    pub host: String,
    /// Where its own pages come from, as browsers write it; the one with our own scheme stands last.
    pub origins: Vec<String>,
    /// The one whose page asks.
    pub application: Arc<Application>,
    /// As tokens name it.
    pub token_host: String,
}

impl Entrance {
    /// Where people begin there.
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
    /// What `host::check` found.
    pub fn of(req: &HttpRequest) -> Self {
        req.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// The site of an application's host, asked under `authority` (`host[:port]`). `None`: nobody is registered there.
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
        Some(Self::Application(Arc::new(Entrance {
            token_host: token_host(config, &authority.name).to_owned(),
            host: authority.name,
            application: applications.of_page(&page)?,
            origins,
        })))
    }

    /// Where a token counts that is given or shown here, as tokens name it.
    pub fn token_host(&self) -> &str {
        match self {
            Self::Own => "",
            Self::Application(entrance) => &entrance.token_host,
        }
    }

    /// The application whose page asks.
    pub fn application(&self) -> Option<&Arc<Application>> {
        match self {
            Self::Own => None,
            Self::Application(entrance) => Some(&entrance.application),
        }
    }

    /// How one of our own pages is reached from here.
    pub fn link<'a>(&self, config: &Config, path: &'a str) -> Cow<'a, str> {
        match self {
            Self::Own => path.into(),
            Self::Application(_) => format!("{}{path}", config.base_url()).into(),
        }
    }
}

/// The page that asks: what the browser says in `Referer`, if that is on this host.
fn page(origins: &[String], headers: &HeaderMap) -> Option<Target> {
    let asked_by = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let own = asked_by.filter(|url| {
        let origin = Url::parse(url).map(|url| url.origin().ascii_serialization());
        origin.is_ok_and(|origin| origins.contains(&origin))
    });
    let root = || Target::of_url(&format!("{}/", origins.first()?)).ok();
    own.and_then(|url| Target::of_url(url).ok()).or_else(root)
}

/// Whether browsers send our own cookie there.
pub fn shares_cookie(config: &Config, host: &str) -> bool {
    config.cookie_reaches(host)
}

/// A host as tokens name it.
pub fn token_host<'a>(config: &Config, host: &'a str) -> &'a str {
    if shares_cookie(config, host) { "" } else { host }
}
