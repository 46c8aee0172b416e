//! `/admin/accounts/{id}/confirm`: the confirmation of an action that ends sessions or changes
//! permissions. It describes the effect, and asks for the password on the same page if that is due.
use super::input::parse_account_id;
use crate::{
    domain::account::Role,
    flows::{Ctx, accounts},
    http::{
        error::PageError,
        filters::{self, format_count},
        forms::Query,
        pages::admin::list::FormFaults,
        paths,
        respond::render_page,
        shell::Shell,
        step_up::{ProofFields, proof_fields},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

/// The action to confirm.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfirmQuery {
    act: String,
    role: String,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/confirm.html")]
struct ConfirmPage {
    shell: Shell,
    href: String,
    name: String,
    act: String,
    role: String,
    question: ConfirmQuestion,
    proof: Option<ProofFields>,
    /// Always empty: a refused password is answered by the step-up page.
    faults: FormFaults,
}

/// The confirmation of one action.
#[derive(Debug, PartialEq, Eq)]
struct ConfirmQuestion {
    /// `Disable ada?`
    title: String,
    /// The effects, one sentence each.
    effects: Vec<String>,
    /// `Disable ada; 2 sessions end`
    summary: String,
    button: String,
}

impl ConfirmQuestion {
    /// Creates the confirmation of an action on the account `name` with this number of live
    /// sessions; `None` if the action needs none.
    fn new(query: &ConfirmQuery, name: &str, sessions: i64) -> Option<Self> {
        let (what, effect, ends) = match (query.act.as_str(), Role::parse(&query.role)) {
            ("disable", _) => (
                format!("Disable {name}"),
                "Sign-in is blocked until an administrator enables the account again.".to_owned(),
                true,
            ),
            ("expire", _) => (
                format!("Expire {name} now"),
                "Sign-in is blocked until an administrator reactivates the account.".to_owned(),
                true,
            ),
            ("reset-password", _) => (
                format!("Reset the password of {name}"),
                "The current password stops working. You see a one-time password once; it works for 72 hours."
                    .to_owned(),
                true,
            ),
            ("reset-factors", _) => (
                format!("Remove the second factors of {name}"),
                "The authenticator app, every passkey, the recovery codes and trusted browsers stop working. The owner \
                 is notified by email."
                    .to_owned(),
                true,
            ),
            ("end-sessions", _) => (
                format!("End all sessions of {name}"),
                format!("{name} can sign in again; the account and its password stay unchanged."),
                true,
            ),
            ("role", Some(Role::Administrator)) => (
                format!("Make {name} an administrator"),
                format!("{name} can see and change everything in the console."),
                false,
            ),
            ("role", Some(Role::Member)) => (
                format!("Make {name} a member"),
                format!("{name} loses access to the console immediately."),
                false,
            ),
            _ => return None,
        };
        let summary = match (ends, sessions) {
            (false, _) | (true, 0) => what.clone(),
            (true, 1) => format!("{what}; 1 session ends"),
            (true, _) => format!("{what}; {} end", format_count(sessions, "session")),
        };
        Some(Self {
            title: format!("{what}?"),
            effects: std::iter::once(effect)
                .chain(ends.then(|| describe_ends(sessions)))
                .collect(),
            summary,
            button: what,
        })
    }
}

fn describe_ends(sessions: i64) -> String {
    match sessions {
        0 => "No session is live, so none ends.".to_owned(),
        1 => "1 live session ends immediately, in every application. Unsaved work may be lost.".to_owned(),
        _ => format!(
            "{} end immediately, in every application. Unsaved work may be lost.",
            format_count(sessions, "live session")
        ),
    }
}

/// `GET /admin/accounts/{id}/confirm?act=disable`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    id: web::Path<String>,
    Query(query): Query<ConfirmQuery>,
) -> Result<HttpResponse, PageError> {
    let id = parse_account_id(&id)?;
    let detail = accounts::detail(&ctx, id).await?.ok_or(PageError::NotFound)?;
    let name = detail.view.account.name.clone();
    let live = detail.sessions.iter().filter(|view| view.live).count();
    let live = i64::try_from(live).unwrap_or(i64::MAX);
    let question = ConfirmQuestion::new(&query, &name, live).ok_or(PageError::NotFound)?;
    let href = format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0);
    let view = ConfirmPage {
        shell: Shell::admin(&req, &ctx, &admin, question.title.clone(), "accounts").await?,
        proof: proof_fields(&admin, &ctx, &href),
        href,
        name,
        act: query.act,
        role: query.role,
        question,
        faults: FormFaults::new(),
    };
    render_page(StatusCode::OK, &view)
}

#[cfg(test)]
mod tests;
