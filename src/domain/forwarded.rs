//! How proxies ask whether a request may pass, each in its dialect, and what is noted of their questions. Reading the headers is
//! `http::forward_auth`'s; whether a request passes is `flows::access`'s.

use std::net::IpAddr;

use super::time::{Span, Timestamp};

/// One of the ways in which proxies ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// nginx `auth_request`: makes the redirect itself.
    AuthRequest,
    /// Traefik ForwardAuth, Caddy `forward_auth`: the answer goes to the browser as it is.
    ForwardAuth,
    /// Envoy HTTP ext_authz: likewise.
    ExtAuthz,
}

impl Dialect {
    /// All there are.
    pub const ALL: [Dialect; 3] = [Self::AuthRequest, Self::ForwardAuth, Self::ExtAuthz];

    /// As its address and scripts name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthRequest => "auth-request",
            Self::ForwardAuth => "forward-auth",
            Self::ExtAuthz => "ext-authz",
        }
    }

    /// The dialect of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// Who speaks it.
    pub fn proxies(self) -> &'static str {
        match self {
            Self::AuthRequest => "nginx",
            Self::ForwardAuth => "Traefik or Caddy",
            Self::ExtAuthz => "Envoy",
        }
    }

    /// What to write into which proxy's file so that `header` comes as it should.
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
                    "write proxy_set_header {header} {value}; into the location that auth_request names (contrib/nginx.conf shows it)"
                )
            }
            Self::ForwardAuth => format!(
                "Traefik's ForwardAuth and Caddy's forward_auth send {header} by themselves: let nothing between take it away \
                 (contrib/traefik.yaml, contrib/Caddyfile), and let nginx ask at /api/authz/auth-request"
            ),
            Self::ExtAuthz => {
                format!(
                    "let Envoy hand {header} on: name it among the allowed_headers of its ext_authz filter (contrib/envoy.yaml shows them)"
                )
            }
        }
    }
}

/// What a note is about, and what became of the question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Of this application; answered, with yes or no.
    Answered(String),
    /// Most likely of this application; its headers could not be read.
    Unreadable(String),
    /// From this address; unreadable, and nobody can tell of which application.
    Stray(IpAddr),
    /// Of this host, which no application has.
    Unknown(String),
    /// From this address, which is not trusted.
    Untrusted(IpAddr),
}

impl Subject {
    /// Its kind and its name, as they are stored.
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Answered(name) => ("answered", name.clone()),
            Self::Unreadable(name) => ("unreadable", name.clone()),
            Self::Stray(peer) => ("stray", peer.to_string()),
            Self::Unknown(host) => ("unknown", host.clone()),
            Self::Untrusted(peer) => ("untrusted", peer.to_string()),
        }
    }

    /// The subject of these parts; `None`: there is none.
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

    /// Made by whoever asks, not by us: only so many are kept.
    pub fn is_stranger(&self) -> bool {
        match self {
            Self::Answered(_) | Self::Unreadable(_) => false,
            Self::Stray(_) | Self::Unknown(_) | Self::Untrusted(_) => true,
        }
    }
}

/// Strangers of one kind that are kept.
pub const MOST_STRANGERS: i64 = 20;
/// How long something that went wrong is told.
pub const TOLD_FOR: Span = Span::from_secs(7 * 24 * 3600);

/// The last question about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When, to the second at best.
    pub at: Timestamp,
    /// The address that asked.
    pub peer: IpAddr,
    /// How it asked.
    pub dialect: Dialect,
    /// Headers that were missing or could not be read, each with what is wrong.
    pub lacks: Vec<String>,
}
