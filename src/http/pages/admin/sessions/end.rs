//! Ending sessions: one, the selected, or all that match. An action on several sessions shows their
//! number first, and says if the visitor's own session is among them.
use super::{
    super::{
        form_answer::{FormAnswer, answer_again},
        list::{ListQuery, return_address},
        once::{self, Once},
    },
    query::SessionListQuery,
    view::EndSessionsPage,
};
use crate::{
    domain::{
        agent,
        session::{SessionFilter, SessionId, SessionListState},
    },
    flows::{Ctx, FlowError, FormSubmission, sessions},
    http::{
        error::PageError,
        filters::format_count,
        flash::{Flash, redirect},
        form_key::{derive_key, parse_key},
        forms::{Form, Query},
        paths,
        respond::render_page,
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;

/// For more sessions, or with the visitor's own among them, the number must be typed.
const TYPED_FROM: i64 = 25;
/// Maximum number of selected sessions whose users the page names.
const NAMED: usize = 20;

/// The form of the list and of the confirm page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndSessionsForm {
    /// The IDs of the selected sessions.
    id: Vec<String>,
    /// The button of one row.
    only: String,
    /// `selected` or `matching`.
    what: String,
    /// On the confirm page: `included` or `kept`.
    yours: String,
    /// Set by the confirm page of several selected sessions.
    confirmed: String,
    /// The number that was shown, and the number typed.
    shown: String,
    typed: String,
    /// The list's query; for `matching` it is the filter.
    back: String,
    /// The account whose page sent the form, to return to it.
    account: String,
    /// Identifies the action on several sessions, so that a second click does not repeat it.
    key: String,
}

/// The sessions that a form ends.
enum EndTarget {
    Sessions(Vec<SessionId>),
    Matching(Box<SessionListQuery>),
}

impl EndSessionsForm {
    fn target(&self) -> Result<EndTarget, PageError> {
        let id = |text: &String| Uuid::parse_str(text).map(SessionId).map_err(|_| PageError::NotFound);
        match (self.only.is_empty(), self.what.as_str()) {
            (false, _) => Ok(EndTarget::Sessions(vec![id(&self.only)?])),
            (true, "matching") => Ok(EndTarget::Matching(Box::new(self.list_query()?))),
            (true, _) => Ok(EndTarget::Sessions(self.id.iter().map(id).collect::<Result<_, _>>()?)),
        }
    }

    fn list_query(&self) -> Result<SessionListQuery, PageError> {
        serde_html_form::from_str(&self.back)
            .map_err(|_| PageError::BadRequest("The filter cannot be read.".to_owned()))
    }

    /// Identifies what was sent. `None`: the form has no key.
    fn submission(&self, admin: &Admin) -> Option<FormSubmission> {
        let parts: Vec<&str> = [&self.only, &self.what, &self.yours, &self.back]
            .into_iter()
            .chain(&self.id)
            .map(String::as_str)
            .collect();
        Some(FormSubmission {
            owner: admin.0.account,
            key: derive_key(parse_key(&self.key)?, &parts),
        })
    }

    /// Returns whether the number was shown, and typed if that is required for it.
    fn is_confirmed(&self) -> bool {
        let (shown, typed) = (self.shown.trim(), self.typed.trim());
        let is_few = shown.parse().is_ok_and(|shown: i64| shown <= TYPED_FROM);
        !shown.is_empty() && (shown == typed || (typed.is_empty() && is_few))
    }

    /// Returns the context for the flow that ends the sessions.
    fn perform(&self, ctx: &Ctx, admin: &Admin) -> Ctx {
        let Some(sent) = self.submission(admin) else {
            return ctx.clone();
        };
        let back = self.return_url();
        ctx.performing(sent, paths::ADMIN_SESSIONS_END, move |ended: &usize| {
            let answer = FormAnswer::new(back.clone(), ended_flash(*ended));
            (*ended > 0).then(|| answer.to_outcome()).flatten()
        })
    }

    fn return_url(&self) -> String {
        match Uuid::parse_str(&self.account) {
            Ok(id) => format!("{}/{id}", paths::ADMIN_ACCOUNTS),
            Err(_) => return_address(paths::ADMIN_SESSIONS, &self.back),
        }
    }
}

/// All matching sessions: their number, and whether the visitor's own is among them.
struct MatchingSessions {
    filter: SessionFilter,
    count: i64,
    yours: bool,
    descriptions: Vec<String>,
}

/// Returns the filter of the live sessions that match.
fn live_filter(ctx: &Ctx, list_query: &SessionListQuery) -> Result<SessionFilter, PageError> {
    let mut filter = SessionFilter {
        after: None,
        before: None,
        ..list_query.filter(ctx.now())
    };
    list_query.check()?;
    if !matches!(filter.state, SessionListState::Active | SessionListState::Flagged) {
        filter.state = SessionListState::Active;
    }
    Ok(filter)
}

async fn matching(ctx: &Ctx, admin: &Admin, list_query: &SessionListQuery) -> Result<MatchingSessions, PageError> {
    let filter = live_filter(ctx, list_query)?;
    let count = sessions::count(ctx, filter.clone()).await?;
    let yours = includes_mine(ctx, admin, &filter).await?;
    let descriptions = list_query.describe(list_query.account_name(ctx).await?.as_deref());
    Ok(MatchingSessions {
        filter,
        count,
        yours,
        descriptions,
    })
}

/// Returns whether the visitor's own session is among the matches.
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

/// `GET /admin/sessions/end?filter`: shows the number before anything ends.
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    list_query: Query<SessionListQuery>,
) -> Result<HttpResponse, PageError> {
    let found = matching(&ctx, &admin, &list_query.0).await?;
    let carried = list_query.0.filter_query();
    if found.count == 0 {
        return Ok(redirect(
            &req,
            &return_address(paths::ADMIN_SESSIONS, &carried),
            &Flash::info("No live session matches."),
        ));
    }
    let view = render_matching(&req, &ctx, &admin, &found, &carried, Vec::new()).await?;
    render_page(StatusCode::OK, &view)
}

