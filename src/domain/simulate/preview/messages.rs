//! The messages and the JSON of a preview, shared by the page and the command line.

use serde_json::{Value, json};

use super::{AffectedSession, ExpectedEnd, Preview};
use crate::{
    policy::effective::EffectivePolicy,
    session::EndReason,
    time::{Span, Timestamp},
};

impl Preview {
    /// Returns the impact in one sentence: "Ends 17 of 128 sessions now, including yours."
    pub fn sentence(&self) -> String {
        if self.live == 0 {
            return "No session is live now.".to_owned();
        }
        let ended = self.ends_now;
        let own = match &self.own {
            None => String::new(),
            Some(own) if own.now => ", including yours".to_owned(),
            Some(own) => {
                let left = own.draft.at.unwrap_or(self.now).since(self.now);
                format!(", and yours in {}{}", format_rounded(left), condition(own.draft.reason))
            }
        };
        format!("Ends {ended} of {} now{own}.", counted(self.live, "session"))
    }

    /// Returns further sentences about the impact.
    pub fn other_sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.at_next_request > 0 {
            let how = if self.at_next_request == self.ends_now {
                "They"
            } else {
                "Of these,"
            };
            sentences.push(match (how, self.at_next_request) {
                ("They", 1) => "It ends at its next request from where it was last seen.".to_owned(),
                ("They", _) => "They end at their next request from where they were last seen.".to_owned(),
                (_, 1) => "Of these, 1 ends at its next request from where it was last seen.".to_owned(),
                (_, n) => format!("Of these, {n} end at their next request from where they were last seen."),
            });
        }
        match self.own_others_now {
            0 => {}
            1 => sentences.push("Another session of yours ends now.".to_owned()),
            n => sentences.push(format!("{n} other sessions of yours end now.")),
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
            let other = if self.ends_now > 0 { "other " } else { "" };
            sentences.push(format!(
                "{} will end earlier than under the current policy without further activity: {}.",
                counted(sooner.total(), &format!("{other}session")),
                spread.join(", ")
            ));
        }
        if self.later > 0 {
            let later = counted(self.later, "session");
            sentences.push(format!("{later} will end later than under the current policy."));
        }
        if self.freed > 0 {
            let verb = if self.freed == 1 { "ends" } else { "end" };
            sentences.push(format!(
                "{} no longer {verb} as under the current policy.",
                counted(self.freed, "session")
            ));
        }
        sentences.extend(self.duty_sentences());
        sentences.extend(self.device_sentence());
        sentences
    }

    /// Returns a sentence for each duty that comes before anything else.
    fn duty_sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let accounts = |n: u64| {
            format!(
                "The account{} of {}",
                if n == 1 { "" } else { "s" },
                counted(n, "session")
            )
        };
        if self.duties > 0 {
            let accounts = accounts(self.duties);
            sentences.push(format!("{accounts} must change the password before anything else."));
        }
        if self.must_prove > 0 {
            let sessions = counted(self.must_prove, "session");
            sentences.push(format!("{sessions} must prove a second factor before anything else."));
        }
        if self.must_enrol > 0 {
            let accounts = accounts(self.must_enrol);
            sentences.push(format!("{accounts} must enrol a second factor before anything else."));
        }
        sentences
    }

    /// Says how many sessions the draft stops because they are not bound to a device.
    fn device_sentence(&self) -> Option<String> {
        let devices = &self.devices;
        let stopped = counted(devices.stopped, "session");
        let verb = if devices.stopped == 1 { "is" } else { "are" };
        (devices.stopped > 0).then(|| {
            format!(
                "{stopped} {verb} not bound to a device and {verb} refused until their users sign in again with a \
                 browser that can; {} of {} live sessions use such a browser.",
                devices.bound + devices.bindable,
                self.live
            )
        })
    }

    /// Converts to the JSON of `policy preview --json` and of the page's data.
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
            "further": self.other_sentences(),
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
            "must_prove_factor": self.must_prove,
            "must_enrol_factor": self.must_enrol,
            "device_bound": self.devices.bound,
            "device_bindable": self.devices.bindable,
            "device_stops": self.devices.stopped,
            "rules": rules.collect::<Vec<_>>(),
            "matching": self.matching,
            "affected": self.affected().map(AffectedSession::to_json).collect::<Vec<_>>(),
        })
    }
}

impl AffectedSession {
    /// Converts to one row of the list and of its export.
    pub fn to_json(&self) -> Value {
        let at = |ends: &ExpectedEnd| ends.at.map(Timestamp::to_rfc3339);
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

/// Returns what no preview of this draft can predict, one sentence each.
pub fn unforeseen(today: &EffectivePolicy, draft: &EffectivePolicy) -> Vec<&'static str> {
    let mut sentences = Vec::new();
    let (was, will) = (&today.validation, &draft.validation);
    if will.user_agent && (!was.user_agent || (was.family && !will.family)) {
        sentences.push(
            "The draft compares browsers more strictly. Only the browser at sign-in is stored: a session whose \
             browser was updated or replaced since then ends at its next request and is not counted.",
        );
    }
    let is_narrower = was.subnet_bits < will.subnet_bits || !was.groups.is_covered_by(&will.groups);
    if will.ip && (!was.ip || is_narrower) {
        sentences.push(
            "The draft compares networks more strictly. Sessions are judged from the address where they were last \
                 seen; \
             users who change networks afterwards are not counted.",
        );
    }
    if draft.concurrent_limit > 0 && (today.concurrent_limit == 0 || draft.concurrent_limit < today.concurrent_limit) {
        sentences.push("A lower session limit ends no session now: it applies at the next sign-in.");
    }
    sentences
}

fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Returns the condition of an end that can still be postponed.
fn condition(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => " without activity",
        EndReason::WindowClosed => " without an open window",
        EndReason::SignedOut
        | EndReason::Revoked
        | EndReason::AccountDisabled
        | EndReason::Directory
        | EndReason::AccountExpired
        | EndReason::Ttl
        | EndReason::Renewal
        | EndReason::UserAgent
        | EndReason::Network
        | EndReason::NetworkAllowance
        | EndReason::RotatedReuse
        | EndReason::PasswordChanged
        | EndReason::IdentityProvider
        | EndReason::SessionLimit => "",
    }
}

/// Formats a duration in its largest unit, rounded to the nearest: "4 minutes".
fn format_rounded(left: Span) -> String {
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
