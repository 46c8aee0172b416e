//! The HTTP library's responses to malformed requests: 400, 408, 431, without our headers. They get
//! the security headers here, because the library offers no other place.

use crate::http::headers;
use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Headers that the library writes into such a response.
const LIBRARY_HEADERS: [&str; 3] = ["content-length", "connection", "date"];
/// Minimum time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(60);

static UNLOGGED: AtomicU64 = AtomicU64::new(0);
static LAST_LOGGED: Mutex<Option<Instant>> = Mutex::new(None);

/// Returns these bytes with the security headers, if they end with a response of the library.
pub fn add_headers(bytes: &[u8], request_id: &dyn Fn() -> String) -> Option<Vec<u8>> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let start = bytes.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let head = std::str::from_utf8(&bytes[start..]).ok()?;
    let (status_line, lines) = head.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let status = status_line.split(' ').nth(1)?;
    let is_refusal = status.len() == 3 && status.starts_with(['4', '5']);
    let is_bare = lines.split("\r\n").all(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            let name = name.to_ascii_lowercase();
            LIBRARY_HEADERS.contains(&name.as_str()) && (name != "content-length" || value.trim() == "0")
        })
    });
    if !is_refusal || !is_bare {
        return None;
    }
    let mut completed = bytes[..bytes.len() - 2].to_vec();
    completed.extend_from_slice(headers::lines_for_bare_answer(&request_id()).as_bytes());
    completed.extend_from_slice(b"\r\n");
    Some(completed)
}

/// Counts a refused request, and logs the number at most once a minute.
pub fn note(peer: Option<SocketAddr>) {
    metrics::counter!("nightlatch_malformed_requests_total").increment(1);
    UNLOGGED.fetch_add(1, Ordering::Relaxed);
    let mut last = LAST_LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|last| last.elapsed() < LOG_EVERY) {
        return;
    }
    *last = Some(Instant::now());
    let refused = UNLOGGED.swap(0, Ordering::Relaxed);
    let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
    tracing::warn!("refused {refused} malformed or unfinished request(s), the last from {from}");
}

#[cfg(test)]
mod tests;
