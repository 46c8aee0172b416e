//! Descriptions of the last requests of proxies.

use super::view::{LastRequestLine, ProxyRequestLine, UnmatchedRequestLine};
use crate::{
    domain::forwarded::LastProxyRequest,
    flows::applications::{ApplicationRequests, UnmatchedRequests},
};

/// Returns the last requests that proxies sent about an application.
pub fn last_request_line(seen: &ApplicationRequests) -> LastRequestLine {
    LastRequestLine {
        answered: seen.answered.as_ref().map(request_line),
        unreadable: seen.unreadable.as_ref().map(request_line),
    }
}

fn request_line(request: &LastProxyRequest) -> ProxyRequestLine {
    ProxyRequestLine {
        at: request.at,
        peer: request.peer.to_string(),
        proxies: request.dialect.proxies(),
        lacks: request.lacks.clone(),
    }
}

/// Returns the requests that matched no application, latest first, each with its fix.
pub fn unmatched_lines(strangers: &UnmatchedRequests) -> Vec<UnmatchedRequestLine> {
    let untrusted = strangers.untrusted.iter().map(|(peer, request)| UnmatchedRequestLine {
        request: request_line(request),
        what: format!("{peer} sends requests like a proxy but is not trusted."),
        mend: format!("If it is your proxy, add {peer} to NIGHTLATCH_TRUSTED_PROXIES and restart."),
    });
    let unknown = strangers.unknown.iter().map(|(host, request)| UnmatchedRequestLine {
        request: request_line(request),
        what: format!("Requests arrived for {host}, but no application has this host."),
        mend: "To protect it, add it as a host of a new application or of one above.".to_owned(),
    });
    let stray = strangers.stray.iter().map(|(peer, request)| UnmatchedRequestLine {
        request: request_line(request),
        what: format!("A request from {peer} could not be read: {}.", request.lacks.join("; ")),
        mend: remedies(request),
    });
    let mut all: Vec<UnmatchedRequestLine> = untrusted.chain(unknown).chain(stray).collect();
    all.sort_by_key(|line| std::cmp::Reverse(line.request.at));
    all
}

/// Returns the advice for the proxy's configuration, as a sentence.
fn remedies(request: &LastProxyRequest) -> String {
    let headers = request.lacks.iter().filter_map(|lack| lack.split(':').next());
    let remedies: Vec<String> = headers.map(|header| request.dialect.remedy(header)).collect();
    format!("To fix it: {}.", remedies.join("; "))
}
