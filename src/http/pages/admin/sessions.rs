//! `/admin/sessions`: who is signed in where, and one session in full. Ending them is in `sessions/end`.
use super::audit_line::AuditLine;
use super::list::{href, pager, place, query};
use super::part::Badge;
use super::session_line::SessionLine;
use crate::domain::duration::humanize;
use crate::domain::network::session_network;
use crate::domain::policy::catalogue::Group;
use crate::domain::policy::{Scope, Source};
use crate::domain::session::SessionId;
use crate::flows::rows::{ListState, SessionFilter, Token};
use crate::flows::sessions::{self, SessionDetail};
use crate::flows::{Ctx, accounts};
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use asked::Asked;
use uuid::Uuid;
use view::{GoverningSetting, SessionPage, SessionsPage, TokenLine};

pub mod asked;
pub mod end;
pub mod export;
pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_SESSIONS, Who::Administrator, list),
        Route::post(paths::ADMIN_SESSIONS_EXPORT, Who::Administrator, export::download).step_up(),
        Route::get(paths::ADMIN_SESSIONS_END, Who::Administrator, end::confirm),
        Route::post(paths::ADMIN_SESSIONS_END, Who::Administrator, end::submit),
        Route::get(paths::ADMIN_SESSION, Who::Administrator, detail),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let state = asked.state();
    let list = sessions::list(&ctx, asked.filter(ctx.now())).await?;
    let at = |view: &sessions::SessionView| {
        let cursor = view.row.cursor(state);
        place(cursor.at, cursor.id.0)
    };
    let newer = list.items.first().filter(|_| list.newer).map(at);
    let older = list.items.last().filter(|_| list.older).map(at);
    let pairs = asked.pairs();
    let export = |format| {
        href(
            paths::ADMIN_SESSIONS_EXPORT,
            pairs.iter().copied().chain([("format", format)]),
        )
    };
    let can_end =
        list.total > 0 && matches!(state, ListState::Active | ListState::Flagged) && asked.faults().is_empty();
    let view = SessionsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Sessions", "sessions").await?,
        form: asked.form(account_name(&ctx, &asked).await?),
        filtered: asked.is_filtered(),
        kept: match state {
            ListState::Ended | ListState::All => ctx.in_force().everyone().retention.sessions,
            ListState::Active | ListState::Flagged => None,
        }
        .map(|kept| humanize(kept.as_secs())),
        rows: list
            .items
            .iter()
            .map(|view| SessionLine::new(view, admin.0.session))
            .collect(),
        total: list.total,
        total_exact: list.total_exact,
        noun: asked::noun(state),
        pager: pager(paths::ADMIN_SESSIONS, &pairs, newer, older, ("Newer", "Older")),
        csv: export("csv"),
        json: export("json"),
        end_all: can_end.then(|| href(paths::ADMIN_SESSIONS_END, pairs.iter().copied())),
        back: query(
            pairs
                .iter()
                .copied()
                .chain([("after", asked.after.as_str()), ("before", asked.before.as_str())]),
        ),
    };
    page(StatusCode::OK, &view)
}

/// The name behind `account=ID`.
async fn account_name(ctx: &Ctx, asked: &Asked) -> Result<Option<String>, PageError> {
    match asked.account() {
        Some(id) => Ok(accounts::name_of(ctx, id).await?),
        None => Ok(None),
    }
}

/// Whether the visitor's own session is among those that match.
async fn includes_mine(ctx: &Ctx, admin: &Admin, filter: &SessionFilter) -> Result<bool, PageError> {
    if filter.account.is_some_and(|account| account != admin.0.account) {
        return Ok(false);
    }
    let mut filter = SessionFilter {
        account: Some(admin.0.account),
        after: None,
        before: None,
        limit: 100,
        ..filter.clone()
    };
    loop {
        let list = sessions::list(ctx, filter.clone()).await?;
        if list.items.iter().any(|view| view.row.session.id == admin.0.session) {
            return Ok(true);
        }
        match list.items.last() {
            Some(last) if list.older => filter.after = Some(last.row.cursor(filter.state)),
            Some(_) | None => return Ok(false),
        }
    }
}

