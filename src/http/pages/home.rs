//! `/`: my sessions, and what happened on my account lately.

use super::{Shell, filters, page};
use crate::{
    domain::{
        account::ExpiryRule,
        agent,
        audit::Outcome,
        session::{EndReason, SessionId},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, accounts, audit,
        rows::AuditRow,
        sessions::{self, SessionView},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        paths,
        step_up::Confirmed,
        visitor::Member,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use uuid::Uuid;

const EVENTS_SHOWN: i64 = 20;

#[derive(Template)]
#[template(path = "pages/home.html")]
struct HomePage {
    shell: Shell,
    sessions: Vec<SessionCard>,
    events: Vec<EventLine>,
    /// The account expires soon.
    expiry: Option<Timestamp>,
}

struct SessionCard {
    id: String,
    this: bool,
    device: String,
    ip: String,
    signed_in: Timestamp,
    last_active: Timestamp,
    /// When, and by which rule.
    ends: Option<(Timestamp, String)>,
    network_changes: u32,
}

struct EventLine {
    at: Timestamp,
    sentence: String,
    outcome_ok: bool,
    ip: String,
    device: String,
}

pub async fn show(req: HttpRequest, ctx: web::Data<Ctx>, member: Member) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let mut cards: Vec<SessionCard> = sessions::mine(&ctx, visitor.account)
        .await?
        .iter()
        .map(|view| card(view, visitor.session))
        .collect();
    cards.sort_by_key(|card| !card.this);
    let events = audit::of_account(&ctx, visitor.account, EVENTS_SHOWN)
        .await?
        .iter()
        .map(line)
        .collect();
    let expiry = soon_expiring(&ctx, &member).await?;
    page(
        StatusCode::OK,
        &HomePage {
            shell: Shell::member(&req, &ctx, &member, "My sessions", "home"),
            sessions: cards,
            events,
            expiry,
        },
    )
}

/// Ends another of my sessions; somebody else's is as unknown as none.
pub async fn end(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(member, ()): Confirmed<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = Uuid::parse_str(&id).map_err(|_| PageError::NotFound)?;
    if !sessions::end_mine(&ctx, &member.0.acting, member.0.account, SessionId(id)).await? {
        return Err(PageError::NotFound);
    }
    Ok(flash::redirect(&req, paths::HOME, &Flash::ok("The session was ended.")))
}

pub async fn end_others(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(member, ()): Confirmed<Member, ()>,
) -> Result<HttpResponse, PageError> {
    let ended = sessions::end_others(&ctx, &member.0.acting, member.0.account, member.0.session).await?;
    let words = match ended {
        0 => "There was no other session.".to_owned(),
        1 => "One other session was ended.".to_owned(),
        ended => format!("{ended} other sessions were ended."),
    };
    Ok(flash::redirect(&req, paths::HOME, &Flash::ok(words)))
}

fn card(view: &SessionView, this: SessionId) -> SessionCard {
    let session = &view.row.session;
    SessionCard {
        id: session.id.0.to_string(),
        this: session.id == this,
        device: agent::describe(session.binding.user_agent.as_deref()),
        ip: session.ip.to_string(),
        signed_in: session.signed_in_at,
        last_active: view.last_active_at,
        ends: view.ends.map(|end| (end.at, rule_words(end.reason).to_owned())),
        network_changes: session.binding.changes,
    }
}

fn rule_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => "if idle until then",
        EndReason::WindowClosed => "once its window is closed",
        EndReason::Renewal => "renewals are used up",
        _ => "its lifetime is over",
    }
}

fn line(row: &AuditRow) -> EventLine {
    EventLine {
        at: row.at,
        sentence: row.event.sentence().to_owned(),
        outcome_ok: row.outcome == Outcome::Success,
        ip: row.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        device: row
            .user_agent
            .as_deref()
            .map(|text| agent::describe(Some(text)))
            .unwrap_or_default(),
    }
}

/// An account with a live session expires by its date only; within the notice it is told.
async fn soon_expiring(ctx: &Ctx, member: &Member) -> Result<Option<Timestamp>, PageError> {
    let visitor = &member.0;
    let notice = visitor.policy.accounts.expiry_notice.unwrap_or(Span::ZERO);
    let expires = accounts::detail(ctx, visitor.account)
        .await?
        .and_then(|detail| detail.view.expires);
    Ok(expires
        .filter(|(at, rule)| *rule == ExpiryRule::ExpiresAt && at.since(ctx.now()) <= notice)
        .map(|(at, _)| at))
}
