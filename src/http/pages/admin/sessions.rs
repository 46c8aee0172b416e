//! `/admin/sessions`: the list of sessions, and one session in full. `sessions/end` ends them.
use super::{
    audit_line::AuditLine,
    list::{ListQuery, PageEnds, href, write_place},
    part::Badge,
    session_line::{EndDetail, SessionLine},
};
use crate::{
    domain::{
        duration::humanize,
        network::session_network,
        policy::{Scope, Source, catalogue::Group, effective::ValidationPolicy},
        session::{DeviceKey, SessionId, SessionListState, SessionToken},
    },
    flows::{
        Ctx,
        sessions::{self, SessionDetail},
    },
    http::{
        error::PageError,
        forms::Query,
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use query::SessionListQuery;
use std::net::IpAddr;
use uuid::Uuid;
use view::{DeviceLine, GoverningSetting, SessionPage, SessionsPage, TokenLine};

mod end;
mod export;
mod query;
mod view;

/// Returns the routes of the sessions.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_SESSIONS, Audience::Administrator, list),
        Route::post(paths::ADMIN_SESSIONS_EXPORT, Audience::Administrator, export::download).step_up(),
        Route::get(paths::ADMIN_SESSIONS_END, Audience::Administrator, end::confirm),
        Route::post(paths::ADMIN_SESSIONS_END, Audience::Administrator, end::submit),
        Route::get(paths::ADMIN_SESSION, Audience::Administrator, detail),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<SessionListQuery>,
) -> Result<HttpResponse, PageError> {
    let state = query.state();
    let list = sessions::list(&ctx, query.filter(ctx.now())).await?;
    let ends = PageEnds::from_items(&list.items, list.newer, list.older, |view| {
        let cursor = view.row.cursor(state);
        write_place(cursor.at, cursor.id.0)
    });
    let can_end = list.total > 0
        && matches!(state, SessionListState::Active | SessionListState::Flagged)
        && query.faults().is_empty();
    let view = SessionsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Sessions", "sessions").await?,
        form: query.form(query.account_name(&ctx).await?, &*ctx.current_sources().await?),
        filtered: query.is_filtered(),
        kept: match state {
            SessionListState::Ended | SessionListState::All => ctx.in_force().everyone().retention.sessions,
            SessionListState::Active | SessionListState::Flagged => None,
        }
        .map(|kept| humanize(kept.as_secs())),
        rows: list
            .items
            .iter()
            .map(|view| SessionLine::new(view, admin.0.session))
            .collect(),
        total: list.total,
        total_exact: list.total_exact,
        noun: SessionListQuery::noun(state),
        pager: query.pager(ends, ("Newer", "Older")),
        export: query.export_links(paths::ADMIN_SESSIONS_EXPORT),
        end_all: can_end.then(|| query.href(paths::ADMIN_SESSIONS_END)),
        back: query.back_query(),
    };
    render_page(StatusCode::OK, &view)
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
    render_page(StatusCode::OK, &session_page(&ctx, shell, &detail, admin.0.session))
}

/// Describes the network of an address: by its prefix, and the group that it belongs to.
fn describe_network(ip: IpAddr, validation: &ValidationPolicy) -> String {
    let network = session_network(ip, validation.subnet_bits);
    match validation.groups.find(ip) {
        Some(group) => format!("{network}, in the network group {group}"),
        None => network.to_string(),
    }
}

fn session_page(ctx: &Ctx, shell: Shell, detail: &SessionDetail, yours: SessionId) -> SessionPage {
    let session = &detail.view.row.session;
    let in_force = ctx.in_force();
    let network = |ip| describe_network(ip, &in_force.everyone().validation);
    let accepted = [
        (
            "Accepted IPv4 network",
            session.binding.accepted_v4.map(|ip| network(ip.into())),
        ),
        (
            "Accepted IPv6 network",
            session.binding.accepted_v6.map(|ip| network(ip.into())),
        ),
    ];
    SessionPage {
        shell,
        line: SessionLine::new(&detail.view, yours),
        ended: EndDetail::new(&detail.view),
        user_agent: session
            .binding
            .user_agent
            .clone()
            .unwrap_or_else(|| "none was sent".to_owned()),
        signed_in_ip: session.signed_in_ip.to_string(),
        accepted: accepted
            .into_iter()
            .filter_map(|(label, network)| Some((label, network?)))
            .collect(),
        changes: session.binding.changes,
        first_change: session.binding.first_change_at,
        devices: session.devices.iter().map(device_line).collect(),
        tokens: session.tokens.iter().map(token_line).collect(),
        settings: governing_settings(ctx, detail),
        events: AuditLine::timeline(&detail.events),
        audit: href(paths::ADMIN_AUDIT, [("session", session.id.0.to_string().as_str())]),
    }
}

/// Names a host, as tokens store it.
fn host_label(host: &str) -> String {
    match host {
        "" => "Console".to_owned(),
        host => host.to_owned(),
    }
}

fn device_line(key: &DeviceKey) -> DeviceLine {
    DeviceLine {
        host: host_label(&key.host),
        registered: key.registered_at,
        proved: key.proved_at,
        key: key.thumbprint.chars().take(12).collect(),
    }
}

fn token_line(token: &SessionToken) -> TokenLine {
    let state = match (token.killed_at, token.rotated) {
        (Some(_), _) => Badge::plain("danger", "Revoked"),
        (None, Some(_)) => Badge::plain("pause", "Replaced"),
        (None, None) => Badge::ok("Current"),
    };
    TokenLine {
        host: host_label(&token.host),
        issued: token.issued_at,
        state,
        rotated: token
            .rotated
            .map(|(at, from, to)| (at, from.to_string(), to.to_string())),
    }
}

/// Returns the settings that decide how long it lives, what it is bound to and which attributes its
/// cookie has, with their sources.
fn governing_settings(ctx: &Ctx, detail: &SessionDetail) -> Vec<GoverningSetting> {
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
            // An application that inherits adds no rows.
            let mut kept: Vec<GoverningSetting> = Vec::new();
            for (value, source) in values {
                let source = describe_source(&source);
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

fn describe_source(source: &Source) -> String {
    match source {
        Source::Default => "default".to_owned(),
        Source::SetIn(Scope::Everyone) => "set for everyone".to_owned(),
        Source::SetIn(scope) => format!("set for {}", scope.label()),
        Source::Mode(mode) => format!("from mode {mode}"),
        Source::Pinned => "pinned by the environment".to_owned(),
    }
}
