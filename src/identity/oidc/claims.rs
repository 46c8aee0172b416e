//! Claims about a person, from the ID token and from the userinfo endpoint.

use super::{
    fault::{FailedCheck, OidcFault},
    keys::Payload,
};
use serde_json::Value as Json;

/// Longest accepted value of a text claim, in characters.
const MAX_TEXT: usize = 256;
/// Maximum number of groups of one person.
const MAX_GROUPS: usize = 5_000;

/// The claims that a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The claim with the username.
    pub name: String,
    /// The claim with the person's name.
    pub display_name: String,
    /// The claim with the email address.
    pub email: String,
    /// The claim with the groups.
    pub groups: String,
}

/// The claims of a provider about a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimSet {
    /// The username; `None`: the provider sent none.
    pub name: Option<String>,
    /// The person's name.
    pub display_name: Option<String>,
    /// The email address, if the provider says that it is verified.
    pub email: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// The provider's session (`sid`).
    pub session: Option<String>,
}

impl ClaimSet {
    /// Reads the claims, each from the ID token if it is there, else from the userinfo endpoint.
    pub(super) fn read(names: &ClaimNames, id_token: &Payload, userinfo: Option<&Payload>) -> Result<Self, OidcFault> {
        let sources: Vec<&Payload> = [Some(id_token), userinfo].into_iter().flatten().collect();
        let first = |name: &str| sources.iter().find_map(|payload| text_of(payload, name));
        let groups = sources.iter().find_map(|payload| payload.get(&names.groups));
        if groups.is_none() && is_left_out(id_token, &names.groups) {
            return Err(OidcFault::failed(FailedCheck::Groups));
        }
        let email = |payload: &&Payload| {
            let is_verified = match payload.get("email_verified")? {
                Json::Bool(is_verified) => *is_verified,
                // Some providers send the word.
                Json::String(word) => word == "true",
                Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => false,
            };
            text_of(payload, &names.email).filter(|_| is_verified)
        };
        Ok(Self {
            name: first(&names.name),
            display_name: first(&names.display_name),
            email: sources.iter().find_map(email),
            groups: groups.map(group_names).unwrap_or_default(),
            session: text_of(id_token, "sid"),
        })
    }
}

/// Returns whether the userinfo endpoint may know more than the ID token.
pub(super) fn needs_userinfo(names: &ClaimNames, id_token: &Payload) -> bool {
    let wanted = [&names.name, &names.display_name, &names.email, &names.groups];
    wanted.iter().any(|name| !id_token.contains_key(name.as_str()))
}

/// Returns whether the provider left a claim out because it is too long (distributed claims,
/// OpenID Connect Core 1.0, 5.6.2; Entra ID does this with more than 200 groups).
fn is_left_out(payload: &Payload, name: &str) -> bool {
    payload
        .get("_claim_names")
        .and_then(Json::as_object)
        .is_some_and(|names| names.contains_key(name))
}

fn text_of(payload: &Payload, name: &str) -> Option<String> {
    text(payload.get(name)?)
}

fn text(value: &Json) -> Option<String> {
    let text = value.as_str()?.trim();
    let is_usable = !text.is_empty() && text.chars().nth(MAX_TEXT).is_none();
    is_usable.then(|| text.to_owned())
}

/// Reads an array of names, or a single name.
fn group_names(value: &Json) -> Vec<String> {
    match value {
        Json::Array(values) => values.iter().take(MAX_GROUPS).filter_map(text).collect(),
        Json::String(_) => text(value).into_iter().collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
