//! The key of a form that may be sent twice. Every page has a new one, which its forms carry in a
//! hidden field; with the content of the form it identifies what was sent. A form without a key, of
//! an older page or a program, acts each time.

use crate::{
    domain::{account::AccountId, secret},
    flows::FormSubmission,
};
use actix_web::{HttpMessage, HttpRequest};
use uuid::Uuid;

/// Name of the hidden field (`templates/parts/form_key.html`).
const FIELD: &str = "form_key";

/// Reads a key. `None`: there is none.
pub fn parse_key(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text.trim()).ok()
}

/// Returns a key of its own for everything that a form with this key may ask for: another button or
/// another content is another submission.
pub fn derive_key(key: Uuid, parts: &[&str]) -> Uuid {
    let content = serde_json::json!([key, parts]).to_string();
    let digest = secret::digest(&content);
    digest
        .get(..32)
        .and_then(|half| Uuid::try_parse(half).ok())
        .unwrap_or(key)
}

/// Remembers the form that an account sent, for [`sent_form`].
pub fn note_form(req: &HttpRequest, owner: AccountId, fields: &[(String, String)]) {
    let key = fields.iter().find(|(name, _)| name == FIELD);
    let Some(key) = key.and_then(|(_, value)| parse_key(value)) else {
        return;
    };
    let parts: Vec<&str> = std::iter::once(req.path())
        .chain(fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))
        .collect();
    let key = derive_key(key, &parts);
    req.extensions_mut().insert(FormSubmission { owner, key });
}

/// Returns the form that was sent. `None`: it has no key.
pub fn sent_form(req: &HttpRequest) -> Option<FormSubmission> {
    req.extensions().get::<FormSubmission>().copied()
}
