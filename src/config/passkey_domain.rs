//! The domain for which passkeys are made: a relying party id that browsers accept (WebAuthn,
//! 5.1.3).

use super::cookie_domain::is_public_suffix;
use std::net::IpAddr;
use url::Url;

/// Parses a domain name, which may lack a dot, such as `localhost`. IP addresses are refused: they
/// have no passkeys.
pub(super) fn parse_passkey_domain(text: &str) -> Result<String, String> {
    let domain = text.to_ascii_lowercase();
    let is_name = domain.starts_with(|first: char| first.is_ascii_alphanumeric())
        && domain
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let is_address = domain.parse::<IpAddr>().is_ok();
    (is_name && !is_address)
        .then_some(domain)
        .ok_or("a domain, such as example.org; passkeys do not work for IP addresses".to_owned())
}

/// Reports a domain for which browsers refuse passkeys: a public suffix, or a domain that does not
/// cover the public URL.
pub(super) fn check_passkey_domain(domain: Option<&str>, public_url: Option<&Url>, faults: &mut Vec<String>) {
    let Some(domain) = domain else { return };
    if is_public_suffix(domain) {
        faults.push(format!(
            "passkey_domain: {domain} is a public suffix: browsers refuse passkeys for all domains below it; set it to \
             a domain of your own, or leave it out"
        ));
    }
    if let Some(host) = public_url.and_then(Url::host_str)
        && host != domain
        && !host.ends_with(&format!(".{domain}"))
    {
        faults.push(format!(
            "passkey_domain: {domain} does not cover the host of public_url ({host})"
        ));
    }
}

#[cfg(test)]
mod tests;
