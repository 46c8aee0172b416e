//! A preview in words and in JSON: said once, so that the page and the command line say the same.

use serde_json::{Value, json};

use super::{Affected, Ends, Preview};
use crate::domain::{
    policy::effective::EffectivePolicy,
    session::EndReason,
    time::{Span, Timestamp},
};

impl Preview {
    /// The effect in one sentence: "Ends 17 of 128 sessions now, including yours."
    pub fn sentence(&self) -> String {
        if self.live == 0 {
            return "No session is live now.".to_owned();
        }
        let ended = match self.ends_now {
            0 => "none".to_owned(),
            some => some.to_string(),
        };
        let own = match &self.own {
            None => String::new(),
            Some(own) if own.now => ", including yours".to_owned(),
            Some(own) => {
                let left = own.draft.at.unwrap_or(self.now).since(self.now);
                format!(", and yours in {}{}", roughly(left), condition(own.draft.reason))
            }
        };
        format!("Ends {ended} of {} now{own}.", sessions(self.live))
    }

    /// What there is to say besides, a sentence each.
    pub fn further(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.at_next_request > 0 {
            let how = if self.at_next_request == self.ends_now {
                "They"
            } else {
                "Of these,"
            };
            said.push(match (how, self.at_next_request) {
                ("They", 1) => "It ends at its next request from where it was last seen.".to_owned(),
                ("They", _) => "They end at their next request from where they were last seen.".to_owned(),
                (_, 1) => "Of these, 1 ends at its next request from where it was last seen.".to_owned(),
                (_, n) => format!("Of these, {n} end at their next request from where they were last seen."),
            });
        }
        match self.own_others_now {
            0 => {}
            1 => said.push("Another session of yours ends now.".to_owned()),
            n => said.push(format!("{n} other sessions of yours end now.")),
        }
        let sooner = &self.sooner;
        if sooner.total() > 0 {
            let spread = [
                (sooner.minute, "within a minute"),
                (sooner.hour, "within an hour"),
                (sooner.day, "within a day"),
                (sooner.beyond, "after more than a day"),
            ];
            let spread: Vec<String> = spread
                .into_iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, when)| format!("{n} {when}"))
                .collect();
            said.push(format!(
                "{} sooner than today if nothing more happens: {}.",
                ends(sooner.total()),
                spread.join(", ")
            ));
        }
        if self.later > 0 {
            said.push(format!("{} later than today.", ends(self.later)));
        }
        if self.freed > 0 {
            let (verb, whose) = if self.freed == 1 {
                ("is", "it has")
            } else {
                ("are", "they have")
            };
            said.push(format!(
                "{} {verb} freed of the end that {whose} today.",
                sessions(self.freed)
            ));
        }
        if self.duties > 0 {
            let whose = if self.duties == 1 {
                "session's account"
            } else {
                "sessions' accounts"
            };
            said.push(format!(
                "{} {whose} must change the password before anything else.",
                self.duties
            ));
        }
        said
    }

    /// The form of `policy preview --json` and of the page's data.
    pub fn to_json(&self) -> Value {
        let rules = self.by_rule.iter().map(|((reason, scope), count)| {
            json!({
                "rule": reason.as_str(),
                "scope": scope.to_string(),
                "now": count.now,
                "sooner": count.sooner,
            })
        });
        json!({
            "at": self.now.to_rfc3339(),
            "sentence": self.sentence(),
            "further": self.further(),
            "live": self.live,
            "ends_now": self.ends_now,
            "at_next_request": self.at_next_request,
            "sooner": {
                "total": self.sooner.total(),
                "within_a_minute": self.sooner.minute,
                "within_an_hour": self.sooner.hour,
                "within_a_day": self.sooner.day,
                "after_a_day": self.sooner.beyond,
            },
            "later": self.later,
            "freed": self.freed,
            "must_change_password": self.duties,
            "rules": rules.collect::<Vec<_>>(),
            "matching": self.matching,
            "affected": self.affected().map(Affected::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Affected {
    /// One row of the list and of its export.
    pub fn to_json(&self) -> Value {
        let at = |ends: &Ends| ends.at.map(Timestamp::to_rfc3339);
        json!({
            "session": self.id.0,
            "account": self.name,
            "ip": self.ip,
            "user_agent": self.user_agent,
            "ends_today": self.today.as_ref().and_then(at),
            "ends_today_by": self.today.as_ref().map(|ends| ends.reason.as_str()),
            "ends": at(&self.draft),
            "ends_by": self.draft.reason.as_str(),
            "scope": self.draft.scope.to_string(),
            "now": self.now,
        })
    }
}

/// What no preview of this draft can know, a sentence each.
pub fn unforeseen(today: &EffectivePolicy, draft: &EffectivePolicy) -> Vec<&'static str> {
    let mut said = Vec::new();
    let (was, will) = (&today.validation, &draft.validation);
    if will.user_agent && (!was.user_agent || (was.family && !will.family)) {
        said.push(
            "The draft compares browsers more strictly. Only the browser of the sign-in is kept: a session whose browser \
             has been updated or replaced since ends at its next request, and is not counted.",
        );
    }
    if will.ip && (!was.ip || was.subnet_bits < will.subnet_bits) {
        said.push(
            "The draft compares networks more strictly. Sessions are judged from the address where they were last seen; \
             people who move afterwards are not counted.",
        );
    }
    if draft.concurrent_limit > 0 && (today.concurrent_limit == 0 || draft.concurrent_limit < today.concurrent_limit) {
        said.push("A lower limit of sessions ends none now: it is asked at the next sign-in.");
    }
    said
}

fn sessions(n: u64) -> String {
    if n == 1 {
        "1 session".to_owned()
    } else {
        format!("{n} sessions")
    }
}

fn ends(n: u64) -> String {
    if n == 1 {
        "1 session ends".to_owned()
    } else {
        format!("{n} sessions end")
    }
}

/// The unless of an end that can still be put off.
fn condition(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => " without activity",
        EndReason::WindowClosed => " without an open window",
        EndReason::SignedOut
        | EndReason::Revoked
        | EndReason::AccountDisabled
        | EndReason::AccountExpired
        | EndReason::Ttl
        | EndReason::Renewal
        | EndReason::UserAgent
        | EndReason::Network
        | EndReason::NetworkAllowance
        | EndReason::RotatedReuse
        | EndReason::PasswordChanged
        | EndReason::SessionLimit => "",
    }
}

/// "4 minutes": in the largest unit that there is one of, rounded to the nearest.
fn roughly(left: Span) -> String {
    let secs = left.as_secs_ceil();
    let rounded = |unit: i64| (secs + unit / 2) / unit;
    let (n, unit) = match (secs, rounded(60), rounded(3_600)) {
        (0..60, ..) => (secs, "second"),
        (_, minutes @ 0..60, _) => (minutes, "minute"),
        (_, _, hours @ 0..24) => (hours, "hour"),
        (..) => (rounded(86_400), "day"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}