async fn render_matching(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    found: &MatchingSessions,
    carried: &str,
    faults: Vec<(String, String)>,
) -> Result<EndSessionsPage, PageError> {
    let hidden = [
        ("what", "matching".to_owned()),
        ("shown", found.count.to_string()),
        ("back", carried.to_owned()),
        ("key", ctx.new_id(ctx.now()).to_string()),
    ];
    Ok(EndSessionsPage {
        shell: Shell::admin(req, ctx, admin, "End sessions", "sessions").await?,
        count: found.count,
        yours: found.yours,
        names: Vec::new(),
        hidden: hidden
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        filter: if found.descriptions.is_empty() {
            vec!["every live session".to_owned()]
        } else {
            found.descriptions.clone()
        },
        typed: found.count > TYPED_FROM || found.yours,
        faults,
        back: return_address(paths::ADMIN_SESSIONS, carried),
    })
}

/// `POST /admin/sessions/end`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<EndSessionsForm>,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let sent = form.submission(&admin);
    // The action was started before: the number of matches now is not the number that ended.
    if let Some(begun) = sent.and_then(|sent| ctx.live.long_actions.find(sent.owner, sent.key, ctx.now())) {
        return ended_once(&req, &form, once::join(&begun).await);
    }
    let ended = match form.target()? {
        EndTarget::Sessions(ids) => Box::pin(end_these(&req, &ctx, &admin, &form, ids)).await,
        EndTarget::Matching(list_query) => Box::pin(end_matching(&req, &ctx, &admin, &form, &list_query)).await,
    };
    match sent {
        Some(sent) => answer_again(&req, &ctx, sent, &form.return_url(), ended).await,
        None => ended,
    }
}

async fn end_these(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    form: &EndSessionsForm,
    mut ids: Vec<SessionId>,
) -> Result<HttpResponse, PageError> {
    if ids.is_empty() {
        return Ok(redirect(
            req,
            &form.return_url(),
            &Flash::info("No session was selected."),
        ));
    }
    let mine = admin.0.session;
    let asks = match (ids.contains(&mine), form.yours.as_str()) {
        (true, "kept") => {
            ids.retain(|id| *id != mine);
            false
        }
        (true, "included") => false,
        (true, _) => true,
        (false, _) => ids.len() > 1 && form.confirmed.is_empty(),
    };
    if asks {
        let view = render_selected(req, ctx, admin, form, &ids).await?;
        return render_page(StatusCode::OK, &view);
    }
    // The sessions end first: reading for the message must not delay that.
    let ended = sessions::end(&form.perform(ctx, admin), &admin.0.initiator, ids.clone()).await?;
    let whose = match ids.as_slice() {
        [one] => describe_session(ctx, *one).await,
        _ => None,
    };
    let flash = match whose {
        Some(whose) if ended == 1 => Flash::ok(format!("Ended the session of {whose}.")),
        Some(_) | None => ended_flash(ended),
    };
    Ok(redirect(req, &form.return_url(), &flash))
}

