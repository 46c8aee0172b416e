//! The input of a handler that asks to confirm the identity, and whether it is a critical action.

use crate::http::{
    error::PageError,
    forms::{Form, Json, MAX_JSON_BYTES},
    request_body::MAX_FORM_BYTES,
};
use serde::de::DeserializeOwned;

/// A form whose action asks to confirm the identity again.
pub trait CriticalForm: DeserializeOwned + 'static {
    /// Fields that are not sent back to a browser, with the label under which they are requested
    /// again.
    const SECRETS: &[(&str, &str)] = &[];
    /// Maximum size of the form, as it is sent.
    const MAX_BYTES: usize = MAX_FORM_BYTES;

    /// Returns whether the filled form is a critical action.
    fn is_critical(&self) -> bool {
        true
    }

    /// Returns whether the form only ends sessions. While the database is away nobody can confirm
    /// their identity, and an end is held all the same.
    fn only_ends_sessions(&self) -> bool {
        false
    }
}

/// The input of a handler that returns a file. After entering the password, the browser is led back
/// to the page it came from and fetches the file from there: a response that is a file would leave
/// the page with the password open.
pub struct Download;

/// The input of a handler besides the visitor: a form, a link to a file, or nothing (`()`).
pub trait StepUpInput: Sized + 'static {
    const SECRETS: &[(&str, &str)];
    const MAX_BYTES: usize;
    /// Whether another media type is refused.
    const IS_FORM: bool;
    /// Whether the input is JSON of a script, which is read after the proof, so that the step-up
    /// page has nothing to carry over.
    const IS_JSON: bool = false;
    const IS_DOWNLOAD: bool = false;

    fn parse_body(body: &[u8]) -> Result<Self, PageError>;

    fn is_critical(&self) -> bool;

    fn only_ends_sessions(&self) -> bool {
        false
    }
}

impl<T: CriticalForm> StepUpInput for Form<T> {
    const SECRETS: &[(&str, &str)] = T::SECRETS;
    const MAX_BYTES: usize = T::MAX_BYTES;
    const IS_FORM: bool = true;

    fn parse_body(body: &[u8]) -> Result<Self, PageError> {
        Form::parse_body(body)
    }

    fn is_critical(&self) -> bool {
        self.0.is_critical()
    }

    fn only_ends_sessions(&self) -> bool {
        self.0.only_ends_sessions()
    }
}

impl<T: DeserializeOwned + 'static> StepUpInput for Json<T> {
    const SECRETS: &[(&str, &str)] = &[];
    const MAX_BYTES: usize = MAX_JSON_BYTES;
    const IS_FORM: bool = false;
    const IS_JSON: bool = true;

    fn parse_body(body: &[u8]) -> Result<Self, PageError> {
        Json::parse_body(body)
    }

    fn is_critical(&self) -> bool {
        true
    }
}

impl StepUpInput for () {
    const SECRETS: &[(&str, &str)] = &[];
    const MAX_BYTES: usize = MAX_FORM_BYTES;
    const IS_FORM: bool = false;

    fn parse_body(_: &[u8]) -> Result<Self, PageError> {
        Ok(())
    }

    fn is_critical(&self) -> bool {
        true
    }
}

impl StepUpInput for Download {
    const SECRETS: &[(&str, &str)] = &[];
    const MAX_BYTES: usize = MAX_FORM_BYTES;
    const IS_FORM: bool = false;
    const IS_DOWNLOAD: bool = true;

    fn parse_body(_: &[u8]) -> Result<Self, PageError> {
        Ok(Self)
    }

    fn is_critical(&self) -> bool {
        true
    }
}
