//! The strength of a new password while it is typed: one response for every page with such a field.
//! The page decides who may ask.

use crate::{
    domain::{
        client::Client,
        password::{PasswordFault, rate},
        policy::effective::PasswordPolicy,
    },
    flows::Ctx,
    http::error::PageError,
};
use actix_web::{HttpResponse, web};
use serde::Deserialize;

/// Maximum number of checks per network and minute: far more than typing needs.
const MAX_A_MINUTE: u32 = 120;

/// The current input, for the strength meter.
#[derive(Deserialize)]
pub struct StrengthForm {
    #[serde(default)]
    pub new_password: String,
}

/// Judges the current input, for the page's script. Stores nothing. `account_words`: words that a
/// password must not be built around.
pub async fn answer(
    ctx: &Ctx,
    client: &Client,
    typed: String,
    account_words: Vec<String>,
    policy: PasswordPolicy,
) -> Result<HttpResponse, PageError> {
    if !ctx.live.strength_checks.allows(client.ip, ctx.now(), MAX_A_MINUTE) {
        return Err(PageError::TooOften(
            "Too many password checks. The form itself still works.",
        ));
    }
    // Takes tens of milliseconds at worst, so it runs on a blocking thread.
    let standing = web::block(move || {
        let account_words: Vec<&str> = account_words.iter().map(String::as_str).collect();
        rate(&typed, &account_words, &policy)
    })
    .await
    .map_err(|error| PageError::Internal(error.to_string()))?;
    let advice: Vec<String> = standing.faults.iter().map(PasswordFault::message).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "score": standing.score,
        "words": standing.describe(),
        "enough": standing.faults.is_empty(),
        "advice": advice.join(" "),
    })))
}

/// Returns the name of the form field that a fault belongs to.
pub fn field_of(fault: &PasswordFault) -> &'static str {
    match fault {
        PasswordFault::Mismatch => "new_password_again",
        _ => "new_password",
    }
}
