//! The session cookie: its names, prefixes, signature and attributes, which follow the live policy.

mod issued;
mod keys;
mod presented;
mod scope;

pub use issued::{
    WrittenCookie, expire, expire_all, expire_below, expire_on_parent_domains, expire_other_scopes, issue, token_in,
};
pub use keys::CookieKeys;
pub use presented::{PresentedCookie, pass_on_token, read, trimmed};
pub use scope::{CookieScope, form, is_shorter_lived, issued_secure, name};