/// Says whose session it is. `None` also if the database stopped answering after the end was
/// written: an end that happened is never reported as one that did not.
async fn describe_session(ctx: &Ctx, id: SessionId) -> Option<String> {
    let detail = match sessions::detail(ctx, id).await {
        Ok(detail) => detail?,
        Err(error) => {
            tracing::warn!(%error, "a session was ended, but cannot be described");
            return None;
        }
    };
    let agent = detail.view.row.session.binding.user_agent.as_deref();
    Some(format!("{} on {}", detail.account.name, agent::describe(agent)))
}

async fn render_selected(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    form: &EndSessionsForm,
    ids: &[SessionId],
) -> Result<EndSessionsPage, PageError> {
    let key = ctx.new_id(ctx.now()).to_string();
    let fields = [
        ("key", key.as_str()),
        ("what", "selected"),
        ("confirmed", "yes"),
        ("back", form.back.as_str()),
        ("account", form.account.as_str()),
    ];
    let mut names = Vec::new();
    for id in ids.iter().take(NAMED) {
        names.extend(sessions::detail(ctx, *id).await?.map(|detail| detail.account.name));
    }
    names.sort_unstable();
    names.dedup();
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(EndSessionsPage {
        shell: Shell::admin(req, ctx, admin, "End sessions", "sessions").await?,
        count: i64::try_from(ids.len()).unwrap_or(i64::MAX),
        yours: ids.contains(&admin.0.session),
        names,
        hidden: fields
            .chain(ids.iter().map(|id| ("id".to_owned(), id.0.to_string())))
            .collect(),
        filter: Vec::new(),
        typed: false,
        faults: Vec::new(),
        back: form.return_url(),
    })
}

async fn end_matching(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    form: &EndSessionsForm,
    list_query: &SessionListQuery,
) -> Result<HttpResponse, PageError> {
    let keep = (form.yours == "kept").then_some(admin.0.session);
    let found = match matching(ctx, admin, list_query).await {
        // An end that was confirmed is not delayed; nobody can count its sessions now.
        Err(PageError::Flow(FlowError::Unavailable(_))) if form.is_confirmed() => {
            let filter = live_filter(ctx, list_query)?;
            return Err(sessions::hold_matching(ctx, &admin.0.initiator, filter, keep).into());
        }
        found => found?,
    };
    let must_type = found.count > TYPED_FROM || found.yours;
    let numbers = (form.shown.trim(), form.typed.trim());
    let fault = match numbers {
        ("", _) => Some("Check how many sessions this ends before you confirm.".to_owned()),
        (shown, _) if must_type && shown != found.count.to_string() => Some(format!(
            "There are now {}. Check again and type that number to confirm.",
            found.count
        )),
        (shown, typed) if must_type && shown != typed => Some(format!("Type {} to confirm.", found.count)),
        (_, _) => None,
    };
    if let Some(message) = fault {
        let view = render_matching(req, ctx, admin, &found, &form.back, vec![("typed".to_owned(), message)]).await?;
        return render_page(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let (work, initiator) = (form.perform(ctx, admin), admin.0.initiator.clone());
    let end = |_| async move { sessions::end_matching(&work, &initiator, found.filter, keep).await };
    let key = form
        .submission(admin)
        .map_or_else(|| ctx.new_id(ctx.now()), |sent| sent.key);
    ended_once(req, form, once::run_once(ctx, admin, (key, "End sessions"), end).await)
}

fn ended_once(req: &HttpRequest, form: &EndSessionsForm, once: Once<usize>) -> Result<HttpResponse, PageError> {
    let flash = match once {
        Once::Done { result, .. } => match &*result {
            Ok(ended) => ended_flash(*ended),
            Err(error) => return Err(error.clone().into()),
        },
        Once::Running => Flash::info("The sessions are being ended. Reload the list to see how many are left."),
    };
    Ok(redirect(req, &form.return_url(), &flash))
}

fn ended_flash(ended: usize) -> Flash {
    match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => Flash::info("Nothing to end: it had already ended."),
        ended => Flash::ok(format!("Ended {}.", format_count(ended, "session"))),
    }
}
