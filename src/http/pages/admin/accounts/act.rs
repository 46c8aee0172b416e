//! `POST /admin/accounts/{id}`: what an administrator does to an account; `act` says which.
use super::view::Profile;
use super::{id_of, shown};
use crate::domain::account::{AccountId, Role, profile::split_groups};
use crate::domain::time::Timestamp;
use crate::flows::Ctx;
use crate::flows::accounts::{self, Act, ActVerdict};
use crate::flows::password_reset::{self, Invited, Mailed};
use crate::http::error::PageError;
use crate::http::filters::{counted, utc_words};
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Form;
use crate::http::pages::admin::list::filled;
use crate::http::pages::page;
use crate::http::paths;
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    act: String,
    role: String,
    expires_at: String,
    display_name: String,
    email: String,
    groups: String,
    /// The account's name, typed before it is deleted.
    confirm_name: String,
}

type Faults = Vec<(String, String)>;

/// An explicit expiry as typed; blank is none.
pub fn date(text: &str) -> Result<Option<Timestamp>, String> {
    match filled(text) {
        None => Ok(None),
        Some(text) => Timestamp::parse_written(&text)
            .map(Some)
            .ok_or_else(|| "Write a date and time, like 2026-12-31 18:00.".to_owned()),
    }
}

impl Fields {
    fn act(&self) -> Result<Act, Faults> {
        let fault = |field: &str, message: &str| vec![(field.to_owned(), message.to_owned())];
        Ok(match self.act.as_str() {
            "disable" => Act::Disable,
            "enable" => Act::Enable,
            "expire" => Act::ExpireNow,
            "set-expiry" => Act::SetExpiry(date(&self.expires_at).map_err(|message| fault("expires_at", &message))?),
            "force-change" => Act::ForceChange,
            "reset-password" => Act::ResetPassword,
            "role" => Act::SetRole(Role::parse(&self.role).ok_or_else(|| fault("acts-h", "Choose a role."))?),
            "profile" => Act::SetProfile {
                display_name: self.display_name.clone(),
                email: self.email.clone(),
                groups: split_groups(&self.groups),
            },
            "end-sessions" => Act::EndSessions,
            "unlock" => Act::Unlock,
            "delete" => Act::Delete,
            _ => return Err(fault("acts-h", "There is no such action.")),
        })
    }
}

impl Critical for Fields {
    /// What throws somebody out, or only asks for more care, is never held up.
    fn is_critical(&self) -> bool {
        !["end-sessions", "force-change"].contains(&self.act.as_str())
    }
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (id, fields) = (id_of(&id)?, fields.0);
    match fields.act.as_str() {
        "invite" => return invite(&req, &ctx, &admin, id).await,
        "mail-link" => return mail_link(&req, &ctx, &admin, id).await,
        _ => {}
    }
    let act = match fields.act() {
        Ok(act) => act,
        Err(faults) => return refused(&req, &ctx, &admin, id, &fields, faults).await,
    };
    if matches!(act, Act::Delete) {
        let name = accounts::name_of(&ctx, id).await?.ok_or(PageError::NotFound)?;
        if fields.confirm_name.trim() != name {
            let faults = vec![(
                "confirm_name".to_owned(),
                format!("Type {name} to delete this account."),
            )];
            return refused(&req, &ctx, &admin, id, &fields, faults).await;
        }
    }
    let faults = match accounts::act(&ctx, &admin.0.acting, id, act.clone()).await? {
        ActVerdict::Done {
            one_time_password,
            ended,
        } => {
            let said = Flash::ok(done(&act, ended));
            let said = one_time_password
                .iter()
                .fold(said, |said, secret| said.with_secret(secret));
            let to = if matches!(act, Act::Delete) {
                paths::ADMIN_ACCOUNTS.to_owned()
            } else {
                format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0)
            };
            return Ok(redirect(&req, &to, &said));
        }
        ActVerdict::LastAdministrator => vec![(
            "acts-h".to_owned(),
            "This is the last administrator who can sign in: make another one first.".to_owned(),
        )],
        ActVerdict::Yourself => vec![(
            "acts-h".to_owned(),
            "You cannot do that to your own account; another administrator can.".to_owned(),
        )],
        ActVerdict::Faulty(found) => found
            .into_iter()
            .map(|(field, message)| (field.to_owned(), message))
            .collect(),
    };
    refused(&req, &ctx, &admin, id, &fields, faults).await
}

/// A link to choose a password, or another one.
async fn invite(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let said = match password_reset::invite(ctx, &admin.0.acting, id).await? {
        Invited::Sent => Flash::ok("The invitation is on its way; an earlier link is dead."),
        Invited::NoAddress => Flash::error("There is no e-mail address to send it to."),
        Invited::NotInvited => Flash::info("Only somebody who never signed in, and may, can be invited."),
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &said))
}

/// A link instead of a one-time password.
async fn mail_link(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let said = match password_reset::mail_link(ctx, &admin.0.acting, id).await? {
        Mailed::Sent => Flash::ok("A link to choose a new password is on its way; it works for 30 minutes."),
        Mailed::NoAddress => Flash::error("There is no e-mail address to send it to."),
        Mailed::Unusable => Flash::info("The account is disabled or expired: enable it first."),
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &said))
}

/// The page again, with what was typed.
async fn refused(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
    fields: &Fields,
    faults: Faults,
) -> Result<HttpResponse, PageError> {
    let mut view = shown(req, ctx, admin, id).await?;
    match fields.act.as_str() {
        "profile" => {
            view.profile = Profile {
                display_name: fields.display_name.clone(),
                email: fields.email.clone(),
                groups: fields.groups.clone(),
            };
        }
        "set-expiry" => view.expires_field = fields.expires_at.clone(),
        _ => {}
    }
    view.faults = faults;
    page(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

fn done(act: &Act, ended: usize) -> String {
    let sessions = match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => String::new(),
        ended => format!(" {} ended.", counted(ended, "session")),
    };
    let what = match act {
        Act::Disable => "Disabled.".to_owned(),
        Act::Enable => "Enabled: the account can sign in again.".to_owned(),
        Act::ExpireNow => "Expired.".to_owned(),
        Act::SetExpiry(Some(at)) => format!("It expires on {}.", utc_words(*at)),
        Act::SetExpiry(None) => "The expiry date was removed.".to_owned(),
        Act::ForceChange => "The password must be changed before anything else.".to_owned(),
        Act::ResetPassword | Act::SetPassword { .. } => "The password was reset.".to_owned(),
        Act::SetRole(role) => format!("The role is now {}.", role.as_str()),
        Act::SetProfile { .. } => "The profile was saved.".to_owned(),
        Act::EndSessions if ended == 0 => "There was no live session.".to_owned(),
        Act::EndSessions => String::new(),
        Act::Unlock => "Unlocked.".to_owned(),
        Act::Delete => "The account was deleted.".to_owned(),
    };
    format!("{what}{sessions}").trim().to_owned()
}
