//! `/`: my sessions, and what happened on my account lately.

use super::{Shell, event_line::EventLine, filters, page};
use crate::{
    domain::{
        account::ExpiryRule,
        agent,
        notice::Notice,
        policy::Scope,
        session::{EndReason, SessionId},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx,
        accounts::{self, AccountView},
        audit, email_change, notices,
        sessions::{self, SessionView},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::Form,
        paths,
        step_up::{Confirmed, Critical},
        visitor::Member,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

const EVENTS_SHOWN: i64 = 15;

#[derive(Template)]
#[template(path = "pages/home.html")]
struct HomePage {
    shell: Shell,
    sessions: Vec<SessionCard>,
    events: Vec<EventLine>,
    /// The account expires soon.
    expiry: Option<Timestamp>,
    name: String,
    display_name: String,
    email: Option<String>,
    /// Another address that waits to be confirmed.
    pending_email: Option<email_change::Pending>,
    password_changed: Timestamp,
    expires_at: Option<Timestamp>,
    /// Kinds of letters that policy sends.
    notices: Vec<NoticeChoice>,
}

struct NoticeChoice {
    code: &'static str,
    label: &'static str,
    wanted: bool,
    /// It cannot be switched off.
    always: bool,
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
    applications: Vec<String>,
    network_changes: u32,
}

pub async fn show(req: HttpRequest, ctx: web::Data<Ctx>, member: Member) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let mut cards: Vec<SessionCard> = sessions::mine(&ctx, visitor.account)
        .await?
        .iter()
        .map(|view| card(view, visitor.session))
        .collect();
    cards.sort_by_key(|card| !card.this);
    let events = audit::of_account(&ctx, visitor.account, EVENTS_SHOWN).await?;
    let view = accounts::view(&ctx, visitor.account)
        .await?
        .ok_or(PageError::NotFound)?;
    let expiry = soon_expiring(&ctx, &member, &view);
    let chosen = notices::chosen(&ctx, visitor.account, visitor.role).await?;
    let pending_email = email_change::pending(&ctx, visitor.account).await?;
    let account = view.account;
    page(
        StatusCode::OK,
        &HomePage {
            shell: Shell::member(&req, &ctx, &member, "My account", "home"),
            sessions: cards,
            events: events.iter().map(|row| EventLine::new(row, account.id)).collect(),
            expiry,
            name: account.name,
            display_name: account.display_name,
            email: account.email,
            pending_email,
            password_changed: account.password_changed_at,
            expires_at: account.expires_at,
            notices: chosen
                .into_iter()
                .map(|(notice, wanted)| NoticeChoice {
                    code: notice.as_str(),
                    label: notice.label(),
                    wanted,
                    always: notice.always(),
                })
                .collect(),
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
    let visitor = &member.0;
    let id = session_id(&id)?;
    let ended = sessions::end_mine(&ctx, &visitor.acting, visitor.account, id).await?;
    ended.then_some(()).ok_or(PageError::NotFound)?;
    Ok(flash::redirect(&req, paths::HOME, &Flash::ok("The session was ended.")))
}

/// Ends a session that its owner does not know, and leads on to another password: whoever used it knows the one of today.
pub async fn disown(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(member, ()): Confirmed<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let id = session_id(&id)?;
    let ended = sessions::disown_mine(&ctx, &visitor.acting, visitor.account, id).await?;
    ended.then_some(()).ok_or(PageError::NotFound)?;
    let words = "The session was ended. Now choose another password: whoever opened it may know yours.";
    Ok(flash::redirect(&req, paths::PASSWORD, &Flash::ok(words)))
}

fn session_id(text: &str) -> Result<SessionId, PageError> {
    Uuid::parse_str(text).map(SessionId).map_err(|_| PageError::NotFound)
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

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// Codes of the kinds that are wanted.
    notice: Vec<String>,
}

impl Critical for Chosen {}

/// `POST /notices`: which letters I want.
pub async fn choose_notices(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(member, form): Confirmed<Member, Form<Chosen>>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let offered = notices::chosen(&ctx, visitor.account, visitor.role).await?;
    let offered: Vec<Notice> = offered.into_iter().map(|(notice, _)| notice).collect();
    let wanted = |notice: &Notice| form.0.notice.iter().any(|code| code == notice.as_str());
    let wanted = offered.iter().copied().filter(wanted).collect();
    notices::choose(&ctx, &visitor.acting, visitor.account, offered, wanted).await?;
    Ok(flash::redirect(
        &req,
        paths::HOME,
        &Flash::ok("Saved: these letters are sent from now on."),
    ))
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
        ends: view
            .ends
            .map(|end| (end.at, ends_words(end.reason, view.ends_scope.as_ref()))),
        applications: session.applications.clone(),
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

/// The rule, and whose it is when it is not everyone's.
fn ends_words(reason: EndReason, scope: Option<&Scope>) -> String {
    let rule = rule_words(reason);
    match scope {
        None | Some(Scope::Everyone) => rule.to_owned(),
        Some(Scope::Administrators) => format!("{rule} (rule for administrators)"),
        Some(Scope::Application(name)) => format!("{rule} (rule of {name})"),
    }
}

/// An account with a live session expires by its date only; within the notice it is told.
fn soon_expiring(ctx: &Ctx, member: &Member, view: &AccountView) -> Option<Timestamp> {
    let notice = member.0.policy.accounts.expiry_notice.unwrap_or(Span::ZERO);
    let by_date = view.expires.filter(|(_, rule)| *rule == ExpiryRule::ExpiresAt);
    by_date.map(|(at, _)| at).filter(|at| at.since(ctx.now()) <= notice)
}
