//! `/`: the user's sessions, and recent events of the account.

use super::event_line::EventLine;
use crate::{
    domain::{
        account::Role,
        agent,
        application::Application,
        audit::Event,
        expiry::ExpiryRule,
        factor::EnrolledFactors,
        notification::NotificationKind,
        policy::{Scope, effective::EnrolmentBarrier},
        session::{EndReason, SessionId},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx,
        accounts::{self, AccountView},
        applications, audit, email_change, notices,
        sessions::{self, SessionView},
    },
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::Form,
        paths,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::{Member, Visitor},
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

const EVENTS_SHOWN: usize = 15;
/// Number of events that are read: each sign-in has a second one, which is left out.
const EVENTS_READ: i64 = 30;

#[derive(Template)]
#[template(path = "pages/home.html")]
struct HomePage {
    shell: Shell,
    sessions: Vec<SessionCard>,
    events: Vec<EventLine>,
    /// The offer of a second factor, for an account that has none.
    offer: Option<FactorOffer>,
    /// Second factors that the account has, in words.
    factors: String,
    /// The expiry date, if it is near.
    expiry: Option<Timestamp>,
    name: String,
    display_name: String,
    email: Option<String>,
    /// The requested address, if it is not confirmed yet.
    pending_email: Option<email_change::PendingEmailChange>,
    password_changed: Timestamp,
    /// The title of the source that keeps password and email address; `None`: they are kept here.
    keeper: Option<String>,
    expires_at: Option<Timestamp>,
    /// Applications to which the user has access: name and address.
    applications: Vec<(String, Option<String>)>,
    /// Kinds of notifications that the policy allows.
    notices: Vec<NoticeChoice>,
}

/// The offer to set up a second factor.
struct FactorOffer {
    /// The deadline, if the policy requires one.
    due: Option<Timestamp>,
    /// Whether only an enrolment link from an administrator opens the setup.
    needs_link: bool,
}

impl FactorOffer {
    /// Returns the offer for administrators who have none, and for people who must have one.
    fn new(visitor: &Visitor) -> Option<Self> {
        let due = visitor.admitted.enrol_by;
        let has_none = !visitor.admitted.account.factors.has_any();
        let is_offered = has_none && visitor.role == Role::Administrator;
        let (factors, admitted) = (&visitor.policy.factors, &visitor.admitted);
        let barrier = factors.enrolment_barrier(admitted.account.factors, admitted.proofs(), false);
        let needs_link = barrier == Some(EnrolmentBarrier::MissingLink);
        (due.is_some() || is_offered).then_some(Self { due, needs_link })
    }
}

/// Describes the second factors of an account in words.
fn describe_factors(factors: EnrolledFactors) -> String {
    let app = factors.authenticator_app.then(|| "authenticator app".to_owned());
    let passkeys = (factors.passkeys > 0).then(|| filters::format_count(i64::from(factors.passkeys), "passkey"));
    let all: Vec<String> = passkeys.into_iter().chain(app).collect();
    if all.is_empty() {
        "None".to_owned()
    } else {
        all.join(", ")
    }
}

struct NoticeChoice {
    code: &'static str,
    label: &'static str,
    wanted: bool,
    /// Whether it cannot be switched off.
    always: bool,
}

struct SessionCard {
    id: String,
    this: bool,
    device: String,
    ip: String,
    signed_in: Timestamp,
    /// What it proved, for display.
    proved: String,
    last_active: Timestamp,
    /// When it ends, and by which rule.
    ends: Option<(Timestamp, String)>,
    applications: Vec<String>,
    network_changes: u32,
}

/// `GET /`
pub async fn show(req: HttpRequest, ctx: web::Data<Ctx>, member: Member) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let mut cards: Vec<SessionCard> = sessions::list_own(&ctx, visitor.account)
        .await?
        .iter()
        .map(|view| card(view, visitor.session))
        .collect();
    cards.sort_by_key(|card| !card.this);
    let events = audit::of_account(&ctx, visitor.account, EVENTS_READ).await?;
    let view = accounts::view(&ctx, visitor.account)
        .await?
        .ok_or(PageError::NotFound)?;
    let expiry = expiry_soon(&ctx, &member, &view);
    let chosen = notices::choices(&ctx, visitor.account, visitor.role).await?;
    let pending_email = email_change::pending(&ctx, visitor.account).await?;
    let open = applications::list(&ctx).await?;
    let account = view.account;
    let open = open.into_iter().map(|view| view.application);
    let open = open.filter(|application| application.admits(account.role, &account.groups));
    render_page(
        StatusCode::OK,
        &HomePage {
            shell: Shell::member(&req, &ctx, &member, "My account", "home"),
            sessions: cards,
            applications: open
                .map(|application| application_link(&application, ctx.config.https()))
                .collect(),
            events: events
                .iter()
                // Its sign-in is listed already.
                .filter(|row| row.event != Event::SessionOpened)
                .take(EVENTS_SHOWN)
                .map(|row| EventLine::new(row, account.id))
                .collect(),
            offer: FactorOffer::new(visitor),
            keeper: ctx.source_title(&account),
            factors: describe_factors(visitor.admitted.account.factors),
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

/// `POST /sessions/{id}/end`: ends another session of the visitor; a session of someone else is not
/// found.
pub async fn end(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let id = session_id(&id)?;
    let ended = sessions::end_own_session(&ctx, &visitor.initiator, id).await?;
    ended.then_some(()).ok_or(PageError::NotFound)?;
    Ok(flash::redirect(&req, paths::HOME, &Flash::ok("The session was ended.")))
}

/// `POST /sessions/{id}/disown`: ends a session that its owner does not recognize and leads to the
/// password change, because the person who used the session may know the password.
pub async fn report_session(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let id = session_id(&id)?;
    let ended = sessions::report_own_session(&ctx, &visitor.initiator, visitor.account, id).await?;
    ended.then_some(()).ok_or(PageError::NotFound)?;
    let message = "The session was ended. Now choose a new password, because the person who signed in may know yours.";
    Ok(flash::redirect(&req, paths::PASSWORD, &Flash::ok(message)))
}

fn session_id(text: &str) -> Result<SessionId, PageError> {
    Uuid::parse_str(text).map(SessionId).map_err(|_| PageError::NotFound)
}

/// `POST /sessions/end-others`
pub async fn end_others(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
) -> Result<HttpResponse, PageError> {
    let ended = sessions::end_others(&ctx, &member.0.initiator).await?;
    let message = match ended {
        0 => "There was no other session.".to_owned(),
        1 => "One other session was ended.".to_owned(),
        ended => format!("{ended} other sessions were ended."),
    };
    Ok(flash::redirect(&req, paths::HOME, &Flash::ok(message)))
}

/// The email notifications that the user chose.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NotificationsForm {
    /// Codes of the kinds that are switched on.
    notice: Vec<String>,
}

impl CriticalForm for NotificationsForm {}

/// `POST /notices`: saves which notifications the visitor wants.
pub async fn choose_notices(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, form): ConfirmedVisitor<Member, Form<NotificationsForm>>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let offered = notices::choices(&ctx, visitor.account, visitor.role).await?;
    let offered: Vec<NotificationKind> = offered.into_iter().map(|(notice, _)| notice).collect();
    let wanted = |notice: &NotificationKind| form.0.notice.iter().any(|code| code == notice.as_str());
    let wanted = offered.iter().copied().filter(wanted).collect();
    notices::choose(&ctx, &visitor.initiator, visitor.account, offered, wanted).await?;
    Ok(flash::redirect(
        &req,
        paths::HOME,
        &Flash::ok("Saved. From now on you receive these emails."),
    ))
}

/// Returns an application's name and, unless its host is a pattern, its address.
fn application_link(application: &Application, https: bool) -> (String, Option<String>) {
    let host = application.hosts.first().map(ToString::to_string);
    let host = host.filter(|host| !host.contains('*'));
    let prefix = application.prefixes.first().cloned().unwrap_or_else(|| "/".to_owned());
    let scheme = if https { "https" } else { "http" };
    (
        application.name.clone(),
        host.map(|host| format!("{scheme}://{host}{prefix}")),
    )
}

fn card(view: &SessionView, this: SessionId) -> SessionCard {
    let session = &view.row.session;
    SessionCard {
        id: session.id.0.to_string(),
        this: session.id == this,
        device: agent::describe(session.binding.user_agent.as_deref()),
        ip: session.ip.to_string(),
        signed_in: session.signed_in_at,
        proved: session.proofs.display(),
        last_active: view.last_active_at,
        ends: view
            .ends
            .map(|end| (end.at, describe_end(end.reason, view.ends_scope.as_ref()))),
        applications: session.applications.clone(),
        network_changes: session.binding.changes,
    }
}

fn rule_label(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => "if idle until then",
        EndReason::WindowClosed => "once its window is closed",
        EndReason::Renewal => "renewals are used up",
        _ => "its lifetime is over",
    }
}

/// Describes the rule, and its scope if that is not everyone.
fn describe_end(reason: EndReason, scope: Option<&Scope>) -> String {
    let rule = rule_label(reason);
    match scope {
        None | Some(Scope::Everyone) => rule.to_owned(),
        Some(Scope::Administrators) => format!("{rule} (rule for administrators)"),
        Some(Scope::Application(name)) => format!("{rule} (rule of {name})"),
    }
}

/// Returns when the account expires, once that is near. An account with a live session expires only
/// by its set date.
fn expiry_soon(ctx: &Ctx, member: &Member, view: &AccountView) -> Option<Timestamp> {
    let notice = member.0.policy.accounts.expiry_notice.unwrap_or(Span::ZERO);
    let by_date = view.expires.filter(|(_, rule)| *rule == ExpiryRule::ExpiresAt);
    by_date.map(|(at, _)| at).filter(|at| at.since(ctx.now()) <= notice)
}
