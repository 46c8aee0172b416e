//! The messages and the JSON of a replay, with its data and limits.

use serde_json::{Value, json};

use super::{LockedSignIn, ReplayData, ReplayReport, ShortenedSession};
use crate::time::Timestamp;

impl ReplayReport {
    /// Returns the result, one sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let guesses = &self.guesses;
        let mut sentences = vec![format!(
            "Of {}, {} would certainly have ended earlier, {} possibly.",
            format_count(self.sessions, "session"),
            self.certain,
            self.possible
        )];
        if self.spared > 0 {
            sentences.push(format!(
                "{} that a rule ended would have lasted longer.",
                format_count(self.spared, "session")
            ));
        }
        sentences.push(format!(
            "Of {}, {} that succeeded would have been locked out; {} would have begun.",
            format_count(guesses.sign_ins, "sign-in"),
            guesses.locked_out,
            format_count(guesses.locks, "lock")
        ));
        if guesses.refused_earlier > 0 {
            sentences.push(format!(
                "{} with a wrong password would have been refused by a lock.",
                format_count(guesses.refused_earlier, "sign-in")
            ));
        }
        if guesses.let_through > 0 {
            sentences.push(format!(
                "{} that a lock refused would have been let through to the password check.",
                format_count(guesses.let_through, "sign-in")
            ));
        }
        sentences
    }

    /// Returns the data and the limits of the replay, one sentence each.
    pub fn limits(&self) -> Vec<String> {
        let ReplayData {
            since,
            until,
            events,
            events_cut_at,
            sessions_cut_at,
            sessions_kept_since,
        } = self.data;
        let mut sentences = vec![format!(
            "From {} and {} recorded between {} and {}.",
            format_count(self.sessions, "session"),
            format_count(events, "event"),
            since.to_rfc3339(),
            until.to_rfc3339()
        )];
        if let Some(at) = events_cut_at {
            sentences.push(format!(
                "There are more events than this replay reads: events before {} are not included.",
                at.to_rfc3339()
            ));
        }
        if let Some(at) = sessions_cut_at {
            sentences.push(format!(
                "There are more sessions than this replay reads: sessions that began before {} are not included.",
                at.to_rfc3339()
            ));
        }
        if let Some(at) = sessions_kept_since {
            sentences.push(format!(
                "Sessions that ended before {} are no longer kept (retention.sessions).",
                at.to_rfc3339()
            ));
        }
        sentences.extend(CANNOT_SHOW.map(str::to_owned));
        sentences
    }

    /// Converts to the JSON of `policy preview --replay --json` and of the page's data.
    pub fn to_json(&self) -> Value {
        let rules = self.by_rule.iter().map(|((reason, scope), count)| {
            json!({
                "rule": reason.as_str(),
                "scope": scope.to_string(),
                "certain": count.certain,
                "possible": count.possible,
            })
        });
        let guesses = &self.guesses;
        json!({
            "since": self.data.since.to_rfc3339(),
            "until": self.data.until.to_rfc3339(),
            "events": self.data.events,
            "events_cut_at": self.data.events_cut_at.map(Timestamp::to_rfc3339),
            "sessions_cut_at": self.data.sessions_cut_at.map(Timestamp::to_rfc3339),
            "sessions_kept_since": self.data.sessions_kept_since.map(Timestamp::to_rfc3339),
            "sentences": self.sentences(),
            "limits": self.limits(),
            "sessions": self.sessions,
            "certain": self.certain,
            "possible": self.possible,
            "spared": self.spared,
            "rules": rules.collect::<Vec<_>>(),
            "shortened": self.shortened.iter().map(ShortenedSession::to_json).collect::<Vec<_>>(),
            "sign_ins": guesses.sign_ins,
            "locked_out": guesses.locked_out,
            "refused_earlier": guesses.refused_earlier,
            "let_through": guesses.let_through,
            "locks": guesses.locks,
            "locked_out_sign_ins": guesses.newest().map(LockedSignIn::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Limits of every replay, whatever the draft.
const CANNOT_SHOW: [&str; 4] = [
    "Only the sign-in, the latest activity, network changes and audit events of a session are known; anything \
     depending on requests in between counts as possible.",
    "A certain end came at the given time or earlier; a possible end at the given time or later.",
    "Every session is judged with its owner's current role and as if it had entered its applications at sign-in.",
    "Users would have signed in again after an earlier end: later sign-ins are not simulated.",
];

impl ShortenedSession {
    /// Converts to one row of the list.
    pub fn to_json(&self) -> Value {
        json!({
            "session": self.record.id.0,
            "account": self.record.name,
            "ip": self.record.ip,
            "signed_in_at": self.record.life.signed_in_at.to_rfc3339(),
            "ended_at": self.record.ended.map(|(at, _)| at.to_rfc3339()),
            "end_reason": self.record.ended.map(|(_, reason)| reason.as_str()),
            "would_end": self.draft.at.to_rfc3339(),
            "would_end_by": self.draft.reason.as_str(),
            "scope": self.draft.scope.to_string(),
            "certainty": self.draft.certainty.as_str(),
        })
    }
}

impl LockedSignIn {
    /// Converts to one row of the list.
    pub fn to_json(&self) -> Value {
        json!({
            "at": self.attempt.at.to_rfc3339(),
            "account": self.attempt.name,
            "ip": self.attempt.ip,
            "lock": self.kind.as_str(),
            "certainty": self.certainty.as_str(),
        })
    }
}

fn format_count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
