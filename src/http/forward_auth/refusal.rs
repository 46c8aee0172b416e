//! Requests that are refused before a session is looked up: stored for the console, and logged once
//! with advice, so that repeated requests cannot fill the log.

use super::original::MalformedHeader;
use crate::{
    domain::forwarded::{Dialect, LastProxyRequest, RequestSubject},
    flows::Ctx,
    http::log_once,
};
use actix_web::{HttpRequest, http::header};
use std::net::IpAddr;

/// Reports a request from an address that is not a trusted proxy.
pub fn untrusted(ctx: &Ctx, peer: IpAddr, dialect: Dialect) {
    note(ctx, RequestSubject::Untrusted(peer), peer, dialect, Vec::new());
    log_once::warn(&format!(
        "{peer} sends requests like a proxy but is not trusted; if it is your proxy, add {peer} to \
         NIGHTLATCH_TRUSTED_PROXIES"
    ));
}

/// Reports an unreadable request of a trusted proxy, with advice for its configuration.
pub fn malformed(req: &HttpRequest, ctx: &Ctx, peer: IpAddr, dialect: Dialect, malformed: &MalformedHeader) {
    let MalformedHeader { header, why } = malformed;
    let subject = match application_of(req, ctx) {
        Some(name) => RequestSubject::Unreadable(name),
        None => RequestSubject::Stray(peer),
    };
    note(ctx, subject, peer, dialect, vec![format!("{header}: {why}")]);
    log_once::warn(&format!(
        "{peer} sent a request to /api/authz/{} that cannot be read: {header}: {why}; {}",
        dialect.as_str(),
        dialect.remedy(header)
    ));
}

/// Finds the application that the request is most likely about, by any header that names a host.
fn application_of(req: &HttpRequest, ctx: &Ctx) -> Option<String> {
    let applications = ctx.live.applications();
    let text = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let of_url = text("x-original-url").and_then(|url| url.split_once("://")?.1.split(['/', '?']).next());
    let hosts = [of_url, text("x-forwarded-host"), text(header::HOST.as_str())];
    let application = hosts
        .into_iter()
        .flatten()
        .find_map(|host| applications.at_host(host))?;
    Some(application.name.clone())
}

fn note(ctx: &Ctx, subject: RequestSubject, peer: IpAddr, dialect: Dialect, lacks: Vec<String>) {
    let at = ctx.now();
    let asked = LastProxyRequest {
        at,
        peer,
        dialect,
        lacks,
    };
    ctx.live.forwarded.note_refused(subject, asked);
}
