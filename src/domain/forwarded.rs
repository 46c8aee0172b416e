//! How proxies ask whether a request may pass, each in its dialect. Reading the headers is `http::forward_auth`'s.

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
}
