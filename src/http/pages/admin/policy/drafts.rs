//! Drafts that await their review: the address and the line of a draft, its id in an address, and
//! its review.
use super::view::DraftLine;
use crate::{
    domain::policy::PolicyDraft,
    flows::{
        Ctx,
        policy::{self, PolicySaver, Review},
    },
    http::{error::PageError, paths, session_proof::passkeys_work_here, visitor::Admin},
};
use actix_web::HttpRequest;
use uuid::Uuid;

/// Returns the address of a draft’s review.
pub(super) fn review_href(draft: Uuid) -> String {
    format!("{}?draft={draft}", paths::ADMIN_POLICY_REVIEW)
}

/// Parses a draft's ID; an invalid one is not found.
pub(super) fn parse_draft_id(text: &str) -> Result<Uuid, PageError> {
    Uuid::parse_str(text).map_err(|_| PageError::NotFound)
}

/// Returns the line of a draft that awaits its review.
pub(super) fn draft_line(draft: &PolicyDraft) -> DraftLine {
    DraftLine {
        href: review_href(draft.id),
        at: draft.at,
        changes: draft.changes.len(),
    }
}

/// Returns the review of one of the administrator’s drafts.
///
/// # Errors
///
/// [`PageError::NotFound`] if the administrator has no such draft.
pub(super) async fn find_review(req: &HttpRequest, ctx: &Ctx, admin: &Admin, draft: Uuid) -> Result<Review, PageError> {
    let saver = PolicySaver {
        initiator: admin.0.initiator.clone(),
        has_passkeys: passkeys_work_here(req, ctx),
    };
    policy::review(ctx, saver, draft).await?.ok_or(PageError::NotFound)
}
