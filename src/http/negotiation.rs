//! The kind of response that a request can use: a page for people, or JSON for programs.

use actix_web::{HttpMessage, HttpRequest, http::header};

/// Returns whether the client can use a page or a redirect: browsers' navigations, not `fetch`.
pub fn wants_html(req: &HttpRequest) -> bool {
    if !req.headers().contains_key(header::ACCEPT) {
        return may_be_navigation(req);
    }
    let html = ["text/html", "text/*", "application/xhtml+xml"];
    accepts(req, &html) || (accepts(req, &["*/*"]) && may_be_navigation(req))
}

/// Returns whether `Accept` contains one of these media ranges with a weight above zero (RFC 9110,
/// 12.5.1). actix's own parser drops a range with a space before its parameters, which the grammar
/// allows.
pub fn accepts(req: &impl HttpMessage, ranges: &[&str]) -> bool {
    let lines = req.headers().get_all(header::ACCEPT);
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|member| {
            let mut parts = member.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let named = ranges.iter().any(|wanted| wanted.eq_ignore_ascii_case(range));
            named && parts.all(|parameter| !is_zero_weight(parameter))
        })
}

/// Returns whether a parameter of a media range makes it unacceptable: `q=0`, `q=0.000`.
fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0_f32)
}

fn may_be_navigation(req: &HttpRequest) -> bool {
    let mode = req.headers().get("sec-fetch-mode");
    mode.is_none_or(|mode| mode == "navigate")
}

#[cfg(test)]
mod tests;
