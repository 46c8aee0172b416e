//! The input that several account pages read: the id of an account, and an expiry date.
use crate::{
    domain::{account::AccountId, time::Timestamp},
    http::{error::PageError, pages::admin::list::filled},
};
use uuid::Uuid;

/// Parses the id of an account; an invalid one is not found.
pub(super) fn parse_account_id(text: &str) -> Result<AccountId, PageError> {
    Uuid::parse_str(text).map(AccountId).map_err(|_| PageError::NotFound)
}

/// Parses an expiry date; empty: none.
pub(super) fn parse_expiry(text: &str) -> Result<Option<Timestamp>, String> {
    match filled(text) {
        None => Ok(None),
        Some(text) => Timestamp::parse_written(&text)
            .map(Some)
            .ok_or_else(|| "Enter a date and time, such as 2026-12-31 18:00.".to_owned()),
    }
}
