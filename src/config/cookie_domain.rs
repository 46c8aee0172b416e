//! The domain with which the session cookie is shared: a domain that browsers accept.

use url::Url;

/// Parses a domain name with a dot. A dot before it is dropped, as browsers do, and so is the dot
/// of a fully qualified name, with which they would refuse the cookie.
pub(super) fn parse_cookie_domain(text: &str) -> Result<String, String> {
    let domain = text.trim_start_matches('.');
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let is_valid = domain.contains('.')
        && domain
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    is_valid
        .then_some(domain)
        .ok_or("a domain with a dot, such as example.org".to_owned())
}

/// Reports a cookie domain for which browsers refuse the cookie: one that does not cover the public
/// URL, or a public suffix (RFC 6265, 5.3).
pub(super) fn check_cookie_domain(domain: Option<&str>, public_url: Option<&Url>, faults: &mut Vec<String>) {
    let Some(domain) = domain else { return };
    let host = public_url.and_then(Url::host_str);
    if is_public_suffix(domain) {
        let remedy = match host.and_then(registrable_domain) {
            Some(own) => format!("set it to {own}, or leave it out"),
            None => "set it to a domain of your own, or leave it out".to_owned(),
        };
        faults.push(format!(
            "cookie_domain: {domain} is a public suffix, a rule of the Public Suffix List (https://publicsuffix.org): \
                 names below it \
             belong to different owners, so browsers refuse a cookie for all of them; {remedy}"
        ));
    }
    if let Some(host) = host
        && host != domain
        && !host.ends_with(&format!(".{domain}"))
    {
        faults.push(format!(
            "cookie_domain: {domain} does not cover the host of public_url ({host})"
        ));
    }
}

/// Returns whether a rule of the Public Suffix List names exactly this domain. Top-level names that
/// the list does not know are of private networks, where browsers refuse only the bare name.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == domain.as_bytes())
}

/// Returns the shortest domain above a host that has one owner.
pub(super) fn registrable_domain(host: &str) -> Option<&str> {
    let domain = psl::domain(host.as_bytes())?;
    std::str::from_utf8(domain.as_bytes()).ok()
}
