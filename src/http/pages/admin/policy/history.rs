//! The policy's history: every revision with its changes, and restoring one.
use super::editor::kind_words;
use super::review;
use super::view::{Compared, RevisionLine, RevisionPage, RevisionsPage};
use crate::domain::policy::diff::diff;
use crate::domain::policy::toml;
use crate::flows::Ctx;
use crate::flows::policy::{self, Edit, Proposal, Proposed, SaveKind};
use crate::flows::rows::Revision;
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Query;
use crate::http::pages::admin::list::pager;
use crate::http::pages::admin::part::DiffLine;
use crate::http::pages::{Shell, page, see_other};
use crate::http::paths;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

const SHOWN: i64 = 25;

pub fn revision_line(revision: &Revision, newest: i64) -> RevisionLine {
    RevisionLine {
        number: revision.revision,
        at: revision.at,
        author: revision.author.clone(),
        reason: revision.reason.clone(),
        kind: kind_words(&revision.kind).to_owned(),
        changes: revision.changes.iter().map(DiffLine::new).collect(),
        current: revision.revision == newest,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    before: String,
    /// Two revisions to compare.
    from: String,
    to: String,
}

impl Asked {
    fn pair(&self) -> Result<Option<(i64, i64)>, PageError> {
        match (self.from.as_str(), self.to.as_str()) {
            ("", "") => Ok(None),
            (from, to) => Ok(Some((number_of(from)?, number_of(to)?))),
        }
    }
}

/// `GET /admin/policy/revisions?from=3&to=7`
pub async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let before: Option<i64> = asked.0.before.parse().ok();
    let newest = policy::in_force(&ctx).await?.revision.revision;
    let compared = match asked.0.pair()? {
        Some((from, to)) => Some(compare(&ctx, newest, from, to).await?),
        None => None,
    };
    let mut revisions = policy::revisions(&ctx, before, SHOWN + 1).await?;
    let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let more = revisions.len() > shown;
    revisions.truncate(shown);
    let older = revisions
        .last()
        .filter(|_| more)
        .map(|revision| revision.revision.to_string());
    let mut pager = pager(paths::ADMIN_POLICY_REVISIONS, &[], None, None, ("Newest", "Older"));
    pager.newer = before.is_some().then(|| paths::ADMIN_POLICY_REVISIONS.to_owned());
    pager.older = older.map(|number| format!("{}?before={number}", paths::ADMIN_POLICY_REVISIONS));
    let view = RevisionsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Policy history", "policy").await?,
        rows: revisions
            .iter()
            .map(|revision| revision_line(revision, newest))
            .collect(),
        before: before.map(|before| before.to_string()).unwrap_or_default(),
        chosen: compared.as_ref().map_or((newest - 1, newest), |compared| {
            (compared.from.number, compared.to.number)
        }),
        compared,
        pager,
    };
    page(StatusCode::OK, &view)
}

async fn compare(ctx: &Ctx, newest: i64, from: i64, to: i64) -> Result<Compared, PageError> {
    let from = policy::revision(ctx, from).await?.ok_or(PageError::NotFound)?;
    let to = policy::revision(ctx, to).await?.ok_or(PageError::NotFound)?;
    Ok(Compared {
        changes: diff(&from.document, &to.document).iter().map(DiffLine::new).collect(),
        from: revision_line(&from, newest),
        to: revision_line(&to, newest),
    })
}

fn number_of(text: &str) -> Result<i64, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

/// `GET /admin/policy/revisions/{number}`
pub async fn detail(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    number: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    page(StatusCode::OK, &shown(&req, &ctx, &admin, number_of(&number)?).await?)
}

async fn shown(req: &HttpRequest, ctx: &Ctx, admin: &Admin, number: i64) -> Result<RevisionPage, PageError> {
    let revision = policy::revision(ctx, number).await?.ok_or(PageError::NotFound)?;
    let newest = policy::in_force(ctx).await?.revision;
    Ok(RevisionPage {
        shell: Shell::admin(req, ctx, admin, format!("Policy revision {number}"), "policy").await?,
        line: revision_line(&revision, newest.revision),
        changes_to_now: diff(&newest.document, &revision.document)
            .iter()
            .map(DiffLine::new)
            .collect(),
        document: toml::export(&revision.document),
    })
}

/// `POST /admin/policy/revisions/{number}/restore`: a draft that says again what that revision said.
pub async fn restore(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    number: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let number = number_of(&number)?;
    let old = policy::revision(&ctx, number).await?.ok_or(PageError::NotFound)?;
    let current = policy::in_force(&ctx).await?.revision;
    let edits = diff(&current.document, &old.document).into_iter().map(|change| Edit {
        scope: change.scope,
        key: change.key,
        value: change.new,
    });
    let proposal = Proposal {
        into: None,
        base: current.revision,
        kind: SaveKind::Restored { from: number },
        edits: edits.collect(),
        reason: String::new(),
        notes: Vec::new(),
    };
    match policy::propose(&ctx, &admin.0.acting, proposal).await? {
        Proposed::Draft(id) => Ok(see_other(&review::href(id))),
        Proposed::Unchanged => Ok(redirect(
            &req,
            paths::ADMIN_POLICY,
            &Flash::info("The policy in force says the same already."),
        )),
        Proposed::Faulty(faults) => {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let said = format!("Revision {number} cannot be restored any more: {}.", words.join("; "));
            let back = paths::ADMIN_POLICY_REVISION.replace("{number}", &number.to_string());
            Ok(redirect(&req, &back, &Flash::error(said)))
        }
    }
}
