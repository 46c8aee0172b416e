//! The review's two looks ahead and back: what the draft does to the live sessions (with the list of them, and its export), and
//! what it would have done in the last days.
use super::review::{draft_id, reviewed};
use super::view::{EffectLine, EffectView, LockedLine, PastLine, ReplayView, RuleLine, When};
use crate::domain::agent;
use crate::domain::policy::{PolicyDocument, Scope};
use crate::domain::session::EndReason;
use crate::domain::simulate::preview::{Affected, Ends, Listing, Viewer};
use crate::domain::simulate::replay::Shortened;
use crate::flows::replay::{Days, replay};
use crate::flows::{Ctx, FlowError, preview};
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::admin::export::{Chunk, Format, stream};
use crate::http::pages::admin::list::{filled, href};
use crate::http::pages::admin::part::Choice;
use crate::http::pages::admin::session_line::reason_words;
use crate::http::paths;
use crate::http::step_up::Confirmed;
use crate::http::visitor::Admin;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A part of the user's name, an address or a network.
    q: String,
    rule: String,
    /// `7d` or `30d`.
    replay: String,
}

impl Asked {
    fn listing(&self) -> Listing {
        Listing {
            text: filled(&self.q),
            rule: EndReason::parse(&self.rule),
        }
    }
}

/// What the draft does to the sessions that are live now.
pub async fn effect(
    ctx: &Ctx,
    admin: &Admin,
    id: Uuid,
    document: &PolicyDocument,
    asked: &Asked,
) -> Result<EffectView, FlowError> {
    let viewer = Viewer {
        account: admin.0.acting.account_id(),
        session: admin.0.acting.session,
    };
    let listing = asked.listing();
    let filtered = listing != Listing::default();
    let effect = preview::effect(ctx, document.clone(), viewer, listing).await?;
    let preview = effect.preview;
    let id = id.to_string();
    let export = |format| {
        let pairs = [
            ("draft", id.as_str()),
            ("format", format),
            ("q", &asked.q),
            ("rule", &asked.rule),
        ];
        href(paths::ADMIN_POLICY_REVIEW_EXPORT, pairs)
    };
    let reasons: Vec<(&str, &str)> = preview
        .rules()
        .into_iter()
        .map(|reason| (reason.as_str(), reason_words(reason)))
        .collect();
    Ok(EffectView {
        now: preview.now(),
        sentence: preview.sentence(),
        further: preview.further(),
        unforeseen: effect.unforeseen,
        rules: preview
            .by_rule
            .iter()
            .map(|((reason, scope), count)| rule(*reason, scope, count.now, count.sooner))
            .collect(),
        total: number(preview.affected_total()),
        matching: number(preview.matching),
        rows: preview
            .affected()
            .map(|one| line(one, viewer.session == Some(one.id)))
            .collect(),
        choices: Choice::list([("", "Any")].into_iter().chain(reasons), &asked.rule),
        q: asked.q.clone(),
        filtered,
        csv: export("csv"),
        json: export("json"),
    })
}

fn rule(reason: EndReason, scope: &Scope, first: u64, second: u64) -> RuleLine {
    RuleLine {
        rule: reason_words(reason).to_owned(),
        scope: scope.label(),
        first: number(first),
        second: number(second),
    }
}

/// As the console's counts are written.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn line(one: &Affected, yours: bool) -> EffectLine {
    EffectLine {
        id: one.id.0.to_string(),
        account: one.name.clone(),
        yours,
        device: agent::describe(one.user_agent.as_deref()),
        ip: one.ip.to_string(),
        today: one.today.as_ref().map_or(When::Never, when),
        draft: if one.now && one.draft.at.is_some() {
            When::Now
        } else {
            when(&one.draft)
        },
        by: reason_words(one.draft.reason),
        scope: one.draft.scope.label(),
    }
}

fn when(ends: &Ends) -> When {
    ends.at.map_or(When::NextRequest, When::At)
}

/// What the draft would have done; `None`: nobody asked.
pub async fn past(ctx: &Ctx, document: &PolicyDocument, asked: &Asked) -> Result<Option<ReplayView>, FlowError> {
    let Some(days) = Days::parse(&asked.replay) else {
        return Ok(None);
    };
    let report = replay(ctx, document.clone(), days).await?;
    Ok(Some(ReplayView {
        sentences: report.sentences(),
        limits: report.limits(),
        rules: report
            .by_rule
            .iter()
            .map(|((reason, scope), count)| rule(*reason, scope, count.certain, count.possible))
            .collect(),
        rows: report.shortened.iter().map(past_line).collect(),
        locked: report
            .guesses
            .newest()
            .map(|one| LockedLine {
                account: one.attempt.name.clone(),
                at: one.attempt.at,
                ip: one.attempt.ip.to_string(),
                certainty: one.certainty.as_str(),
            })
            .collect(),
    }))
}

fn past_line(Shortened { record, draft }: &Shortened) -> PastLine {
    PastLine {
        id: record.id.0.to_string(),
        account: record.name.clone(),
        device: agent::describe(record.user_agent.as_deref()),
        ip: record.ip.to_string(),
        signed_in: record.life.signed_in_at,
        ended: record.ended.map(|(at, reason)| (at, reason_words(reason))),
        would_end: draft.at,
        by: reason_words(draft.reason),
        scope: draft.scope.label(),
        certainty: draft.certainty.as_str(),
    }
}

const COLUMNS: &[&str] = &[
    "session",
    "account",
    "ip",
    "user_agent",
    "ends_today",
    "ends_today_by",
    "ends",
    "ends_by",
    "scope",
    "now",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    draft: String,
    format: Format,
}

/// `GET /admin/policy/review/export` (`POST`, with the password that was asked for): all affected sessions that match, in the fields of `policy preview --json`.
pub async fn download(
    ctx: web::Data<Ctx>,
    Confirmed(admin, ()): Confirmed<Admin, ()>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    let review = reviewed(&ctx, &admin, draft_id(&wanted.0.draft)?).await?;
    let walk = Arc::new(preview::walk(&ctx, review.document, asked.0.listing()).await?);
    let fetch = move |after| {
        let walk = walk.clone();
        async move {
            let (affected, next) = walk.page(after).await?;
            Ok(Chunk {
                records: affected.iter().map(Affected::to_json).collect(),
                next: next.map(Some),
            })
        }
    };
    Ok(stream("policy-preview", wanted.0.format, COLUMNS, None, fetch).await?)
}
