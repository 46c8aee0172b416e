//! How a new password stands while it is typed: one answer for every page with such a field. Who may ask is the page's to say.

use crate::{
    domain::{
        password::{PasswordFault, standing},
        policy::effective::PasswordPolicy,
    },
    http::error::PageError,
};
use actix_web::{HttpResponse, web};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Typing {
    #[serde(default)]
    pub new_password: String,
}

/// Judges what was typed so far, for the page's script. Keeps nothing. `own_words`: what a password must not be made of.
pub async fn answer(typed: String, own_words: Vec<String>, policy: PasswordPolicy) -> Result<HttpResponse, PageError> {
    // Some tens of milliseconds at worst: not on the thread that answers everybody.
    let standing = web::block(move || {
        let own_words: Vec<&str> = own_words.iter().map(String::as_str).collect();
        standing(&typed, &own_words, &policy)
    })
    .await
    .map_err(|error| PageError::Internal(error.to_string()))?;
    let advice: Vec<String> = standing.faults.iter().map(PasswordFault::message).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "score": standing.score,
        "words": standing.words(),
        "enough": standing.faults.is_empty(),
        "advice": advice.join(" "),
    })))
}
