//! The impact of a draft: on the live sessions (with the list of them, and its export), and on the
//! recorded sessions of the last days.

pub mod picture;

use super::{
    drafts::{find_review, parse_draft_id},
    view::{
        EndTime, FactorImpactLine, FactorImpactView, ImpactLine, ImpactView, LockedLine, PastLine, ReplayView, RuleLine,
    },
};
use crate::{
    domain::{
        account::AccountId,
        agent,
        duration::humanize,
        policy::{PolicyDocument, Scope},
        session::EndReason,
        simulate::{
            factors::FactorImpact,
            preview::{AffectedSession, ExpectedEnd, Listing, Viewer},
            replay::ShortenedSession,
        },
        time::Timestamp,
    },
    flows::{
        Ctx, FlowError, preview,
        replay::{ReplayPeriod, replay},
    },
    http::{
        error::PageError,
        forms::Query,
        pages::admin::{
            export::{ExportChunk, ListFormat, stream},
            list::{filled, href},
            part::Choice,
            session_line::end_reason_label,
        },
        paths,
        step_up::ConfirmedVisitor,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, web};
use picture::ImpactPicture;
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// Which affected sessions to list, and which days to replay.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImpactQuery {
    /// Part of the user's name, an address or a network.
    q: String,
    rule: String,
    /// `7d` or `30d`.
    replay: String,
}

impl ImpactQuery {
    fn listing(&self) -> Listing {
        Listing {
            text: filled(&self.q),
            rule: EndReason::parse(&self.rule),
        }
    }
}

/// Returns the impact of the draft on live sessions.
pub async fn impact(
    ctx: &Ctx,
    admin: &Admin,
    id: Uuid,
    document: &PolicyDocument,
    query: &ImpactQuery,
) -> Result<ImpactView, FlowError> {
    let viewer = Viewer {
        account: admin.0.initiator.account_id(),
        session: admin.0.initiator.session,
    };
    let listing = query.listing();
    let filtered = listing != Listing::default();
    let effect = preview::effect(ctx, document.clone(), viewer, listing).await?;
    let preview = effect.preview;
    let id = id.to_string();
    let export = |format| {
        let pairs = [
            ("draft", id.as_str()),
            ("format", format),
            ("q", &query.q),
            ("rule", &query.rule),
        ];
        href(paths::ADMIN_POLICY_REVIEW_EXPORT, pairs)
    };
    let reasons: Vec<(&str, &str)> = preview
        .rules()
        .into_iter()
        .map(|reason| (reason.as_str(), end_reason_label(reason)))
        .collect();
    let affected: Vec<&AffectedSession> = preview.affected().collect();
    Ok(ImpactView {
        picture: ImpactPicture::new(&affected, preview.now()),
        now: preview.now(),
        sentence: preview.sentence(),
        further: preview.other_sentences(),
        factors: effect.factors.map(|factors| factor_view(&factors, viewer.account)),
        unforeseen: effect.unforeseen,
        rules: preview
            .by_rule
            .iter()
            .map(|((reason, scope), count)| rule(*reason, scope, count.now, count.sooner))
            .collect(),
        total: number(preview.affected_total()),
        matching: number(preview.matching),
        rows: affected
            .iter()
            .map(|one| impact_line(one, viewer.session == Some(one.id)))
            .collect(),
        choices: Choice::list([("", "Any")].into_iter().chain(reasons), &query.rule),
        q: query.q.clone(),
        filtered,
        csv: export("csv"),
        json: export("json"),
    })
}

fn factor_view(impact: &FactorImpact, viewer: Option<AccountId>) -> FactorImpactView {
    FactorImpactView {
        sentences: impact.sentences(),
        total: number(impact.affected_total()),
        rows: impact
            .affected()
            .map(|one| FactorImpactLine {
                href: format!("{}/{}", paths::ADMIN_ACCOUNTS, one.id.0),
                account: one.name.clone(),
                yours: viewer == Some(one.id),
                role: one.role.as_str(),
                consequence: one.display(),
            })
            .collect(),
    }
}

fn rule(reason: EndReason, scope: &Scope, first: u64, second: u64) -> RuleLine {
    RuleLine {
        rule: end_reason_label(reason).to_owned(),
        scope: scope.label(),
        first: number(first),
        second: number(second),
    }
}

/// Converts a number for the console's counts.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn impact_line(one: &AffectedSession, yours: bool) -> ImpactLine {
    ImpactLine {
        id: one.id.0.to_string(),
        account: one.name.clone(),
        yours,
        device: agent::describe(one.user_agent.as_deref()),
        ip: one.ip.to_string(),
        today: one.today.as_ref().map_or(EndTime::Never, end_time),
        draft: if one.now && one.draft.at.is_some() {
            EndTime::Now
        } else {
            end_time(&one.draft)
        },
        by: end_reason_label(one.draft.reason),
        scope: one.draft.scope.label(),
    }
}

fn end_time(ends: &ExpectedEnd) -> EndTime {
    ends.at.map_or(EndTime::NextRequest, EndTime::At)
}

/// Replays the draft on the recorded sessions; `None` when the query asks for no replay.
pub async fn replay_view(
    ctx: &Ctx,
    document: &PolicyDocument,
    query: &ImpactQuery,
) -> Result<Option<ReplayView>, FlowError> {
    let Some(days) = ReplayPeriod::parse(&query.replay) else {
        return Ok(None);
    };
    let now = ctx.now();
    let report = replay(ctx, document.clone(), days).await?;
    Ok(Some(ReplayView {
        sentences: report.sentences(),
        limits: report.limits(),
        rules: report
            .by_rule
            .iter()
            .map(|((reason, scope), count)| rule(*reason, scope, count.certain, count.possible))
            .collect(),
        rows: report.shortened.iter().map(|one| past_line(one, now)).collect(),
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

fn past_line(ShortenedSession { record, draft }: &ShortenedSession, now: Timestamp) -> PastLine {
    let ended = record.ended.map_or(now, |(at, _)| at);
    PastLine {
        id: record.id.0.to_string(),
        account: record.name.clone(),
        device: agent::describe(record.user_agent.as_deref()),
        ip: record.ip.to_string(),
        signed_in: record.life.signed_in_at,
        ended: record.ended.map(|(at, reason)| (at, end_reason_label(reason))),
        would_end: draft.at,
        earlier: format!("{} earlier", humanize(ended.since(draft.at).as_secs().max(1))),
        by: end_reason_label(draft.reason),
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

/// Which draft’s impact to export, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImpactExportQuery {
    draft: String,
    format: ListFormat,
}

/// `GET /admin/policy/review/export` (`POST` after the password was entered): all affected sessions
/// that match, with the fields of `policy preview --json`.
pub async fn download(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, ()): ConfirmedVisitor<Admin, ()>,
    query: Query<ImpactQuery>,
    export_query: Query<ImpactExportQuery>,
) -> Result<HttpResponse, PageError> {
    let review = find_review(&req, &ctx, &admin, parse_draft_id(&export_query.0.draft)?).await?;
    let walk = Arc::new(preview::walk(&ctx, review.document, query.0.listing()).await?);
    let fetch = move |after| {
        let walk = walk.clone();
        async move {
            let (affected, next) = walk.page(after).await?;
            Ok(ExportChunk {
                records: affected.iter().map(AffectedSession::to_json).collect(),
                next: next.map(Some),
            })
        }
    };
    Ok(stream("policy-preview", export_query.0.format, COLUMNS, None, fetch).await?)
}
