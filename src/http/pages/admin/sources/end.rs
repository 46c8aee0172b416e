//! Ending the live sessions of a source's accounts, after a page that says how many they are.

use super::view::page_address;
use crate::{
    flows::{
        Ctx,
        source_sessions::{SourceSessions, count_source_sessions, end_source_sessions},
        sources::{self, SourceView},
    },
    http::{
        error::PageError,
        filters::{self, format_count},
        flash::{Flash, redirect},
        forms::Form,
        pages::admin::list::FormFaults,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm, ProofFields, proof_fields},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

/// The button, whose only input is the address.
#[derive(Default, Deserialize)]
pub struct EndForm {}

impl CriticalForm for EndForm {}

/// `/admin/sources/{name}/end-sessions`
#[derive(Template)]
#[template(path = "pages/admin/sources/end.html")]
struct EndPage {
    shell: Shell,
    title: String,
    /// The page of the source.
    href: String,
    live: SourceSessions,
    /// Whether the visitor's own session is one of them.
    is_yours: bool,
    /// `End all sessions of The directory; 2 sessions end`
    summary: String,
    proof: Option<ProofFields>,
    /// Always empty: a refused password is answered by the step-up page.
    faults: FormFaults,
}

/// `GET /admin/sources/{name}/end-sessions`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let view = sources::find(&ctx, &name).await?.ok_or(PageError::NotFound)?;
    let live = count_source_sessions(&ctx, &name).await?;
    let title = view.source.title.clone();
    let href = page_address(&name);
    let page = EndPage {
        shell: Shell::admin(&req, &ctx, &admin, format!("End sessions of {title}"), "sources").await?,
        summary: format!(
            "End all sessions of {title}; {} end{}",
            format_count(live.sessions, "session"),
            if live.sessions == 1 { "s" } else { "" }
        ),
        is_yours: is_own_source(&admin, &view),
        proof: proof_fields(&admin, &ctx, &href),
        title,
        href,
        live,
        faults: FormFaults::new(),
    };
    render_page(StatusCode::OK, &page)
}

fn is_own_source(admin: &Admin, view: &SourceView) -> bool {
    admin.0.admitted.account.source == Some(view.source.id)
}

/// `POST /admin/sources/{name}/end-sessions`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, Form(EndForm {})): ConfirmedVisitor<Admin, Form<EndForm>>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let ended = end_source_sessions(&ctx, &admin.0.initiator, &name).await?;
    let flash = match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => Flash::info("Nothing to end: no session of its accounts is live."),
        ended => Flash::ok(format!("Ended {}.", format_count(ended, "session"))),
    };
    Ok(redirect(&req, &page_address(&name), &flash))
}
