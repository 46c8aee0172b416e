//! The policy's history: every revision with its changes, and restoring one.
use super::{
    drafts::review_href,
    revision_line::revision_line,
    view::{RevisionComparison, RevisionPage, RevisionsPage},
};
use crate::{
    domain::policy::{diff::diff, toml},
    flows::{
        Ctx,
        policy::{self, Edit, Proposal, ProposalOutcome, SaveKind},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::Query,
        pages::admin::part::{DiffLine, Pager},
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

const SHOWN: i64 = 25;

/// The page of the history, and the pair to compare.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RevisionListQuery {
    before: String,
    /// Two revisions to compare.
    from: String,
    to: String,
}

impl RevisionListQuery {
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
    query: Query<RevisionListQuery>,
) -> Result<HttpResponse, PageError> {
    let before: Option<i64> = query.0.before.parse().ok();
    let newest = policy::in_force(&ctx).await?.revision.revision;
    let compared = match query.0.pair()? {
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
    let pager = Pager {
        newer: before.is_some().then(|| paths::ADMIN_POLICY_REVISIONS.to_owned()),
        older: older.map(|number| format!("{}?before={number}", paths::ADMIN_POLICY_REVISIONS)),
        labels: ("Newest", "Older"),
    };
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
    render_page(StatusCode::OK, &view)
}

async fn compare(ctx: &Ctx, newest: i64, from: i64, to: i64) -> Result<RevisionComparison, PageError> {
    let from = policy::revision(ctx, from).await?.ok_or(PageError::NotFound)?;
    let to = policy::revision(ctx, to).await?.ok_or(PageError::NotFound)?;
    Ok(RevisionComparison {
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
    render_page(StatusCode::OK, &shown(&req, &ctx, &admin, number_of(&number)?).await?)
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

/// `POST /admin/policy/revisions/{number}/restore`: creates a draft with the values of that
/// revision.
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
    match policy::propose(&ctx, &admin.0.initiator, proposal).await? {
        ProposalOutcome::Draft(id) => Ok(redirect_to(&review_href(id))),
        ProposalOutcome::Unchanged => Ok(redirect(
            &req,
            paths::ADMIN_POLICY,
            &Flash::info("The current policy already says the same."),
        )),
        ProposalOutcome::Faulty(faults) => {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let message = format!("Revision {number} can no longer be restored: {}.", words.join("; "));
            let back = paths::ADMIN_POLICY_REVISION.replace("{number}", &number.to_string());
            Ok(redirect(&req, &back, &Flash::error(message)))
        }
    }
}
