//! Requests that are refused before the session is looked up, because another site started them or
//! they name a foreign host. They are recorded, but limited in number, so that nobody can fill the
//! audit log with them.

use super::{Ctx, Initiator};
use crate::domain::{
    audit::{Actor, Event, RequestOrigin},
    text::is_invisible,
};

/// Maximum number of refusals of one kind, network and minute with an audit entry of their own;
/// further ones are counted.
const SINGLES_A_MINUTE: u32 = 1;
/// Maximum number of characters that are kept of a path, an origin or a host.
const MAX_CHARS: usize = 256;

/// Why a request was refused, with its details.
#[derive(Debug, Clone)]
pub enum RequestRefusal {
    /// Another site started it.
    CrossSite {
        /// Its path, without the query.
        path: String,
        /// `Origin` or `Referer`, which named the other site.
        origin: String,
    },
    /// It names a host under which this server does not answer.
    ForeignHost {
        /// Its path, without the query.
        path: String,
        /// The host.
        host: String,
    },
}

/// Records a refused request. It stays refused even if it cannot be recorded.
pub async fn record_refused_request(ctx: &Ctx, origin: RequestOrigin, refusal: RequestRefusal) {
    let (reason, detail) = match &refusal {
        RequestRefusal::CrossSite { path, origin } => {
            // A query may contain secrets of the other site.
            let origin = origin.split(['?', '#']).next().unwrap_or_default();
            (
                "cross_site",
                serde_json::json!({ "path": clean_text(path), "origin": clean_text(origin) }),
            )
        }
        RequestRefusal::ForeignHost { path, host } => (
            "foreign_host",
            serde_json::json!({ "path": clean_text(path), "host": clean_text(host) }),
        ),
    };
    let initiator = Initiator {
        actor: Actor::Anonymous,
        origin,
        session: None,
    };
    let entry = initiator.entry(Event::AccessDenied).with_detail(detail).failed(reason);
    if !ctx.live.refusals.note(&entry, ctx.now(), SINGLES_A_MINUTE) {
        return;
    }
    let written = ctx.write(&initiator, move |w| Ok(w.record(&entry)?)).await;
    if let Err(error) = written {
        tracing::warn!(%error, reason, "a refused request could not be recorded");
    }
}

fn clean_text(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).take(MAX_CHARS).collect()
}
