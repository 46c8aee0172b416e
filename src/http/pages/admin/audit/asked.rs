//! The query of the audit: what was asked, the filter it means, and the fields that ask it again.
use super::view::FilterForm;
use crate::domain::audit::{Event, Outcome};
use crate::domain::network;
use crate::domain::session::SessionId;
use crate::domain::time::{Span, Timestamp};
use crate::flows::rows::AuditFilter;
use crate::http::pages::admin::list::{Faults, faults, filled, limit, none_of, none_such, read_place, sizes};
use crate::http::pages::admin::part::Choice;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub q: String,
    /// A code, or the noun of a group of codes.
    pub event: String,
    pub without: Vec<String>,
    pub actor: String,
    pub account: String,
    pub session: String,
    pub ip: String,
    pub outcome: String,
    /// `1h`, `24h`, `7d`, `30d`: back from now.
    pub range: String,
    pub since: String,
    pub until: String,
    pub after: String,
    pub before: String,
    pub limit: String,
}

const RANGES: [(&str, &str); 5] = [
    ("", "Any"),
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
];
const OUTCOMES: [(&str, &str); 3] = [("", "Any"), ("success", "OK"), ("failure", "Failed")];

/// A day or a second as the end of a range is the whole of it, to its last microsecond.
fn until(text: &str) -> Option<Timestamp> {
    const DAY: usize = "2026-11-21".len();
    const SECOND: usize = "2026-11-21 17:20:05".len();
    let at = Timestamp::parse_written(text)?;
    let whole = match text.trim().trim_end_matches(['Z', 'z']).len() {
        DAY => Span::from_secs(86_400),
        SECOND => Span::from_secs(1),
        _ => return Some(at),
    };
    Some(at.saturating_add(whole).saturating_sub(Span::from_micros(1)))
}

impl Asked {
    fn events(&self) -> Vec<Event> {
        match Event::parse(&self.event) {
            Some(event) => vec![event],
            None => Event::ALL
                .iter()
                .copied()
                .filter(|event| !self.event.is_empty() && event.group() == self.event)
                .collect(),
        }
    }

    fn session(&self) -> Option<SessionId> {
        Uuid::parse_str(&self.session).ok().map(SessionId)
    }

    fn range(&self, now: Timestamp) -> Option<Timestamp> {
        let hours = match self.range.as_str() {
            "1h" => 1,
            "24h" => 24,
            "7d" => 7 * 24,
            "30d" => 30 * 24,
            _ => return None,
        };
        Some(now.saturating_sub(Span::from_secs(hours * 3600)))
    }

    pub fn faults(&self) -> Faults {
        let time = |text: &str| {
            let unread = filled(text).filter(|text| until(text).is_none());
            unread.map(|_| "Write a date and time, like 2026-11-21 17:20.".to_owned())
        };
        let ip = filled(&self.ip).filter(|ip| network::parse_filter(ip).is_none());
        let event = Some(&self.event).filter(|event| !event.is_empty() && self.events().is_empty());
        let without = self.without.iter().find(|code| Event::parse(code).is_none());
        let session = Some(&self.session).filter(|id| !id.is_empty() && self.session().is_none());
        faults([
            ("q", session.map(|id| none_such("session", id))),
            ("event", event.or(without).map(|code| none_such("event", code))),
            ("outcome", none_of(&OUTCOMES, &self.outcome, "outcome")),
            (
                "ip",
                ip.map(|_| "Write an address or a network, like 10.0.0.0/8.".to_owned()),
            ),
            ("range", none_of(&RANGES, &self.range, "range of time")),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
        ])
    }

    pub fn filter(&self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            events: self.events(),
            exclude_events: self.without.iter().filter_map(|code| Event::parse(code)).collect(),
            actor: filled(&self.actor),
            account: filled(&self.account),
            account_id: None,
            session: self.session(),
            network: network::parse_filter(&self.ip),
            outcome: Outcome::parse(&self.outcome),
            since: self.range(now).max(Timestamp::parse_written(&self.since)),
            until: until(&self.until),
            text: filled(&self.q),
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }

    pub fn is_filtered(&self) -> bool {
        let fields = [
            &self.q,
            &self.event,
            &self.actor,
            &self.account,
            &self.session,
            &self.ip,
            &self.outcome,
            &self.range,
            &self.since,
            &self.until,
        ];
        !self.without.is_empty() || fields.iter().any(|field| !field.trim().is_empty())
    }

    /// Everything but the place in the list.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        let fields = [
            ("q", self.q.trim()),
            ("event", &self.event),
            ("actor", self.actor.trim()),
            ("account", self.account.trim()),
            ("session", &self.session),
            ("ip", self.ip.trim()),
            ("outcome", &self.outcome),
            ("range", &self.range),
            ("since", self.since.trim()),
            ("until", self.until.trim()),
            ("limit", &self.limit),
        ];
        fields
            .into_iter()
            .chain(self.without.iter().map(|code| ("without", code.as_str())))
            .collect()
    }

    pub fn form(&self) -> FilterForm {
        FilterForm {
            ranges: Choice::list(RANGES, &self.range),
            since: self.since.clone(),
            until: self.until.clone(),
            events: self.event_choices(),
            any_event: self.event.is_empty(),
            without: self.without.clone(),
            actor: self.actor.clone(),
            account: self.account.clone(),
            session: self.session().map(|id| id.0.to_string()),
            ip: self.ip.clone(),
            outcomes: Choice::list(OUTCOMES, &self.outcome),
            q: self.q.clone(),
            sizes: sizes(&self.limit),
            faults: self.faults(),
        }
    }

    /// The codes by their noun; a noun with several codes can be chosen whole.
    fn event_choices(&self) -> Vec<(&'static str, Vec<Choice>)> {
        let mut groups: Vec<(&'static str, Vec<Choice>)> = Vec::new();
        for event in Event::ALL {
            let group = event.group();
            let choice = |value: &str, label: String| Choice {
                value: value.to_owned(),
                label,
                selected: self.event == value,
            };
            if !groups.iter().any(|(name, _)| *name == group) {
                let several = Event::ALL.iter().filter(|other| other.group() == group).count() > 1;
                groups.push((
                    group,
                    if several {
                        vec![choice(group, format!("{group}: all"))]
                    } else {
                        Vec::new()
                    },
                ));
            }
            if let Some((_, choices)) = groups.iter_mut().find(|(name, _)| *name == group) {
                choices.push(choice(event.as_str(), event.sentence().to_owned()));
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_or_a_second_at_the_end_of_a_range_is_all_of_it() {
        for (written, meant) in [
            ("2026-11-21", "2026-11-21T23:59:59.999999Z"),
            ("2026-11-21 17:20", "2026-11-21T17:20:00Z"),
            ("2026-11-21 17:20:05", "2026-11-21T17:20:05.999999Z"),
            ("2026-11-21T17:20:05Z", "2026-11-21T17:20:05.999999Z"),
            ("2026-11-21T17:20:05.25Z", "2026-11-21T17:20:05.25Z"),
        ] {
            assert_eq!(until(written), Timestamp::parse_rfc3339(meant), "{written}");
        }
    }

    #[test]
    fn a_noun_asks_for_all_its_events() {
        let asked = Asked {
            event: "sign_in".into(),
            ..Asked::default()
        };
        assert_eq!(
            asked.filter(Timestamp::default()).events,
            [Event::SignInAccepted, Event::SignInRefused, Event::SignInDisowned]
        );
        let unknown = Asked {
            event: "nonsense".into(),
            ..Asked::default()
        };
        assert!(unknown.filter(Timestamp::default()).events.is_empty());
    }
}
