//! What the page shows: the form, and for each policy asked the end, the picture, its events and the values.
use super::drawing::Drawing;
use crate::domain::account::Role;
use crate::domain::policy::effective::Policy;
use crate::domain::policy::{Scope, Source};
use crate::domain::session::AccountState;
use crate::domain::simulate::explain::{Ending, MarkKind, Provenance, Timeline};
use crate::domain::time::Timestamp;
use crate::flows::explain::Explained;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::{Badge, Choice};
use crate::http::pages::admin::policy::editor;
use crate::http::pages::admin::session_line::reason_words;
use askama::Template;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "pages/admin/policy/explain.html")]
pub struct ExplainPage {
    pub shell: Shell,
    pub form: ExplainForm,
    /// Under the policy in force, and under a draft.
    pub answers: Vec<Answer>,
    /// The session asked about is over.
    pub over: Option<Over>,
    pub dev: bool,
}

pub struct ExplainForm {
    /// Empty: a session that begins with a sign-in.
    pub session: String,
    /// Empty: only the policy in force.
    pub draft: String,
    pub account: String,
    pub roles: Vec<Choice>,
    pub app: String,
    pub signed_in: String,
    pub active: String,
    pub every: String,
    pub manners: Vec<Choice>,
    pub path: String,
    pub pause: String,
    pub window: String,
    pub ip: String,
    pub moves: String,
    /// The folded part is open.
    pub more: bool,
    pub faults: Vec<(String, String)>,
}

pub struct Over {
    pub account: String,
    pub at: Timestamp,
    pub reason: &'static str,
}

pub struct Answer {
    /// Makes the ids of this answer its own.
    pub number: usize,
    /// The policy's name.
    pub under: String,
    pub whom: String,
    /// Why the account could not sign in today.
    pub standing: Option<&'static str>,
    pub end: Option<EndLine>,
    /// However active it is; `None`: the same as `end`.
    pub latest: Option<EndLine>,
    pub others: Vec<EndLine>,
    pub followed: Option<String>,
    pub drawing: Drawing,
    pub events: Vec<EventLine>,
    pub set: Vec<ValueLine>,
    pub defaults: Vec<ValueLine>,
}

pub struct EndLine {
    pub at: Timestamp,
    /// As short as the timeline allows.
    pub when: String,
    pub reason: &'static str,
    /// The setting's key and label, its place in the editor, and whose rule it is.
    pub rule: Option<(&'static str, &'static str, String, String)>,
    pub sentence: String,
}

/// A number in the picture, and what it stands for.
pub struct EventLine {
    pub number: usize,
    pub at: Timestamp,
    pub when: String,
    pub sentence: String,
    pub bad: bool,
}

pub struct ValueLine {
    pub label: &'static str,
    pub key: &'static str,
    pub value: String,
    pub source: Badge,
    pub href: String,
    /// Of several rules for a lifetime, the one that comes first.
    pub binds: bool,
}

/// The policy that an answer is asked of.
pub struct Under<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
    /// Where its settings are edited, when it is a draft.
    pub draft: Option<Uuid>,
}

impl Answer {
    pub fn new(number: usize, under: &Under<'_>, explained: &Explained) -> Self {
        let timeline = &explained.timeline;
        let clock = Clock::of(timeline);
        let events = events(timeline, &clock);
        let (set, defaults): (Vec<_>, Vec<_>) = explained.values.iter().partition(|value| !value.is_default());
        let end_line = |end: &Ending| end_line(end, &clock, under.draft);
        let value_line = |row: &Provenance| value_line(row, under.draft);
        Self {
            number,
            under: under.name.to_owned(),
            whom: whom(explained),
            standing: match explained.account {
                Some((_, AccountState::Disabled)) => Some("This account is disabled: it cannot sign in."),
                Some((_, AccountState::Expired)) => Some("This account has expired: it cannot sign in."),
                Some((_, AccountState::Enabled)) | None => None,
            },
            latest: timeline
                .latest
                .as_ref()
                .filter(|latest| timeline.end.as_ref() != Some(latest))
                .map(end_line),
            others: timeline.others.iter().map(end_line).collect(),
            end: timeline.end.as_ref().map(end_line),
            followed: timeline.followed_until.map(|at| clock.read(at)),
            drawing: Drawing::new(timeline, &clock),
            events,
            set: set.into_iter().map(value_line).collect(),
            defaults: defaults.into_iter().map(value_line).collect(),
        }
    }
}

