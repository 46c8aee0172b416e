//! The query of the audit log: its filter, and the fields that repeat it.
use super::view::AuditFilterForm;
use crate::{
    domain::{
        audit::{AuditFilter, Event, EventOutcome},
        network,
        session::SessionId,
        time::{Span, Timestamp},
    },
    http::{
        pages::admin::{
            list::{
                FormFaults, ListQuery, PageQuery, faults, filled, limit, read_place, read_until, sizes, unknown,
                unknown_choice,
            },
            part::Choice,
        },
        paths,
    },
};
use serde::Deserialize;
use uuid::Uuid;

/// The filter of the audit, as its address spells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuditListQuery {
    pub q: String,
    /// A code, or the noun of a group of codes.
    pub event: String,
    pub without: Vec<String>,
    pub actor: String,
    pub account: String,
    pub session: String,
    pub ip: String,
    pub outcome: String,
    /// `1h`, `24h`, `7d` or `30d` before now.
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

impl ListQuery for AuditListQuery {
    const PATH: &'static str = paths::ADMIN_AUDIT;

    fn fields(&self) -> Vec<(&'static str, &str)> {
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
        ];
        fields
            .into_iter()
            .chain(self.without.iter().map(|code| ("without", code.as_str())))
            .collect()
    }

    fn place(&self) -> PageQuery<'_> {
        PageQuery {
            after: &self.after,
            before: &self.before,
            limit: &self.limit,
        }
    }

    fn faults(&self) -> FormFaults {
        let time = |text: &str| {
            let unread = filled(text).filter(|text| read_until(text).is_none());
            unread.map(|_| "Enter a date and time, such as 2026-11-21 17:20.".to_owned())
        };
        let ip = filled(&self.ip).filter(|ip| network::parse_filter(ip).is_none());
        let event = Some(&self.event).filter(|event| !event.is_empty() && self.events().is_empty());
        let without = self.without.iter().find(|code| Event::parse(code).is_none());
        let session = Some(&self.session).filter(|id| !id.is_empty() && self.session().is_none());
        faults([
            ("q", session.map(|id| unknown("session", id))),
            ("event", event.or(without).map(|code| unknown("event", code))),
            ("outcome", unknown_choice(&OUTCOMES, &self.outcome, "outcome")),
            (
                "ip",
                ip.map(|_| "Enter an IP address or a network, such as 10.0.0.0/8.".to_owned()),
            ),
            ("range", unknown_choice(&RANGES, &self.range, "time range")),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
        ])
    }
}

impl AuditListQuery {
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

    /// Returns the filter of the query at `now`.
    pub fn filter(&self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            events: self.events(),
            exclude_events: self.without.iter().filter_map(|code| Event::parse(code)).collect(),
            actor: filled(&self.actor),
            account: filled(&self.account),
            account_id: None,
            session: self.session(),
            network: network::parse_filter(&self.ip),
            outcome: EventOutcome::parse(&self.outcome),
            since: self.range(now).max(Timestamp::parse_written(&self.since)),
            until: read_until(&self.until),
            text: filled(&self.q),
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }

    /// Returns the filter of the page. A sign-in opens its session, in one write, and is one row:
    /// the opening has a row only where the filter is about it. Exports have both.
    pub fn page_filter(&self, now: Timestamp) -> AuditFilter {
        let mut filter = self.filter(now);
        let opened = Event::SessionOpened;
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let is_sought = text.is_some_and(|text| opened.as_str().contains(&text));
        if filter.events.is_empty() && !is_sought && !filter.exclude_events.contains(&opened) {
            filter.exclude_events.push(opened);
        }
        filter
    }

    /// Returns the filter form.
    pub fn form(&self) -> AuditFilterForm {
        AuditFilterForm {
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

    /// Returns the codes by their noun; a noun with several codes can be chosen as a whole.
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
mod tests;
