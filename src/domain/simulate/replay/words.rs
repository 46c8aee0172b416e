//! A replay in words and in JSON, with what it worked from and what that cannot show.

use serde_json::{Value, json};

use super::{Data, LockedOut, Report, Shortened};
use crate::domain::time::Timestamp;

impl Report {
    /// What it comes to, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let guesses = &self.guesses;
        let mut said = vec![format!(
            "Of {}, {} would have ended earlier for certain, {} possibly.",
            counted(self.sessions, "session"),
            self.certain,
            self.possible
        )];
        if self.spared > 0 {
            said.push(format!(
                "{} that a rule ended would have lived longer.",
                counted(self.spared, "session")
            ));
        }
        said.push(format!(
            "Of {}, {} that succeeded would have been locked out; {} would have begun.",
            counted(guesses.sign_ins, "sign-in"),
            guesses.locked_out,
            counted(guesses.locks, "lock")
        ));
        if guesses.refused_earlier > 0 {
            said.push(format!(
                "{} with a wrong password would have been refused for a lock.",
                counted(guesses.refused_earlier, "sign-in")
            ));
        }
        if guesses.let_through > 0 {
            said.push(format!(
                "{} that a lock refused would have been let through to the password check.",
                counted(guesses.let_through, "sign-in")
            ));
        }
        said
    }

    /// From what it worked and what that cannot show, a sentence each.
    pub fn limits(&self) -> Vec<String> {
        let Data {
            since,
            until,
            events,
            events_cut_at,
            sessions_cut_at,
            sessions_kept_since,
        } = self.data;
        let mut said = vec![format!(
            "From {} and {} recorded between {} and {}.",
            counted(self.sessions, "session"),
            counted(events, "event"),
            since.to_rfc3339(),
            until.to_rfc3339()
        )];
        if let Some(at) = events_cut_at {
            said.push(format!(
                "There are more events than are read: those before {} are left out.",
                at.to_rfc3339()
            ));
        }
        if let Some(at) = sessions_cut_at {
            said.push(format!(
                "There are more sessions than are read: those that began before {} are left out.",
                at.to_rfc3339()
            ));
        }
        if let Some(at) = sessions_kept_since {
            said.push(format!(
                "Sessions that ended before {} are no longer kept (retention.sessions).",
                at.to_rfc3339()
            ));
        }
        said.extend(CANNOT_SHOW.map(str::to_owned));
        said
    }

    /// The form of `policy preview --replay --json` and of the page's data.
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
            "shortened": self.shortened.iter().map(Shortened::to_json).collect::<Vec<_>>(),
            "sign_ins": guesses.sign_ins,
            "locked_out": guesses.locked_out,
            "refused_earlier": guesses.refused_earlier,
            "let_through": guesses.let_through,
            "locks": guesses.locks,
            "locked_out_sign_ins": guesses.newest().map(LockedOut::to_json).collect::<Vec<_>>(),
        })
    }
}

/// What no record shows, whatever the draft.
const CANNOT_SHOW: [&str; 4] = [
    "Only the sign-in, the latest activity, moves between networks and what the audit recorded are known of a session; \
     what hangs on requests between them is told as possible.",
    "A certain end came at the instant told or before; a possible one at that instant at the earliest.",
    "Every session is judged with its owner's role of today and as if it had entered its applications at the sign-in.",
    "People would have signed in again after an earlier end: those sessions are not made up.",
];

impl Shortened {
    /// One row of the list.
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

impl LockedOut {
    /// One row of the list.
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

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