fn whom(explained: &Explained) -> String {
    let role = match explained.role {
        Role::Member => "a member",
        Role::Administrator => "an administrator",
    };
    let who = match &explained.account {
        Some((name, _)) => format!("{name}, {role}"),
        None => role.to_owned(),
    };
    match explained.applications.as_slice() {
        [] => who,
        names => format!("{who}, in {}", names.join(", ")),
    }
}

/// Marks in order with the end among them: as the picture numbers them.
fn events(timeline: &Timeline, clock: &Clock) -> Vec<EventLine> {
    let end = timeline.end.as_ref();
    let marks = timeline.marks.iter().map(|mark| {
        let late = end.is_some_and(|end| mark.at > end.at);
        (late, mark.at, mark.sentence.clone(), mark.kind == MarkKind::Refused)
    });
    let mut all: Vec<_> = marks.collect();
    let before = all.iter().filter(|(late, ..)| !late).count();
    if let Some(end) = end {
        let sentence = format!("Ends ({}). {}", reason_words(end.reason), end.sentence);
        all.insert(before, (false, end.at, sentence, true));
    }
    let line = |(index, (_, at, sentence, bad)): (usize, (bool, Timestamp, String, bool))| EventLine {
        number: index + 1,
        at,
        when: clock.read(at),
        sentence,
        bad,
    };
    all.into_iter().enumerate().map(line).collect()
}

fn end_line(end: &Ending, clock: &Clock, draft: Option<Uuid>) -> EndLine {
    EndLine {
        at: end.at,
        when: clock.read(end.at),
        reason: reason_words(end.reason),
        rule: end.key.map(|key| {
            let setting = key.setting();
            (
                setting.name,
                setting.label,
                place(&end.scope, setting.name, draft),
                end.scope.label(),
            )
        }),
        sentence: end.sentence.clone(),
    }
}

/// The setting's row in the editor of the scope.
fn place(scope: &Scope, key: &str, draft: Option<Uuid>) -> String {
    format!("{}#{key}", editor::href(scope, draft))
}

fn value_line(row: &Provenance, draft: Option<Uuid>) -> ValueLine {
    let setting = row.key.setting();
    // Where it is set, so that it can be changed there.
    let scope = match &row.source {
        Source::SetIn(scope) => scope,
        Source::Default | Source::Mode(_) | Source::Pinned => &Scope::Everyone,
    };
    ValueLine {
        label: setting.label,
        key: setting.name,
        value: setting.display(&row.value),
        source: match &row.source {
            Source::SetIn(by) if *by == row.scope => Badge::info(format!("Set for {}", by.label())).with_icon("ok"),
            source => editor::badge(source, &row.scope, row.set_here),
        },
        href: place(scope, setting.name, draft),
        binds: row.binds,
    }
}

/// Writes times as short as the timeline allows.
pub struct Clock {
    day: Option<String>,
}

impl Clock {
    fn of(timeline: &Timeline) -> Self {
        let day = |at: Timestamp| at.to_rfc3339().get(..10).map(str::to_owned);
        let last = timeline.end.as_ref().map_or(timeline.begin, |end| end.at);
        Self {
            day: day(timeline.signed_in_at).filter(|first| day(last).as_ref() == Some(first)),
        }
    }

    /// `08:30`, `08:30:20`, or `2026-11-22 08:30` when the timeline is longer than its day.
    pub fn read(&self, at: Timestamp) -> String {
        let words = filters::utc_words(at);
        let (date, time) = (
            words.get(..10).unwrap_or_default(),
            words.get(11..19).unwrap_or_default(),
        );
        let time = time.strip_suffix(":00").unwrap_or(time);
        if self.day.as_deref() == Some(date) {
            time.to_owned()
        } else {
            format!("{date} {time}")
        }
    }
}
