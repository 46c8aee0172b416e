//! The shell around every page: title, navigation, badges, the flash message and the banner about a
//! provisional save.

use super::{
    error::PageError,
    flash::{self, Flash},
    visitor::{Admin, EnrollingVisitor, Member, Pending, Visitor, find_visitor_for_error},
};
use crate::{
    domain::{account::Role, time::Timestamp},
    flows::{Ctx, overview},
};
use actix_web::{HttpRequest, web};

/// The user shown in the corner.
#[derive(Debug, Clone)]
pub struct ShellUser {
    pub name: String,
    pub role_admin: bool,
}

/// Badges of the navigation.
#[derive(Debug, Clone)]
pub struct NavBadges {
    pub sessions: i64,
    /// Whether there are more sessions than that.
    pub more: bool,
    pub locked: i64,
}

/// The data of `templates/base.html` around every page.
#[derive(Debug, Clone)]
pub struct Shell {
    pub title: String,
    /// The open entry of the navigation.
    pub active: &'static str,
    pub visitor: Option<ShellUser>,
    pub flash: Option<Flash>,
    pub path: String,
    /// A new key for the page's forms, with which one that is sent twice acts once.
    pub form_key: String,
    pub now: Timestamp,
    pub dev: bool,
    pub counts: Option<NavBadges>,
    /// A policy that reverts unless an administrator confirms it.
    pub provisional: Option<ProvisionalView>,
}

/// The banner that every administrator sees while a save is waiting for confirmation.
#[derive(Debug, Clone)]
pub struct ProvisionalView {
    pub revision: i64,
    pub author: String,
    pub confirm_by: Timestamp,
    pub seconds: i64,
}

impl ProvisionalView {
    fn from_context(ctx: &Ctx) -> Option<Self> {
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
    /// Creates the shell of an administrator's page, with the counts of the navigation.
    pub async fn admin(
        req: &HttpRequest,
        ctx: &Ctx,
        admin: &Admin,
        title: impl Into<String>,
        active: &'static str,
    ) -> Result<Self, PageError> {
        let counts = overview::nav_counts(ctx).await?;
        let counts = Some(NavBadges {
            sessions: counts.live_sessions.0,
            more: !counts.live_sessions.1,
            locked: counts.locked,
        });
        Ok(Self {
            counts,
            provisional: ProvisionalView::from_context(ctx),
            ..Self::signed_in(req, ctx, &admin.0, title.into(), active)
        })
    }

    /// Creates the shell of a page for someone who is signed in.
    pub fn member(
        req: &HttpRequest,
        ctx: &Ctx,
        member: &Member,
        title: impl Into<String>,
        active: &'static str,
    ) -> Self {
        Self::signed_in(req, ctx, &member.0, title.into(), active)
    }

    /// Creates the shell of the only page that a pending duty allows, without navigation.
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

    /// Returns the shell of the pages that set up a second factor. It has no navigation while a
    /// factor is required.
    pub fn enrolling(req: &HttpRequest, ctx: &Ctx, visitor: &EnrollingVisitor, title: impl Into<String>) -> Self {
        match visitor.0.admitted.duty {
            Some(_) => Self::anonymous(req, ctx, title),
            None => Self::signed_in(req, ctx, &visitor.0, title.into(), "security"),
        }
    }

    /// Creates the shell of a page for someone who is not signed in.
    pub fn anonymous(req: &HttpRequest, ctx: &Ctx, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            active: "",
            visitor: None,
            flash: flash::read(req),
            path: req.path().to_owned(),
            form_key: ctx.new_id(ctx.now()).to_string(),
            now: ctx.now(),
            dev: ctx.config.dev,
            counts: None,
            provisional: None,
        }
    }

    /// Creates the shell of an error page: it keeps navigation, name and sign-out of a signed-in
    /// user, without a database.
    pub fn around_error(req: &HttpRequest, title: &str) -> Self {
        let ctx = req.app_data::<web::Data<Ctx>>();
        if let (Some(ctx), Some(visitor)) = (ctx, find_visitor_for_error(req)) {
            return Self {
                flash: None,
                ..Self::signed_in(req, ctx, &visitor, title.to_owned(), "")
            };
        }
        Self {
            title: title.to_owned(),
            active: "",
            visitor: None,
            flash: None,
            path: req.path().to_owned(),
            form_key: String::new(),
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
