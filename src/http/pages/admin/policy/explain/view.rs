//! The data of the page: the form, and for each policy the end, the chart, its events and the
//! values.
use super::{
    drawing::{Drawing, Scale},
    time_format::ShortTimeFormat,
};
use crate::{
    domain::{
        account::Role,
        policy::{Scope, Source, effective::Policy},
        session::AccountState,
        simulate::explain::{MarkKind, Provenance, Timeline, TimelineEnd},
        time::Timestamp,
    },
    flows::explain::{ExplainedProofs, Explanation},
    http::{
        filters,
        pages::admin::{
            part::{Badge, Choice},
            policy::editor,
            session_line::end_reason_label,
        },
        shell::Shell,
    },
};
use askama::Template;
use uuid::Uuid;

/// The page: the form, and an answer for each policy.
#[derive(Template)]
#[template(path = "pages/admin/policy/explain.html")]
pub struct ExplainPage {
    pub shell: Shell,
    pub form: ExplainForm,
    /// The answers under the policy in force, and under a draft.
    pub answers: Vec<PolicyAnswer>,
    /// The requested session, if it has ended.
    pub past: Option<EndedSession>,
    pub dev: bool,
}

/// The form’s fields as they are shown again.
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
    /// Whether the collapsed part is open.
    pub more: bool,
    pub faults: Vec<(String, String)>,
}

/// A session that has ended already.
pub struct EndedSession {
    pub account: String,
    pub at: Timestamp,
    pub reason: &'static str,
    /// The person who ended it, if any.
    pub by: Option<String>,
}

/// The answer under one policy.
pub struct PolicyAnswer {
    /// The number that makes the IDs of this answer unique.
    pub number: usize,
    /// The policy's name.
    pub under: String,
    /// Whether the session has ended already.
    pub past: bool,
    pub whom: String,
    /// What a real session has proved.
    pub proved: Option<String>,
    /// The device to which a real session is bound.
    pub device: Option<String>,
    /// What the identity provider of a real session says.
    pub provider: Option<String>,
    /// Why the account cannot sign in now.
    pub standing: Option<&'static str>,
    pub end: Option<EndLine>,
    /// The end that comes even with constant activity; `None`: the same as `end`.
    pub latest: Option<EndLine>,
    pub others: Vec<EndLine>,
    pub followed: Option<String>,
    pub drawing: Drawing,
    pub events: Vec<TimelineEventLine>,
    pub set: Vec<ValueLine>,
    pub defaults: Vec<ValueLine>,
}

/// An end, and the rule that causes it.
pub struct EndLine {
    pub at: Timestamp,
    /// The time, as short as the timeline allows.
    pub when: String,
    pub reason: &'static str,
    /// The setting's key and label, its place in the editor, and the scope of the rule.
    pub rule: Option<(&'static str, &'static str, String, String)>,
    pub sentence: String,
}

/// A number in the chart, and its event.
pub struct TimelineEventLine {
    pub number: usize,
    pub at: Timestamp,
    pub when: String,
    pub sentence: String,
    pub bad: bool,
}

/// One setting’s value, and its source.
pub struct ValueLine {
    pub label: &'static str,
    pub key: &'static str,
    pub value: String,
    pub source: Badge,
    pub href: String,
    /// Whether this is the rule that decides, of several for a lifetime.
    pub binds: bool,
}

/// The policy of an answer.
pub struct ExplainedPolicy<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
    /// The draft in which its settings are edited, if it is one.
    pub draft: Option<Uuid>,
    /// Whether the session ended under it.
    pub past: bool,
}

impl PolicyAnswer {
    /// Returns the answer number `number` on the page.
    pub fn new(number: usize, under: &ExplainedPolicy<'_>, explained: &Explanation, scale: &Scale) -> Self {
        let timeline = &explained.timeline;
        let clock = ShortTimeFormat::for_timeline(timeline);
        let events = events(timeline, &clock, under.past);
        let (set, defaults): (Vec<_>, Vec<_>) = explained.values.iter().partition(|value| !value.is_default());
        let end_line = |end: &TimelineEnd| end_line(end, &clock, under.draft);
        let value_line = |row: &Provenance| value_line(row, under.draft);
        Self {
            number,
            under: under.name.to_owned(),
            past: under.past,
            whom: describe_subject(explained),
            proved: explained.proved.as_ref().map(ExplainedProofs::sentence),
            device: explained
                .device
                .as_ref()
                .map(|device| device.sentence(|at| clock.read(at))),
            provider: explained
                .provider
                .as_ref()
                .map(|provider| provider.sentence(|at| clock.read(at))),
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
            drawing: Drawing::new(timeline, &clock, scale),
            events,
            set: set.into_iter().map(value_line).collect(),
            defaults: defaults.into_iter().map(value_line).collect(),
        }
    }
}

fn describe_subject(explained: &Explanation) -> String {
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

/// Returns marks in order with the end among them, as the chart numbers them.
fn events(timeline: &Timeline, clock: &ShortTimeFormat, past: bool) -> Vec<TimelineEventLine> {
    let end = timeline.end.as_ref();
    let marks = timeline.marks.iter().map(|mark| {
        let late = end.is_some_and(|end| mark.at > end.at);
        (late, mark.at, mark.sentence.clone(), mark.kind == MarkKind::Refused)
    });
    let mut all: Vec<_> = marks.collect();
    let before = all.iter().filter(|(late, ..)| !late).count();
    if let Some(end) = end {
        let verb = if past { "Ended" } else { "Ends" };
        let sentence = format!("{verb} ({}). {}", end_reason_label(end.reason), end.sentence);
        all.insert(before, (false, end.at, sentence, true));
    }
    let line = |(index, (_, at, sentence, bad)): (usize, (bool, Timestamp, String, bool))| TimelineEventLine {
        number: index + 1,
        at,
        when: clock.read(at),
        sentence,
        bad,
    };
    all.into_iter().enumerate().map(line).collect()
}

fn end_line(end: &TimelineEnd, clock: &ShortTimeFormat, draft: Option<Uuid>) -> EndLine {
    EndLine {
        at: end.at,
        when: clock.read(end.at),
        reason: end_reason_label(end.reason),
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

/// Returns the setting's row in the editor of the scope.
fn place(scope: &Scope, key: &str, draft: Option<Uuid>) -> String {
    format!("{}#{}", editor::href(scope, draft), filters::setting_anchor(key))
}

fn value_line(row: &Provenance, draft: Option<Uuid>) -> ValueLine {
    let setting = row.key.setting();
    // The scope that sets it, so that it can be changed there.
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
