//! `/admin/mail`: the outbox. Which emails are queued, which failed and why; retrying and
//! cancelling them. The body of an email is never shown: some carry a secret link.
use super::{
    list::{FormFaults, ListQuery, PageEnds, PageQuery, href, limit, read_place, return_address, sizes, write_place},
    part::Badge,
};
use crate::{
    domain::{
        duration::humanize,
        mail::{EmailFilter, EmailState, OutboxEmail},
    },
    flows::{
        Ctx, FlowError,
        mail::{self, Outbox},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::{Form, Query},
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;
use view::{EmailLine, EmailTab, MailPage};

mod view;

/// Returns the routes of the outbox.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_MAIL, Audience::Administrator, list),
        Route::post(paths::ADMIN_MAIL, Audience::Administrator, act).step_up(),
    ]
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct EmailListQuery {
    state: String,
    after: String,
    before: String,
    limit: String,
}

impl EmailListQuery {
    fn filter(&self) -> EmailFilter {
        EmailFilter {
            state: EmailState::parse(&self.state),
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }
}

impl ListQuery for EmailListQuery {
    const PATH: &'static str = paths::ADMIN_MAIL;

    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![("state", &self.state)]
    }

    fn place(&self) -> PageQuery<'_> {
        PageQuery {
            after: &self.after,
            before: &self.before,
            limit: &self.limit,
        }
    }

    /// An unknown state shows all emails; nothing acts on a whole list.
    fn faults(&self) -> FormFaults {
        FormFaults::new()
    }
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<EmailListQuery>,
) -> Result<HttpResponse, PageError> {
    let outbox = mail::list(&ctx, query.filter()).await?;
    let ends = PageEnds::from_items(&outbox.items, outbox.newer, outbox.older, |email: &OutboxEmail| {
        write_place(email.queued_at, email.id)
    });
    let state = EmailState::parse(&query.state);
    let view = MailPage {
        shell: Shell::admin(&req, &ctx, &admin, "Mail", "mail").await?,
        mail_server: ctx.config.mail.smtp_url.as_ref().map(ToString::to_string),
        from: ctx.config.mail.from.address.clone(),
        tabs: tabs(&query, &outbox),
        state: query.state.clone(),
        sizes: sizes(&query.limit),
        total: state.map_or(outbox.counts.total(), |state| outbox.counts.count_of(state)),
        filtered: state.is_some(),
        kept: match ctx.in_force().everyone().retention.mail {
            Some(kept) => format!("for {}", humanize(kept.as_secs())),
            None => "forever".to_owned(),
        },
        pager: query.pager(ends, ("Newer", "Older")),
        back: query.back_query(),
        rows: outbox.items.iter().map(email_line).collect(),
    };
    render_page(StatusCode::OK, &view)
}

fn tabs(query: &EmailListQuery, outbox: &Outbox) -> Vec<EmailTab> {
    let current = EmailState::parse(&query.state);
    let tab = |label, state: Option<EmailState>, count| EmailTab {
        href: href(
            paths::ADMIN_MAIL,
            [
                ("state", state.map_or("", EmailState::as_str)),
                ("limit", query.limit.as_str()),
            ],
        ),
        label,
        count,
        current: current == state,
    };
    std::iter::once(tab("All", None, outbox.counts.total()))
        .chain(
            EmailState::ALL
                .iter()
                .map(|state| tab(state_label(*state), Some(*state), outbox.counts.count_of(*state))),
        )
        .collect()
}

fn state_label(state: EmailState) -> &'static str {
    match state {
        EmailState::Queued => "Queued",
        EmailState::Sent => "Sent",
        EmailState::GivenUp => "Failed",
        EmailState::Discarded => "Cancelled",
    }
}

fn email_line(email: &OutboxEmail) -> EmailLine {
    let waiting = email.state == EmailState::Queued;
    EmailLine {
        id: email.id.to_string(),
        subject: email.subject.clone(),
        recipient: email.recipient.clone(),
        account: email.account.map(|id| id.0.to_string()),
        state: match email.state {
            EmailState::Queued if email.attempts > 0 => Badge::warn("Retrying").with_icon("clock"),
            EmailState::Queued => Badge::info("Queued").with_icon("clock"),
            EmailState::Sent => Badge::ok("Sent"),
            EmailState::GivenUp => Badge::danger("Failed"),
            EmailState::Discarded => Badge::plain("pause", "Cancelled"),
        },
        queued: email.queued_at,
        attempts: email.attempts.into(),
        next: Some(email.due_at).filter(|_| waiting),
        finished: email.finished_at,
        words: email.words.clone(),
        link_gone: email.state == EmailState::GivenUp && email.body.is_none(),
        retry: waiting || (email.state == EmailState::GivenUp && email.body.is_some()),
        discard: waiting || email.state == EmailState::GivenUp,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EmailActionForm {
    id: String,
    act: String,
    back: String,
}

impl CriticalForm for EmailActionForm {
    /// A retry only sends the email sooner.
    fn is_critical(&self) -> bool {
        self.act != "retry"
    }
}

async fn act(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<EmailActionForm>>,
) -> Result<HttpResponse, PageError> {
    let id = Uuid::parse_str(&fields.0.id).map_err(|_| PageError::NotFound)?;
    let initiator = &admin.0.initiator;
    let (done, words, refused) = match fields.0.act.as_str() {
        "retry" => (
            mail::retry(&ctx, initiator, id).await,
            "It will be retried immediately.",
            "Nothing to retry: it was sent, is being sent, or its link expired.",
        ),
        "discard" => (
            mail::discard(&ctx, initiator, id).await,
            "Cancelled. It will not be sent.",
            "Nothing to cancel: it was already sent.",
        ),
        _ => return Err(PageError::BadRequest("There is no such action.".to_owned())),
    };
    let flash = match done {
        Ok(true) => Flash::ok(words),
        Ok(false) => Flash::info(refused),
        Err(FlowError::NotFound) => return Err(PageError::NotFound),
        Err(error) => return Err(error.into()),
    };
    Ok(redirect(
        &req,
        &return_address(paths::ADMIN_MAIL, &fields.0.back),
        &flash,
    ))
}
