//! The public pages, and what every page shares: the shell around it and the two ways to answer.

pub mod admin;
pub mod email;
mod event_line;
pub mod history;
pub mod home;
mod link_page;
pub mod login;
pub mod logout;
pub mod not_me;
pub mod operations;
pub mod password;
pub mod setup;
mod strength;

use super::{
    Route, Who, assets,
    error::PageError,
    filters,
    flash::{self, Flash},
    paths,
    visitor::{Admin, Member, Pending, Visitor},
};
use crate::{
    domain::{account::Role, time::Timestamp},
    flows::{Ctx, overview},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;

/// The routes of this folder.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::STATIC, Who::Anyone, assets::serve),
        Route::get(paths::HEALTHZ, Who::Anyone, operations::healthz),
        Route::get(paths::READYZ, Who::Anyone, operations::readyz),
        Route::get(paths::LOGIN, Who::Anyone, login::form),
        Route::post(paths::LOGIN, Who::Anyone, login::submit),
        Route::post(paths::LOGOUT, Who::Anyone, logout::submit),
        Route::get(paths::PASSWORD, Who::Pending, password::form),
        Route::post(paths::PASSWORD, Who::Pending, password::submit),
        Route::post(paths::PASSWORD_STRENGTH, Who::Pending, password::strength),
        Route::get(paths::PASSWORD_FORGOT, Who::Anyone, password::forgot::form),
        Route::post(paths::PASSWORD_FORGOT, Who::Anyone, password::forgot::submit),
        Route::get(paths::PASSWORD_RESET, Who::Anyone, password::reset::form),
        Route::post(paths::PASSWORD_RESET, Who::Anyone, password::reset::submit),
        Route::post(paths::PASSWORD_RESET_STRENGTH, Who::Anyone, password::reset::strength),
        Route::get(paths::CHANGE_PASSWORD, Who::Anyone, password::well_known),
        Route::get(paths::SETUP, Who::Anyone, setup::form),
        Route::post(paths::SETUP, Who::Anyone, setup::submit),
        Route::post(paths::SETUP_STRENGTH, Who::Anyone, setup::strength),
        Route::get(paths::HOME, Who::Member, home::show),
        Route::post(paths::SESSION_END, Who::Member, home::end).step_up(),
        Route::post(paths::SESSION_DISOWN, Who::Member, home::disown).step_up(),
        Route::post(paths::EMAIL, Who::Member, email::request).step_up(),
        Route::get(paths::EMAIL_CONFIRM, Who::Anyone, email::look),
        Route::post(paths::EMAIL_CONFIRM, Who::Anyone, email::confirm),
        Route::get(paths::EMAIL_CANCEL, Who::Anyone, email::look),
        Route::post(paths::EMAIL_CANCEL, Who::Anyone, email::cancel),
        Route::get(paths::NOT_ME, Who::Anyone, not_me::form),
        Route::post(paths::NOT_ME, Who::Anyone, not_me::submit),
        Route::post(paths::NOTICES, Who::Member, home::choose_notices).step_up(),
        Route::get(paths::HISTORY, Who::Member, history::show),
        Route::post(paths::SESSIONS_END_OTHERS, Who::Member, home::end_others).step_up(),
    ]
}

/// Who is shown in the corner.
#[derive(Debug, Clone)]
pub struct ShellUser {
    pub name: String,
    pub role_admin: bool,
}

/// Badges of the navigation.
#[derive(Debug, Clone)]
pub struct NavCounts {
    pub sessions: i64,
    /// There are more sessions than that.
    pub more: bool,
    pub locked: i64,
}

/// What `templates/base.html` draws around every page.
#[derive(Debug, Clone)]
pub struct Shell {
    pub title: String,
    /// The entry of the navigation that is open.
    pub active: &'static str,
    pub visitor: Option<ShellUser>,
    pub flash: Option<Flash>,
    pub path: String,
    pub now: Timestamp,
    pub dev: bool,
    pub counts: Option<NavCounts>,
    /// A policy that undoes itself unless an administrator confirms it.
    pub provisional: Option<ProvisionalView>,
}

/// The question that every administrator sees while a save waits for its confirmation.
#[derive(Debug, Clone)]
pub struct ProvisionalView {
    pub revision: i64,
    pub author: String,
    pub confirm_by: Timestamp,
    pub seconds: i64,
}

impl ProvisionalView {
    fn of(ctx: &Ctx) -> Option<Self> {
        let in_force = ctx.in_force();
        let provisional = in_force.provisional.as_ref()?;
        Some(Self {
            revision: in_force.policy.revision(),
            author: provisional.author.clone(),
            confirm_by: provisional.confirm_by,
            seconds: provisional.confirm_by.since(ctx.now()).as_secs_ceil(),
        })
    }
}

impl Shell {
    /// Around an administrator's page, with the counts of the navigation.
    pub async fn admin(
        req: &HttpRequest,
        ctx: &Ctx,
        admin: &Admin,
        title: impl Into<String>,
        active: &'static str,
    ) -> Result<Self, PageError> {
        let counts = overview::nav_counts(ctx).await?;
        let counts = Some(NavCounts {
            sessions: counts.live_sessions.0,
            more: !counts.live_sessions.1,
            locked: counts.locked,
        });
        Ok(Self {
            counts,
            provisional: ProvisionalView::of(ctx),
            ..Self::signed_in(req, ctx, &admin.0, title.into(), active)
        })
    }

    pub fn member(
        req: &HttpRequest,
        ctx: &Ctx,
        member: &Member,
        title: impl Into<String>,
        active: &'static str,
    ) -> Self {
        Self::signed_in(req, ctx, &member.0, title.into(), active)
    }

    /// Around the one page that a pending duty leaves: no navigation while the duty holds.
    pub fn pending(
        req: &HttpRequest,
        ctx: &Ctx,
        pending: &Pending,
        title: impl Into<String>,
        active: &'static str,
    ) -> Self {
        match pending.0.admitted.duty {
            Some(_) => Self::anonymous(req, ctx, title),
            None => Self::signed_in(req, ctx, &pending.0, title.into(), active),
        }
    }

    pub fn anonymous(req: &HttpRequest, ctx: &Ctx, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            active: "",
            visitor: None,
            flash: flash::carried(req),
            path: req.path().to_owned(),
            now: ctx.now(),
            dev: ctx.config.dev,
            counts: None,
            provisional: None,
        }
    }

    /// Around an error: knows nobody, needs nothing.
    pub fn bare(req: &HttpRequest, title: &str) -> Self {
        let ctx = req.app_data::<web::Data<Ctx>>();
        Self {
            title: title.to_owned(),
            active: "",
            visitor: None,
            flash: None,
            path: req.path().to_owned(),
            now: ctx.map(|ctx| ctx.now()).unwrap_or_default(),
            dev: ctx.is_some_and(|ctx| ctx.config.dev),
            counts: None,
            provisional: None,
        }
    }

    fn signed_in(req: &HttpRequest, ctx: &Ctx, visitor: &Visitor, title: String, active: &'static str) -> Self {
        let user = ShellUser {
            name: visitor.name.clone(),
            role_admin: visitor.role == Role::Administrator,
        };
        Self {
            active,
            visitor: Some(user),
            ..Self::anonymous(req, ctx, title)
        }
    }
}

/// A rendered page.
pub fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, PageError> {
    let html = template
        .render()
        .map_err(|error| PageError::Internal(format!("a page cannot be rendered: {error}")))?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// 303: the answer to every POST that did something.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .finish()
}
