//! `POST /admin/accounts/{id}`: an administrator's action on an account, named by `act`.
use super::{
    account_page::load_account_page,
    input::{parse_account_id, parse_expiry},
    view::ProfileFields,
};
use crate::{
    domain::account::{AccountId, Role, profile::split_groups},
    flows::{
        Ctx,
        accounts::{self, AccountActOutcome, Act},
        factors::{self, EnrolmentLinkOutcome, ResetKind},
        password_reset::{self, InvitationOutcome, MailLinkOutcome},
        sources::DELETED_SOURCE,
    },
    http::{
        error::PageError,
        filters::{format_count, format_utc},
        flash::{Flash, redirect},
        forms::Form,
        pages::admin::list::FormFaults,
        paths,
        respond::render_page,
        step_up::{Confirmed, CriticalForm},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

/// The forms of one account’s page; `act` names the action.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AccountForm {
    act: String,
    role: String,
    expires_at: String,
    display_name: String,
    email: String,
    groups: String,
    /// The account's name, typed before it is deleted.
    confirm_name: String,
}

impl AccountForm {
    fn act(&self) -> Result<Act, FormFaults> {
        let fault = |field: &str, message: &str| vec![(field.to_owned(), message.to_owned())];
        Ok(match self.act.as_str() {
            "disable" => Act::Disable,
            "enable" => Act::Enable,
            "expire" => Act::ExpireNow,
            "set-expiry" => {
                Act::SetExpiry(parse_expiry(&self.expires_at).map_err(|message| fault("expires_at", &message))?)
            }
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

impl CriticalForm for AccountForm {
    /// An action that signs a user out, or only requires more of them, is never delayed.
    fn is_critical(&self) -> bool {
        !["end-sessions", "force-change"].contains(&self.act.as_str())
    }
}

/// `POST /admin/accounts/{id}`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<AccountForm>>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (id, fields) = (parse_account_id(&id)?, fields.0);
    if fields.act != "end-sessions" {
        admin.0.looked_up()?;
    }
    match fields.act.as_str() {
        "invite" => return invite(&req, &ctx, &admin, id).await,
        "mail-link" => return mail_link(&req, &ctx, &admin, id).await,
        "reset-factors" => return reset_factors(&req, &ctx, &admin, id).await,
        "enrolment-link" => return enrolment_link(&req, &ctx, &admin, id, true).await,
        "show-enrolment-link" => return enrolment_link(&req, &ctx, &admin, id, false).await,
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
    let faults = match accounts::act(&ctx, &admin.0.initiator, id, act.clone()).await? {
        AccountActOutcome::Done {
            one_time_password,
            ended,
        } => {
            let flash = Flash::ok(describe_done(&act, ended));
            let flash = one_time_password
                .iter()
                .fold(flash, |flash, secret| flash.with_secret(secret));
            let to = if matches!(act, Act::Delete) {
                paths::ADMIN_ACCOUNTS.to_owned()
            } else {
                format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0)
            };
            return Ok(redirect(&req, &to, &flash));
        }
        AccountActOutcome::LastAdministrator => vec![(
            "acts-h".to_owned(),
            "This is the last administrator who can sign in. Create another one first.".to_owned(),
        )],
        AccountActOutcome::Yourself => vec![(
            "acts-h".to_owned(),
            "You cannot do that to your own account. Another administrator can.".to_owned(),
        )],
        AccountActOutcome::Managed(title) => vec![("acts-h".to_owned(), describe_managed(&title))],
        AccountActOutcome::Faulty(found) => found
            .into_iter()
            .map(|(field, message)| (field.to_owned(), message))
            .collect(),
    };
    refused(&req, &ctx, &admin, id, &fields, faults).await
}

/// Says that the source of an account decides.
fn describe_managed(title: &str) -> String {
    let advice = match title {
        DELETED_SOURCE => "It can only be deleted.",
        _ => "Change it there.",
    };
    format!("This account is managed by {title}. {advice}")
}

/// Sends an invitation, or sends it again.
async fn invite(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let flash = match password_reset::invite(ctx, &admin.0.initiator, id).await? {
        InvitationOutcome::Sent => Flash::ok("The invitation was sent; the previous link stops working."),
        InvitationOutcome::NoAddress => Flash::error("This account has no email address."),
        InvitationOutcome::Managed(title) => Flash::error(describe_managed(&title)),
        InvitationOutcome::NotInvited => Flash::info("Only an active account that has never signed in can be invited."),
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &flash))
}

/// Sends a link instead of setting a one-time password.
async fn mail_link(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let flash = match password_reset::mail_link(ctx, &admin.0.initiator, id).await? {
        MailLinkOutcome::Sent => Flash::ok("A password reset link was sent; it works for 30 minutes."),
        MailLinkOutcome::NoAddress => Flash::error("This account has no email address."),
        MailLinkOutcome::Managed(title) => Flash::error(describe_managed(&title)),
        MailLinkOutcome::Unusable => Flash::info("The account is disabled or expired: enable it first."),
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &flash))
}

/// Removes every factor of the account and ends its sessions.
async fn reset_factors(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let reset = factors::reset_factors(ctx, &admin.0.initiator, id, ResetKind::All).await?;
    let sessions = match i64::try_from(reset.ended_sessions).unwrap_or(i64::MAX) {
        0 => String::new(),
        ended => format!(" {} ended.", format_count(ended, "session")),
    };
    let flash = if reset.is_empty() {
        Flash::info("The account has no second factor. Nothing was changed.")
    } else {
        Flash::ok(format!("The second factors were removed.{sessions}"))
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &flash))
}

/// Mails or shows a link to enrol a first factor.
async fn enrolment_link(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
    is_mailed: bool,
) -> Result<HttpResponse, PageError> {
    let initiator = &admin.0.initiator;
    let outcome = if is_mailed {
        factors::send_enrolment_link(ctx, initiator, id).await?
    } else {
        factors::make_enrolment_link(ctx, initiator, id).await?
    };
    let flash = match outcome {
        EnrolmentLinkOutcome::Sent => Flash::ok("An enrolment link was sent; it works once, for 72 hours."),
        EnrolmentLinkOutcome::Link(link) => {
            Flash::ok("Hand this link to the owner. An earlier link stops working.").with_link(&link)
        }
        EnrolmentLinkOutcome::OwnAccount => Flash::error(
            "You cannot make an enrolment link for your own account. Ask another administrator, or use the command \
             line: nightlatch account enrolment-link.",
        ),
        EnrolmentLinkOutcome::NoAddress => Flash::error("This account has no email address."),
        EnrolmentLinkOutcome::Unusable => Flash::info("The account is disabled or expired: enable it first."),
        EnrolmentLinkOutcome::HasFactor => Flash::error(
            "This account has a second factor already, so a link would open nothing. If the factor is lost, reset \
             the second factors first.",
        ),
    };
    Ok(redirect(req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &flash))
}

/// Renders the page again, with the input.
async fn refused(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
    fields: &AccountForm,
    faults: FormFaults,
) -> Result<HttpResponse, PageError> {
    let mut view = load_account_page(req, ctx, admin, id).await?;
    match fields.act.as_str() {
        "profile" => {
            view.profile = ProfileFields {
                display_name: fields.display_name.clone(),
                email: fields.email.clone(),
                groups: fields.groups.clone(),
            };
        }
        "set-expiry" => view.expires_field = fields.expires_at.clone(),
        _ => {}
    }
    view.faults = faults;
    render_page(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

fn describe_done(act: &Act, ended: usize) -> String {
    let sessions = match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => String::new(),
        ended => format!(" {} ended.", format_count(ended, "session")),
    };
    let what = match act {
        Act::Disable => "Disabled.".to_owned(),
        Act::Enable => "Enabled. The account can sign in again.".to_owned(),
        Act::ExpireNow => "Expired.".to_owned(),
        Act::SetExpiry(Some(at)) => format!("It expires on {}.", format_utc(*at)),
        Act::SetExpiry(None) => "The expiry date was removed.".to_owned(),
        Act::ForceChange => "The user must choose a new password before anything else opens.".to_owned(),
        Act::ResetPassword | Act::SetPassword { .. } => "The password was reset.".to_owned(),
        Act::SetRole(role) => format!("The role is now {}.", role.as_str()),
        Act::SetProfile { .. } => "The profile was saved.".to_owned(),
        Act::EndSessions if ended == 0 => "There were no live sessions.".to_owned(),
        Act::EndSessions => String::new(),
        Act::Unlock => "Unlocked.".to_owned(),
        Act::Delete => "The account was deleted.".to_owned(),
    };
    format!("{what}{sessions}").trim().to_owned()
}
