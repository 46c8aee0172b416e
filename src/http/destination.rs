//! The destination after a sign-in: one of our own pages, or a page of an application, outside the
//! cookie domain by a handover.

use super::{paths, site::token_host};
use crate::{domain::origin::ReturnTo, flows::Ctx};
use url::{Origin, form_urlencoded};

/// Parses an address to return to after the sign-in. `None`: it leads neither to our own pages nor
/// to an application. The origin is that of the application, if the address belongs to one.
pub fn return_to(ctx: &Ctx, text: &str) -> (Option<ReturnTo>, Option<Origin>) {
    let own_scheme = if ctx.config.https() { "https" } else { "http" };
    let origin = ctx.live.applications().origin_of(text, own_scheme);
    (ReturnTo::parse(text, origin.as_slice()), origin)
}

/// Returns the host of an application outside the cookie domain, as tokens store it.
pub fn handover_host(ctx: &Ctx, origin: &Origin) -> Option<String> {
    let Origin::Tuple(_, host, _) = origin else { return None };
    let host = host.to_string();
    Some(token_host(&ctx.config, &host).to_owned()).filter(|host| !host.is_empty())
}

/// Returns the address to which a signed-in user is redirected: the return address or, outside the
/// cookie domain, the start of a handover to it.
pub fn destination_address(ctx: &Ctx, return_to: Option<&ReturnTo>, origin: Option<&Origin>) -> String {
    let target = return_to.map_or(paths::HOME, ReturnTo::as_str);
    match origin.filter(|origin| return_to.is_some() && handover_host(ctx, origin).is_some()) {
        Some(origin) => {
            let query = query(&[("return_to", target)]);
            format!(
                "{}{}?{query}",
                origin.ascii_serialization(),
                paths::GUARD_HANDOVER_START
            )
        }
        None => target.to_owned(),
    }
}

/// Encodes names and values as a query string.
pub fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}
