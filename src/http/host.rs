//! The host names that we answer: the public URL's host; without one, the bound addresses and, on
//! loopback, `localhost`. Under an application's name, through a trusted proxy, only the page
//! guard's addresses are answered. Others get 421, so that a rebound DNS name reaches nothing.

use super::{client::read_client, client_ip::trusted, error::PageError, log_once, paths, site::Site};
use crate::{
    config::Config,
    domain::network::canonical,
    flows::{
        Ctx,
        refused_requests::{RequestRefusal, record_refused_request},
    },
};
use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::{Version, header},
    middleware::Next,
    web,
};
use std::net::IpAddr;

/// Finds out which host was requested, and refuses unknown hosts.
pub async fn check(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req
        .app_data::<web::Data<Ctx>>()
        .ok_or(PageError::missing_middleware())?;
    // Probes use an address instead of a name.
    let is_probe = req.path() == paths::HEALTHZ || req.path() == paths::READYZ;
    if !is_probe && !is_own_host(&ctx.config, req.head()) {
        match application(ctx, req.request()).await {
            Ok(Some(site)) => {
                req.extensions_mut().insert(site);
            }
            Ok(None) if answers_without_port(&ctx.config, req.head()) => {}
            Ok(None) => {
                let error = misdirected(&ctx.config, req.head());
                let refusal = RequestRefusal::ForeignHost {
                    path: req.path().to_owned(),
                    host: host(req.head()).unwrap_or_else(|| "none or several".to_owned()),
                };
                record_refused_request(ctx, read_client(&req, ctx).origin(), refusal).await;
                return Ok(req.error_response(error).map_into_boxed_body());
            }
            Err(error) => return Ok(req.error_response(error).map_into_boxed_body()),
        }
    }
    Ok(next.call(req).await?.map_into_boxed_body())
}

/// Returns the site of a request that passed no middleware; `None`: its host is not answered.
pub async fn find_site(ctx: &Ctx, req: &HttpRequest) -> Result<Option<Site>, PageError> {
    if is_own_host(&ctx.config, req.head()) {
        return Ok(Some(Site::Own));
    }
    let application = application(ctx, req).await?;
    Ok(application.or_else(|| answers_without_port(&ctx.config, req.head()).then_some(Site::Own)))
}

/// Returns the application's host if a trusted proxy forwards a request for our part of that host.
async fn application(ctx: &Ctx, req: &HttpRequest) -> Result<Option<Site>, PageError> {
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

/// Refuses a host, and says on the page and once in the log which name is answered and how to fix
/// it.
fn misdirected(config: &Config, head: &RequestHead) -> PageError {
    let (Some(url), Some(host)) = (&config.public_url, host(head)) else {
        return PageError::Misdirected(None);
    };
    let own = own_authorities(url).pop().unwrap_or_default();
    let message = format!(
        "This server answers as {own} (its public_url), and the request named the host {host:?}. Open {url} instead. \
         If there is a proxy in front, make it pass the host on (nginx: proxy_set_header Host $http_host), or set \
         public_url to the \
         address that people use."
    );
    log_once::warn(&message);
    PageError::Misdirected(Some(message))
}

/// Returns the only host that the request names; `None`: none or several.
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

/// Converts `login.example.org.:443` to `login.example.org:443`: the dot says that the name is
/// complete.
fn without_final_dot(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}:{port}", name.strip_suffix('.').unwrap_or(name))
        }
        Some(_) | None => host.strip_suffix('.').unwrap_or(host).to_owned(),
    }
}

/// Returns whether the host is our own without its port, as nginx's `$host` is. A named port must
/// match; an application with that name takes precedence.
fn answers_without_port(config: &Config, head: &RequestHead) -> bool {
    let Some(url) = &config.public_url else { return false };
    let own = url.host_str().unwrap_or_default();
    host(head).is_some_and(|host| without_final_dot(&host).eq_ignore_ascii_case(own))
}

fn is_own_host(config: &Config, head: &RequestHead) -> bool {
    let Some(host) = host(head) else { return false };
    if let Some(url) = &config.public_url {
        return own_authorities(url).contains(&without_final_dot(&host));
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

/// Returns `host` and, for the scheme's default port, `host:port`.
fn own_authorities(url: &url::Url) -> Vec<String> {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    match url.port() {
        Some(port) => vec![format!("{host}:{port}")],
        None => vec![format!("{host}:{}", url.port_or_known_default().unwrap_or(80)), host],
    }
}

/// Splits `[::1]:80` into `::1` and 80.
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

/// Returns the origins whose forms may change state: the public URL's; without one, this host over
/// http.
pub fn own_origins(config: &Config, head: &RequestHead) -> Vec<String> {
    match &config.public_url {
        Some(url) => vec![url.origin().ascii_serialization()],
        None => host(head).map(|host| format!("http://{host}")).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
