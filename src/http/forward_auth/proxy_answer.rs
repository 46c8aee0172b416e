//! The responses of a decision in each dialect, for access tests.

use super::answer::{AnswerContext, answer};
use crate::{
    domain::{application::RequestTarget, forwarded::Dialect},
    flows::{Ctx, access::AccessDecision},
};

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAnswer {
    pub dialect: Dialect,
    pub status: u16,
    /// The headers, by name.
    pub headers: Vec<(String, String)>,
}

/// Returns the responses to a browser's navigation, one for each dialect.
pub fn list_answers(ctx: &Ctx, target: &RequestTarget, decision: &AccessDecision) -> Vec<ProxyAnswer> {
    let one = |dialect: Dialect| {
        let question = AnswerContext {
            dialect,
            navigation: &|| true,
            repeatable: true,
            target,
        };
        let answer = answer(&question, ctx, decision);
        let headers = answer.headers().iter();
        let mut headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        headers.sort();
        ProxyAnswer {
            dialect,
            status: answer.status().as_u16(),
            headers,
        }
    };
    Dialect::ALL.map(one).into()
}
