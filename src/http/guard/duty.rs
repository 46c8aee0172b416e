//! The answer to a sign-in on the lock screen whose session must choose a new password first.

use crate::{
    domain::session::Duty,
    flows::Ctx,
    http::{paths, problem::Problem, site::Site},
};
use actix_web::{HttpResponse, http::StatusCode};

/// Returns that a new password comes first, and where it is chosen.
pub(super) fn must_change(site: &Site, ctx: &Ctx) -> HttpResponse {
    let duty = Duty::PasswordChange;
    Problem::new(StatusCode::CONFLICT, duty.as_str(), duty.sentence())
        .with_member("location", site.link(&ctx.config, paths::PASSWORD))
        .into_response()
}
