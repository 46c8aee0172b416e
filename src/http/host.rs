//! Under which names we answer: the public URL's host; without one, the bound addresses and, on loopback, `localhost`.
//! Under an application's name, through a trusted proxy, only the page guard's part of it. Anything else is 421, so that a rebound
//! DNS name reaches nothing.

use super::{client_ip::trusted, error::PageError, paths, site::Site};
use crate::{config::Config, domain::network::canonical, flows::Ctx};
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::{Version, header},
    middleware::Next,
    web,
};
use std::net::IpAddr;

pub async fn check(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req.app_data::<web::Data<Ctx>>().ok_or(PageError::misbuilt())?;
    // Probes come by address.
    let any = req.path() == paths::HEALTHZ || req.path() == paths::READYZ;
    if !any && !answers(&ctx.config, req.head()) {
        match application(ctx, &req).await {
            Ok(Some(site)) => req.extensions_mut().insert(site),
            Ok(None) => return Ok(req.error_response(PageError::Misdirected).map_into_boxed_body()),
            Err(error) => return Ok(req.error_response(error).map_into_boxed_body()),
        };
    }
    Ok(next.call(req).await?.map_into_boxed_body())
}

/// The application's host that a trusted proxy hands on a request for, if it is for our part of that host.
async fn application(ctx: &Ctx, req: &ServiceRequest) -> Result<Option<Site>, PageError> {
    let peer = req.peer_addr().map(|peer| canonical(peer.ip()));
    let speaks = peer.is_some_and(|peer| trusted(peer, &ctx.config.trusted_proxies));
    match host(req.head()) {
        Some(host) if speaks && req.path().starts_with(paths::GUARD) => {
            let applications = ctx.current_applications().await?;
            Ok(Site::of_application(&ctx.config, &applications, &host, req.headers()))
        }
        Some(_) | None => Ok(None),
    }
}

/// The one host the request names; `None` when it names none or several.
fn host(head: &RequestHead) -> Option<String> {
    let mut lines = head.headers().get_all(header::HOST);
    let host = match (lines.next(), lines.next(), head.uri.authority()) {
        (Some(_), Some(_), _) => return None,
        // An absolute target must agree with the header (RFC 9112, 3.2.2).
        (Some(line), None, Some(authority)) if head.version < Version::HTTP_2 => {
            let line = line.to_str().ok()?;
            line.eq_ignore_ascii_case(authority.as_str()).then(|| line.to_owned())?
        }
        (Some(line), None, _) => line.to_str().ok()?.to_owned(),
        (None, _, Some(authority)) => authority.as_str().to_owned(),
        (None, _, None) => return None,
    };
    Some(host.to_ascii_lowercase()).filter(|host| !host.is_empty())
}

fn answers(config: &Config, head: &RequestHead) -> bool {
    let Some(host) = host(head) else { return false };
    if let Some(url) = &config.public_url {
        return own_authorities(url).contains(&host);
    }
    let (name, port) = split(&host);
    config.bind.iter().any(|bound| {
        let port_fits = bound.port() == 0 || port.unwrap_or(80) == bound.port();
        let name_fits = match name.parse::<IpAddr>() {
            Ok(ip) => ip == bound.ip() || bound.ip().is_unspecified() || (bound.ip().is_loopback() && ip.is_loopback()),
            Err(_) => name == "localhost" && (bound.ip().is_loopback() || bound.ip().is_unspecified()),
        };
        port_fits && name_fits
    })
}

/// `host` and, for the scheme's own port, `host:port`.
fn own_authorities(url: &url::Url) -> Vec<String> {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    match url.port() {
        Some(port) => vec![format!("{host}:{port}")],
        None => vec![format!("{host}:{}", url.port_or_known_default().unwrap_or(80)), host],
    }
}

/// `[::1]:80` → `::1`, 80.
fn split(host: &str) -> (&str, Option<u16>) {
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((name, port)) => (name, port.strip_prefix(':').and_then(|port| port.parse().ok())),
            None => (host, None),
        };
    }
    match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (host, None),
    }
}

/// The origins whose forms may change state: the public URL's; without one, this very host over http.
pub fn own_origins(config: &Config, head: &RequestHead) -> Vec<String> {
    match &config.public_url {
        Some(url) => vec![url.origin().ascii_serialization()],
        None => host(head).map(|host| format!("http://{host}")).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn answered(public: Option<&str>, bind: &str, host: &str) -> bool {
        let mut config = Config::load(None, std::iter::empty(), crate::config::Flags::default()).unwrap();
        config.public_url = public.map(|url| url.parse().unwrap());
        config.bind = vec![bind.parse().unwrap()];
        let request = TestRequest::default().insert_header(("host", host)).to_srv_request();
        answers(&config, request.head())
    }

    #[test]
    fn without_a_public_url_we_answer_under_the_bound_address_and_loopback_names() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
            assert!(answered(None, "127.0.0.1:8080", host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "127.0.0.1:9",
            "localhost",
            "",
            "127.0.0.1.evil.example:8080",
        ] {
            assert!(!answered(None, "127.0.0.1:8080", host), "{host}");
        }
        assert!(answered(None, "0.0.0.0:8080", "192.0.2.7:8080"));
        assert!(!answered(None, "192.0.2.7:8080", "localhost:8080"));
    }

    #[test]
    fn with_a_public_url_we_answer_under_its_host_only() {
        let public = Some("https://login.example.org");
        assert!(answered(public, "127.0.0.1:8080", "login.example.org"));
        assert!(answered(public, "127.0.0.1:8080", "Login.Example.org:443"));
        assert!(!answered(public, "127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!answered(public, "127.0.0.1:8080", "login.example.org:8080"));
    }
}
