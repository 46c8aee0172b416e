//! The dialects in which proxies request decisions, and the latest requests that are kept.
//! `http::forward_auth` reads the headers; `flows::access` decides whether a request passes.

use std::net::IpAddr;

use super::time::{Span, Timestamp};

/// A dialect in which proxies request decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// nginx `auth_request`: nginx makes the redirect itself.
    AuthRequest,
    /// Traefik ForwardAuth, Caddy `forward_auth`: the response goes to the browser unchanged.
    ForwardAuth,
    /// Envoy HTTP ext_authz: the response goes to the browser unchanged.
    ExtAuthz,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 3] = [Self::AuthRequest, Self::ForwardAuth, Self::ExtAuthz];

    /// Returns the name used in the endpoint and in scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthRequest => "auth-request",
            Self::ForwardAuth => "forward-auth",
            Self::ExtAuthz => "ext-authz",
        }
    }

    /// Parses the name of a dialect.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// Returns the proxies that use the dialect.
    pub fn proxies(self) -> &'static str {
        match self {
            Self::AuthRequest => "nginx",
            Self::ForwardAuth => "Traefik or Caddy",
            Self::ExtAuthz => "Envoy",
        }
    }

    /// Returns the proxy configuration that makes `header` arrive as expected.
    pub fn remedy(self, header: &str) -> String {
        match self {
            Self::AuthRequest => {
                let value = match header {
                    "X-Original-URL" => "$scheme://$http_host$request_uri",
                    "X-Original-Method" => "$request_method",
                    "X-Forwarded-For" => "$remote_addr",
                    _ => "\"\"",
                };
                format!(
                    "add proxy_set_header {header} {value}; to the location that auth_request names \
                     (contrib/nginx/host.conf shows it)"
                )
            }
            Self::ForwardAuth => format!(
                "Traefik's ForwardAuth and Caddy's forward_auth send {header} automatically: make sure that nothing \
                 in between removes it (contrib/traefik.yaml, contrib/Caddyfile). For nginx use /api/authz/auth-request"
            ),
            Self::ExtAuthz => {
                format!(
                    "add {header} to the allowed_headers of Envoy's ext_authz filter (contrib/envoy.yaml shows them)"
                )
            }
        }
    }
}

/// The subject of a kept request, and the outcome of the request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestSubject {
    /// A request for this application that was answered, whether it was allowed or denied.
    Answered(String),
    /// A request that is most likely for this application, with unreadable headers.
    Unreadable(String),
    /// An unreadable request from this address, for an unknown application.
    Stray(IpAddr),
    /// A request for this host, which no application has.
    Unknown(String),
    /// A request from this address, which is not a trusted proxy.
    Untrusted(IpAddr),
}

impl RequestSubject {
    /// Returns kind and name, as stored.
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Answered(name) => ("answered", name.clone()),
            Self::Unreadable(name) => ("unreadable", name.clone()),
            Self::Stray(peer) => ("stray", peer.to_string()),
            Self::Unknown(host) => ("unknown", host.clone()),
            Self::Untrusted(peer) => ("untrusted", peer.to_string()),
        }
    }

    /// Converts stored parts to a subject; `None` if they are invalid.
    pub fn of_parts(kind: &str, name: String) -> Option<Self> {
        Some(match kind {
            "answered" => Self::Answered(name),
            "unreadable" => Self::Unreadable(name),
            "stray" => Self::Stray(name.parse().ok()?),
            "unknown" => Self::Unknown(name),
            "untrusted" => Self::Untrusted(name.parse().ok()?),
            _ => return None,
        })
    }

    /// Returns whether the subject's name comes from the requester and not from our configuration;
    /// only a limited number of them is kept.
    pub fn is_stranger(&self) -> bool {
        match self {
            Self::Answered(_) | Self::Unreadable(_) => false,
            Self::Stray(_) | Self::Unknown(_) | Self::Untrusted(_) => true,
        }
    }
}

/// Maximum number of stranger subjects of one kind.
pub const MAX_STRANGERS: i64 = 20;
/// How long a problem is shown.
pub const TOLD_FOR: Span = Span::from_secs(7 * 24 * 3600);

/// The latest request about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastProxyRequest {
    /// The time, with a resolution of one second at best.
    pub at: Timestamp,
    /// The IP address that sent the request.
    pub peer: IpAddr,
    /// The dialect of the request.
    pub dialect: Dialect,
    /// Headers that were missing or unreadable, each with the problem.
    pub lacks: Vec<String>,
}
