//! What each dialect's proxy would be told of a passage: the answers themselves, for whoever looks at a rehearsal.

use super::answer::{Question, answer};
use crate::{
    domain::{application::Target, forwarded::Dialect},
    flows::{Ctx, access::Passage},
};

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub dialect: Dialect,
    pub status: u16,
    /// By name.
    pub headers: Vec<(String, String)>,
}

/// The answers to a browser's navigation, one for each dialect.
pub fn told(ctx: &Ctx, target: &Target, passage: &Passage) -> Vec<Told> {
    let one = |dialect: Dialect| {
        let question = Question {
            dialect,
            navigation: &|| true,
            repeatable: true,
            target,
        };
        let answer = answer(&question, ctx, passage);
        let headers = answer.headers().iter();
        let mut headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        headers.sort();
        Told {
            dialect,
            status: answer.status().as_u16(),
            headers,
        }
    };
    Dialect::ALL.map(one).into()
}
