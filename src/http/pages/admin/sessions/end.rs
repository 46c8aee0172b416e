//! Ending sessions: one, the selected, or all that match. What reaches further than a click shows its number first, and
//! says so when the visitor's own session is among them.
use super::super::list::{back, query, readable};
use super::asked::Asked;
use super::view::EndSessionsPage;
use super::{account_name, includes_mine};
use crate::domain::session::SessionId;
use crate::flows::rows::{ListState, SessionFilter};
use crate::flows::{Ctx, sessions};
use crate::http::error::PageError;
use crate::http::filters::counted;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::{Shell, page};
use crate::http::paths;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;

/// More than this, or one's own among them: the number must be typed.
const TYPED_FROM: i64 = 25;

/// The form of the list and of the confirm page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// The selected sessions.
    id: Vec<String>,
    /// The button of one row.
    only: String,
    /// `selected` or `matching`.
    what: String,
    /// On the confirm page: `included` or `kept`.
    yours: String,
    /// The number shown, and the number typed.
    shown: String,
    typed: String,
    /// The list's query; of `matching` it is the filter.
    back: String,
    /// From an account's page: back to it.
    account: String,
}

/// What a form wants to end.
enum Wanted {
    Sessions(Vec<SessionId>),
    Matching(Asked),
}

impl Ask {
    fn wanted(&self) -> Result<Wanted, PageError> {
        let id = |text: &String| Uuid::parse_str(text).map(SessionId).map_err(|_| PageError::NotFound);
        match (self.only.is_empty(), self.what.as_str()) {
            (false, _) => Ok(Wanted::Sessions(vec![id(&self.only)?])),
            (true, "matching") => Ok(Wanted::Matching(self.asked()?)),
            (true, _) => Ok(Wanted::Sessions(self.id.iter().map(id).collect::<Result<_, _>>()?)),
        }
    }

    fn asked(&self) -> Result<Asked, PageError> {
        serde_html_form::from_str(&self.back)
            .map_err(|_| PageError::BadRequest("The filter cannot be read.".to_owned()))
    }

    fn way_back(&self) -> String {
        match Uuid::parse_str(&self.account) {
            Ok(id) => format!("{}/{id}", paths::ADMIN_ACCOUNTS),
            Err(_) => back(paths::ADMIN_SESSIONS, &self.back),
        }
    }
}

/// What everything that matches comes to.
struct Matching {
    filter: SessionFilter,
    count: i64,
    yours: bool,
    words: Vec<String>,
}

async fn matching(ctx: &Ctx, admin: &Admin, asked: &Asked) -> Result<Matching, PageError> {
    let mut filter = SessionFilter {
        after: None,
        before: None,
        ..asked.filter(ctx.now())
    };
    readable(asked.faults())?;
    if !matches!(filter.state, ListState::Active | ListState::Flagged) {
        filter.state = ListState::Active;
    }
    let count = sessions::count(ctx, filter.clone()).await?;
    let yours = includes_mine(ctx, admin, &filter).await?;
    let words = asked.words(account_name(ctx, asked).await?.as_deref());
    Ok(Matching {
        filter,
        count,
        yours,
        words,
    })
}

/// `GET /admin/sessions/end?filter`: the number, before anything ends.
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let found = matching(&ctx, &admin, &asked.0).await?;
    let carried = query(asked.0.pairs());
    if found.count == 0 {
        return Ok(redirect(
            &req,
            &back(paths::ADMIN_SESSIONS, &carried),
            &Flash::info("No live session matches."),
        ));
    }
    let view = matching_page(&req, &ctx, &admin, &found, &carried, Vec::new()).await?;
    page(StatusCode::OK, &view)
}

async fn matching_page(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    found: &Matching,
    carried: &str,
    faults: Vec<(String, String)>,
) -> Result<EndSessionsPage, PageError> {
    let hidden = [
        ("what", "matching".to_owned()),
        ("shown", found.count.to_string()),
        ("back", carried.to_owned()),
    ];
    Ok(EndSessionsPage {
        shell: Shell::admin(req, ctx, admin, "End sessions", "sessions").await?,
        count: found.count,
        yours: found.yours,
        hidden: hidden
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        filter: if found.words.is_empty() {
            vec!["every live session".to_owned()]
        } else {
            found.words.clone()
        },
        typed: found.count > TYPED_FROM || found.yours,
        faults,
        back: back(paths::ADMIN_SESSIONS, carried),
    })
}

/// `POST /admin/sessions/end`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    ask: Form<Ask>,
) -> Result<HttpResponse, PageError> {
    match ask.0.wanted()? {
        Wanted::Sessions(ids) => end_these(&req, &ctx, &admin, &ask.0, ids).await,
        Wanted::Matching(asked) => end_matching(&req, &ctx, &admin, &ask.0, &asked).await,
    }
}

async fn end_these(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    ask: &Ask,
    mut ids: Vec<SessionId>,
) -> Result<HttpResponse, PageError> {
    if ids.is_empty() {
        return Ok(redirect(req, &ask.way_back(), &Flash::info("No session was selected.")));
    }
    let mine = admin.0.session;
    match (ids.contains(&mine), ask.yours.as_str()) {
        (true, "kept") => ids.retain(|id| *id != mine),
        (true, "included") | (false, _) => {}
        (true, _) => {
            let view = selected_page(req, ctx, admin, ask, &ids).await?;
            return page(StatusCode::OK, &view);
        }
    }
    let ended = sessions::end(ctx, &admin.0.acting, ids).await?;
    Ok(redirect(req, &ask.way_back(), &said(ended)))
}

async fn selected_page(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    ask: &Ask,
    ids: &[SessionId],
) -> Result<EndSessionsPage, PageError> {
    let fields = [
        ("what", "selected"),
        ("back", ask.back.as_str()),
        ("account", ask.account.as_str()),
    ];
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(EndSessionsPage {
        shell: Shell::admin(req, ctx, admin, "End sessions", "sessions").await?,
        count: i64::try_from(ids.len()).unwrap_or(i64::MAX),
        yours: true,
        hidden: fields
            .chain(ids.iter().map(|id| ("id".to_owned(), id.0.to_string())))
            .collect(),
        filter: Vec::new(),
        typed: false,
        faults: Vec::new(),
        back: ask.way_back(),
    })
}

async fn end_matching(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    ask: &Ask,
    asked: &Asked,
) -> Result<HttpResponse, PageError> {
    let found = matching(ctx, admin, asked).await?;
    let typed_wanted = found.count > TYPED_FROM || found.yours;
    let numbers = (ask.shown.trim(), ask.typed.trim());
    let fault = match numbers {
        ("", _) => Some("See how many sessions this ends before you confirm.".to_owned()),
        (shown, _) if typed_wanted && shown != found.count.to_string() => Some(format!(
            "Meanwhile it is {}: look again, and type that number to confirm.",
            found.count
        )),
        (shown, typed) if typed_wanted && shown != typed => Some(format!("Type {} to confirm.", found.count)),
        (_, _) => None,
    };
    if let Some(message) = fault {
        let view = matching_page(req, ctx, admin, &found, &ask.back, vec![("typed".to_owned(), message)]).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let keep = (ask.yours == "kept").then_some(admin.0.session);
    let ended = sessions::end_matching(ctx, &admin.0.acting, found.filter, keep).await?;
    Ok(redirect(req, &ask.way_back(), &said(ended)))
}

fn said(ended: usize) -> Flash {
    match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => Flash::info("Nothing to end: it had ended already."),
        ended => Flash::ok(format!("Ended {}.", counted(ended, "session"))),
    }
}
