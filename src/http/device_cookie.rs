//! The cookie that carries the proof of a device, and where it is valid: on one host, or on every
//! host of the cookie domain. Only https sends it.

use super::{session_cookie::trimmed, site::Site};
use crate::{
    config::Config,
    domain::{session::DeviceProof, time::Span},
    flows::{Ctx, devices},
};
use actix_web::http::header::{COOKIE, HeaderMap};

/// The hosts on which one device session is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceScope<'a> {
    /// The host that sets the cookie.
    Host,
    /// Every host of this domain, which has one owner.
    Domain(&'a str),
}

impl<'a> DeviceScope<'a> {
    /// Returns the scope in which a session can be bound here. `None`: not at all, because browsers
    /// do not reach us over https, or because other hosts share the cookie and this one may not
    /// bind sessions for them.
    pub fn find(config: &'a Config, site: &Site) -> Option<Self> {
        if !config.https() {
            return None;
        }
        match (site, config.cookie_domain.as_deref()) {
            (Site::Own, None) => Some(Self::Host),
            (Site::Own, Some(domain)) => config.owns_cookie_domain().then_some(Self::Domain(domain)),
            (Site::Application(entrance), _) => {
                let is_https = entrance.origins.iter().any(|origin| origin.starts_with("https://"));
                (is_https && !entrance.token_host.is_empty()).then_some(Self::Host)
            }
        }
    }

    /// Returns the name of the cookie.
    pub fn cookie_name(self, config: &Config) -> String {
        let prefix = match self {
            Self::Host => "__Host-",
            Self::Domain(_) => "__Secure-",
        };
        format!("{prefix}{}-device", config.cookie_name)
    }

    /// Returns its attributes, which the browser learns when it registers.
    pub fn attributes(self) -> String {
        let domain = match self {
            Self::Host => String::new(),
            Self::Domain(domain) => format!("; Domain={domain}"),
        };
        format!("Path=/; Secure; HttpOnly; SameSite=Lax{domain}")
    }

    /// Returns the `Set-Cookie` line of a proof.
    pub fn issue(self, config: &Config, value: &str, lifetime: Span) -> String {
        let (name, attributes) = (self.cookie_name(config), self.attributes());
        format!("{name}={value}; Max-Age={}; {attributes}", lifetime.as_secs())
    }
}

/// Reads the proof of a request. `None`: there is none that this installation issued.
pub fn read(headers: &HeaderMap, ctx: &Ctx) -> Option<DeviceProof> {
    let lines = headers.get_all(COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| is_own(trimmed(name), &ctx.config))
        .find_map(|(_, value)| devices::read_device_cookie(ctx, trimmed(value)))
}

fn is_own(name: &str, config: &Config) -> bool {
    let plain = name.strip_prefix("__Host-").or(name.strip_prefix("__Secure-"));
    plain.and_then(|name| name.strip_suffix("-device")) == Some(&config.cookie_name)
}
