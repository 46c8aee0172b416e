//! The patterns of public paths: for every method (`/assets/*`) or for one (`OPTIONS /api/*`).

use crate::text::is_invisible;

/// The methods of HTTP and WebDAV (RFC 9110, RFC 5789, RFC 4918, RFC 3253, RFC 5323).
const METHODS: [&str; 19] = [
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LOCK",
    "MKCOL",
    "MOVE",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNLOCK",
];

/// Parses a pattern. A method that does not exist, or several patterns in one, would match nothing,
/// and nobody would notice.
pub(super) fn parse_public_path(text: &str) -> Result<String, String> {
    let (method, pattern) = match text.split_once(char::is_whitespace) {
        Some((method, pattern)) if !text.starts_with('/') => (Some(method), pattern.trim_start()),
        Some(_) | None => (None, text),
    };
    if pattern.contains(',') {
        return Err(format!(
            "{text:?}: write one pattern for each public path, without commas (* stands for a comma in a path)."
        ));
    }
    if !pattern.starts_with('/') || pattern.chars().any(is_invisible) {
        return Err(format!(
            "{text:?}: write a path that begins with /, like /healthz or /assets/*, or a method and a path, like \
             OPTIONS /api/*."
        ));
    }
    let Some(method) = method else {
        return Ok(pattern.to_owned());
    };
    let method = method.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(format!(
            "{text:?}: {method} is not a method that requests have. Write one such as GET, POST or OPTIONS, or only \
             the path."
        ));
    }
    Ok(format!("{method} {pattern}"))
}
