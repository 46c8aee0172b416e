//! `/admin/mail`: letters that wait, that were not taken and why, trying again and taking back. What a letter says is not shown: some carry a link.
use super::list::{back, href, limit, pager, place, query, read_place, sizes};
use super::part::Badge;
use crate::domain::duration::humanize;
use crate::domain::mail::LetterState;
use crate::flows::mail::{self, Outbox};
use crate::flows::rows::{OutboxFilter, OutboxLetter};
use crate::flows::{Ctx, FlowError};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::{Shell, page};
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;
use view::{LetterLine, MailPage, Tab};

pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_MAIL, Who::Administrator, list),
        Route::post(paths::ADMIN_MAIL, Who::Administrator, act).step_up(),
    ]
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: String,
    after: String,
    before: String,
    limit: String,
}

impl Asked {
    fn filter(&self) -> OutboxFilter {
        OutboxFilter {
            state: LetterState::parse(&self.state),
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }

    fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![("state", &self.state), ("limit", &self.limit)]
    }
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let outbox = mail::list(&ctx, asked.filter()).await?;
    let at = |letter: &OutboxLetter| place(letter.queued_at, letter.id);
    let pairs = asked.pairs();
    let places = [("after", asked.after.as_str()), ("before", asked.before.as_str())];
    let view = MailPage {
        shell: Shell::admin(&req, &ctx, &admin, "Mail", "mail").await?,
        mail_server: ctx.config.mail.smtp_url.as_ref().map(ToString::to_string),
        from: ctx.config.mail.from.address.clone(),
        tabs: tabs(&asked, &outbox),
        state: asked.state.clone(),
        sizes: sizes(&asked.limit),
        total: LetterState::parse(&asked.state).map_or(outbox.counts.all(), |state| outbox.counts.of(state)),
        filtered: LetterState::parse(&asked.state).is_some(),
        kept: match ctx.in_force().everyone().retention.mail {
            Some(kept) => format!("for {}", humanize(kept.as_secs())),
            None => "for ever".to_owned(),
        },
        pager: pager(
            paths::ADMIN_MAIL,
            &pairs,
            outbox.items.first().filter(|_| outbox.newer).map(at),
            outbox.items.last().filter(|_| outbox.older).map(at),
            ("Newer", "Older"),
        ),
        back: query(pairs.iter().copied().chain(places)),
        rows: outbox.items.iter().map(line).collect(),
    };
    page(StatusCode::OK, &view)
}

fn tabs(asked: &Asked, outbox: &Outbox) -> Vec<Tab> {
    let current = LetterState::parse(&asked.state);
    let tab = |label, state: Option<LetterState>, count| Tab {
        href: href(
            paths::ADMIN_MAIL,
            [
                ("state", state.map_or("", LetterState::as_str)),
                ("limit", asked.limit.as_str()),
            ],
        ),
        label,
        count,
        current: current == state,
    };
    std::iter::once(tab("All", None, outbox.counts.all()))
        .chain(
            LetterState::ALL
                .iter()
                .map(|state| tab(label(*state), Some(*state), outbox.counts.of(*state))),
        )
        .collect()
}

fn label(state: LetterState) -> &'static str {
    match state {
        LetterState::Queued => "Waiting",
        LetterState::Sent => "Sent",
        LetterState::GivenUp => "Given up",
        LetterState::Discarded => "Taken back",
    }
}

fn line(letter: &OutboxLetter) -> LetterLine {
    let waiting = letter.state == LetterState::Queued;
    LetterLine {
        id: letter.id.to_string(),
        subject: letter.subject.clone(),
        recipient: letter.recipient.clone(),
        account: letter.account.map(|id| id.0.to_string()),
        state: match letter.state {
            LetterState::Queued if letter.attempts > 0 => Badge::warn("Waiting again").with_icon("clock"),
            LetterState::Queued => Badge::info("Waiting").with_icon("clock"),
            LetterState::Sent => Badge::ok("Sent"),
            LetterState::GivenUp => Badge::danger("Given up"),
            LetterState::Discarded => Badge::plain("pause", "Taken back"),
        },
        queued: letter.queued_at,
        attempts: letter.attempts.into(),
        next: Some(letter.due_at).filter(|_| waiting),
        finished: letter.finished_at,
        words: letter.words.clone(),
        link_gone: letter.state == LetterState::GivenUp && letter.body.is_none(),
        retry: waiting || (letter.state == LetterState::GivenUp && letter.body.is_some()),
        discard: waiting || letter.state == LetterState::GivenUp,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    id: String,
    act: String,
    back: String,
}

impl Critical for Fields {
    /// A letter that is tried again only comes sooner.
    fn is_critical(&self) -> bool {
        self.act != "retry"
    }
}

async fn act(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
) -> Result<HttpResponse, PageError> {
    let id = Uuid::parse_str(&fields.0.id).map_err(|_| PageError::NotFound)?;
    let acting = &admin.0.acting;
    let (done, words, refused) = match fields.0.act.as_str() {
        "retry" => (
            mail::retry(&ctx, acting, id).await,
            "It is tried again at once.",
            "There was nothing to try again: it was sent, is on its way, or its link is gone.",
        ),
        "discard" => (
            mail::discard(&ctx, acting, id).await,
            "Taken back: it will not be sent.",
            "There was nothing to take back: it was sent.",
        ),
        _ => return Err(PageError::BadRequest("There is no such action.".to_owned())),
    };
    let said = match done {
        Ok(true) => Flash::ok(words),
        Ok(false) => Flash::info(refused),
        Err(FlowError::NotFound) => return Err(PageError::NotFound),
        Err(error) => return Err(error.into()),
    };
    Ok(redirect(&req, &back(paths::ADMIN_MAIL, &fields.0.back), &said))
}
