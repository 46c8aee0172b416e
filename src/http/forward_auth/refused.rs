//! Questions that are refused before anybody is looked for: noted for the console, and told in the log with what would mend them,
//! once for each, so that nobody fills the log by asking.

use super::Malformed;
use crate::{
    domain::forwarded::{Asked, Dialect, Subject},
    flows::Ctx,
};
use actix_web::{HttpRequest, http::header};
use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Lines remembered at most; after so many there is nothing new to learn.
const MOST: usize = 256;

/// Somebody asked without being a trusted proxy: which address to add.
pub fn untrusted(ctx: &Ctx, peer: IpAddr, dialect: Dialect) {
    note(ctx, Subject::Untrusted(peer), peer, dialect, Vec::new());
    if first_time(format!("{peer}")) {
        tracing::warn!(
            "{peer} asks like a proxy and is not trusted; if it is yours, add {peer} to NIGHTLATCH_TRUSTED_PROXIES"
        );
    }
}

/// A trusted proxy's question cannot be read: what to write into which file.
pub fn malformed(req: &HttpRequest, ctx: &Ctx, peer: IpAddr, dialect: Dialect, malformed: &Malformed) {
    let Malformed { header, why } = malformed;
    let subject = match application_of(req, ctx) {
        Some(name) => Subject::Unreadable(name),
        None => Subject::Stray(peer),
    };
    note(ctx, subject, peer, dialect, vec![format!("{header}: {why}")]);
    if first_time(format!("{peer} {} {header} {why}", dialect.as_str())) {
        tracing::warn!(
            "{peer} asked at /api/authz/{}, and its question cannot be read: {header}: {why}; {}",
            dialect.as_str(),
            dialect.remedy(header)
        );
    }
}

/// Which application it is most likely about: by whatever names a host.
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

fn note(ctx: &Ctx, subject: Subject, peer: IpAddr, dialect: Dialect, lacks: Vec<String>) {
    let at = ctx.now();
    let asked = Asked {
        at,
        peer,
        dialect,
        lacks,
    };
    ctx.live.forwarded.refused(subject, asked);
}

fn first_time(line: String) -> bool {
    static TOLD: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let told = told.get_or_insert_with(HashSet::new);
    told.len() < MOST && told.insert(line)
}