async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = Uuid::parse_str(&id).map(SessionId).map_err(|_| PageError::NotFound)?;
    let detail = sessions::detail(&ctx, id).await?.ok_or(PageError::NotFound)?;
    let shell = Shell::admin(
        &req,
        &ctx,
        &admin,
        format!("Session of {}", detail.account.name),
        "sessions",
    )
    .await?;
    page(StatusCode::OK, &shown(&ctx, shell, &detail, admin.0.session))
}

fn shown(ctx: &Ctx, shell: Shell, detail: &SessionDetail, yours: SessionId) -> SessionPage {
    let session = &detail.view.row.session;
    let bits = ctx.in_force().everyone().validation.subnet_bits;
    let accepted = [
        (
            "Accepted IPv4 network",
            session.binding.accepted_v4.map(|ip| session_network(ip.into(), bits)),
        ),
        (
            "Accepted IPv6 network",
            session.binding.accepted_v6.map(|ip| session_network(ip.into(), bits)),
        ),
    ];
    SessionPage {
        shell,
        line: SessionLine::new(&detail.view, yours),
        user_agent: session
            .binding
            .user_agent
            .clone()
            .unwrap_or_else(|| "none was sent".to_owned()),
        signed_in_ip: session.signed_in_ip.to_string(),
        accepted: accepted
            .into_iter()
            .filter_map(|(label, network)| Some((label, network?.to_string())))
            .collect(),
        changes: session.binding.changes,
        first_change: session.binding.first_change_at,
        agent_mismatches: session.user_agent_mismatches,
        tokens: session.tokens.iter().map(token_line).collect(),
        settings: governing(ctx, detail),
        events: detail.events.iter().map(AuditLine::new).collect(),
        audit: href(paths::ADMIN_AUDIT, [("session", session.id.0.to_string().as_str())]),
    }
}

fn token_line(token: &Token) -> TokenLine {
    let state = match (token.killed_at, token.rotated) {
        (Some(_), _) => Badge::plain("danger", "Void"),
        (None, Some(_)) => Badge::plain("pause", "Replaced"),
        (None, None) => Badge::ok("Current"),
    };
    TokenLine {
        host: if token.host.is_empty() {
            "Nightlatch itself".to_owned()
        } else {
            token.host.clone()
        },
        issued: token.issued_at,
        state,
        rotated: token
            .rotated
            .map(|(at, from, to)| (at, from.to_string(), to.to_string())),
    }
}

/// The settings that decide how long it lives, what it is bound to and which attributes its cookie has, with their provenance.
fn governing(ctx: &Ctx, detail: &SessionDetail) -> Vec<GoverningSetting> {
    let policy = &ctx.in_force().policy;
    let applications = &detail.view.row.session.applications;
    [Group::Lifetimes, Group::Validation, Group::Cookie]
        .iter()
        .flat_map(|group| group.settings())
        .flat_map(|setting| {
            let own = std::iter::once(None);
            let entered = applications
                .iter()
                .filter(|_| setting.applications)
                .map(|name| Some(name.as_str()));
            let values = own
                .chain(entered)
                .map(|application| policy.value(setting.key, detail.account.role, application));
            // An application that inherits says nothing of its own.
            let mut kept: Vec<GoverningSetting> = Vec::new();
            for (value, source) in values {
                let source = source_words(&source);
                if !kept.iter().any(|known| known.source == source) {
                    kept.push(GoverningSetting {
                        label: setting.label,
                        key: setting.name,
                        value: setting.display(&value),
                        source,
                    });
                }
            }
            kept
        })
        .collect()
}

fn source_words(source: &Source) -> String {
    match source {
        Source::Default => "default".to_owned(),
        Source::SetIn(Scope::Everyone) => "set for everyone".to_owned(),
        Source::SetIn(scope) => format!("set for {}", scope.label()),
        Source::Mode(mode) => format!("from mode {mode}"),
        Source::Pinned => "pinned by the environment".to_owned(),
    }
}
