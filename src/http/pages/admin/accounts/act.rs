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
        accounts::{self, AccountAction, AccountActionOutcome},
        factors::{self, EnrolmentLinkOutcome, FactorReset, ResetKind},
        password_reset::{self, InvitationOutcome, MailLinkOutcome},
        sources::DELETED_SOURCE,
    },
    http::{
        error::PageError,
        filters::{format_count, format_utc},
        flash::{Flash, redirect},
        forms::Form,
        pages::admin::{
            form_answer::{FormAnswer, Performed, answer_once, perform},
            list::FormFaults,
        },
        paths,
        respond::render_page,
        step_up::{ConfirmedVisitor, CriticalForm},
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
    fn act(&self) -> Result<AccountAction, FormFaults> {
        let fault = |field: &str, message: &str| vec![(field.to_owned(), message.to_owned())];
        Ok(match self.act.as_str() {
            "disable" => AccountAction::Disable,
            "enable" => AccountAction::Enable,
            "expire" => AccountAction::ExpireNow,
            "set-expiry" => AccountAction::SetExpiry(
                parse_expiry(&self.expires_at).map_err(|message| fault("expires_at", &message))?,
            ),
            "force-change" => AccountAction::ForceChange,
            "reset-password" => AccountAction::ResetPassword,
            "role" => AccountAction::SetRole(Role::parse(&self.role).ok_or_else(|| fault("acts-h", "Choose a role."))?),
            "profile" => AccountAction::SetProfile {
                display_name: self.display_name.clone(),
                email: self.email.clone(),
                groups: split_groups(&self.groups),
            },
            "end-sessions" => AccountAction::EndSessions,
            "unlock" => AccountAction::Unlock,
            "delete" => AccountAction::Delete,
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
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<AccountForm>>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = parse_account_id(&id)?;
    answer_once(&req, &ctx, &admin, act_on(&req, &ctx, &admin, id, fields.0)).await
}

async fn act_on(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
    fields: AccountForm,
) -> Result<HttpResponse, PageError> {
    if fields.act != "end-sessions" {
        admin.0.looked_up()?;
    }
    match fields.act.as_str() {
        "invite" => return invite(req, ctx, admin, id).await,
        "mail-link" => return mail_link(req, ctx, admin, id).await,
        "reset-factors" => return reset_factors(req, ctx, admin, id).await,
        "enrolment-link" => return enrolment_link(req, ctx, admin, id, true).await,
        "show-enrolment-link" => return enrolment_link(req, ctx, admin, id, false).await,
        _ => {}
    }
    let act = match fields.act() {
        Ok(act) => act,
        Err(faults) => return refused(req, ctx, admin, id, &fields, faults).await,
    };
    if matches!(act, AccountAction::Delete) {
        let name = accounts::name_of(ctx, id).await?.ok_or(PageError::NotFound)?;
        if fields.confirm_name.trim() != name {
            let faults = vec![(
                "confirm_name".to_owned(),
                format!("Type {name} to delete this account."),
            )];
            return refused(req, ctx, admin, id, &fields, faults).await;
        }
    }
    let (initiator, done) = (admin.0.initiator.clone(), act.clone());
    let describe = move |outcome: &AccountActionOutcome| answer_done(id, &done, outcome);
    let act = async move |ctx: Ctx| accounts::act(&ctx, &initiator, id, act).await;
    let faults = match perform(req, ctx, describe, act).await? {
        Performed::Answered(response) => return Ok(response),
        Performed::Refused(outcome) => describe_faults(outcome),
    };
    refused(req, ctx, admin, id, &fields, faults).await
}

/// Answers an act that was done. `None`: it was refused.
fn answer_done(id: AccountId, act: &AccountAction, outcome: &AccountActionOutcome) -> Option<FormAnswer> {
    let AccountActionOutcome::Done {
        one_time_password,
        ended,
    } = outcome
    else {
        return None;
    };
    let flash = Flash::ok(describe_done(act, *ended));
    let flash = one_time_password
        .iter()
        .fold(flash, |flash, secret| flash.with_secret(secret));
    Some(match act {
        AccountAction::Delete => FormAnswer::new(paths::ADMIN_ACCOUNTS, flash),
        _ => FormAnswer::new(page_of(id), flash),
    })
}

/// Returns the address of an account's page.
fn page_of(id: AccountId) -> String {
    format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0)
}

/// Says why an act was refused.
fn describe_faults(outcome: AccountActionOutcome) -> FormFaults {
    match outcome {
        AccountActionOutcome::Done { .. } => FormFaults::new(),
        AccountActionOutcome::LastAdministrator => vec![(
            "acts-h".to_owned(),
            "This is the last administrator who can sign in. Create another one first.".to_owned(),
        )],
        AccountActionOutcome::Yourself => vec![(
            "acts-h".to_owned(),
            "You cannot do that to your own account. Another administrator can.".to_owned(),
        )],
        AccountActionOutcome::Managed(title) => vec![("acts-h".to_owned(), describe_managed(&title))],
        AccountActionOutcome::Faulty(found) => found
            .into_iter()
            .map(|(field, message)| (field.to_owned(), message))
            .collect(),
    }
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
    let describe = move |outcome: &InvitationOutcome| {
        let flash = Flash::ok("The invitation was sent; the previous link stops working.");
        matches!(outcome, InvitationOutcome::Sent).then(|| FormAnswer::new(page_of(id), flash))
    };
    let invite = async |ctx: Ctx| password_reset::invite(&ctx, &admin.0.initiator, id).await;
    let flash = match perform(req, ctx, describe, invite).await? {
        Performed::Answered(response) => return Ok(response),
        Performed::Refused(InvitationOutcome::NoAddress) => Flash::error("This account has no email address."),
        Performed::Refused(InvitationOutcome::Managed(title)) => Flash::error(describe_managed(&title)),
        Performed::Refused(InvitationOutcome::NotInvited | InvitationOutcome::Sent) => {
            Flash::info("Only an active account that has never signed in can be invited.")
        }
    };
    Ok(redirect(req, &page_of(id), &flash))
}

/// Sends a link instead of setting a one-time password.
async fn mail_link(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let describe = move |outcome: &MailLinkOutcome| {
        let flash = Flash::ok("A password reset link was sent; it works for 30 minutes.");
        matches!(outcome, MailLinkOutcome::Sent).then(|| FormAnswer::new(page_of(id), flash))
    };
    let send = async |ctx: Ctx| password_reset::mail_link(&ctx, &admin.0.initiator, id).await;
    let flash = match perform(req, ctx, describe, send).await? {
        Performed::Answered(response) => return Ok(response),
        Performed::Refused(MailLinkOutcome::NoAddress) => Flash::error("This account has no email address."),
        Performed::Refused(MailLinkOutcome::Managed(title)) => Flash::error(describe_managed(&title)),
        Performed::Refused(MailLinkOutcome::Unusable | MailLinkOutcome::Sent) => {
            Flash::info("The account is disabled or expired: enable it first.")
        }
    };
    Ok(redirect(req, &page_of(id), &flash))
}

/// Removes every factor of the account and ends its sessions.
async fn reset_factors(req: &HttpRequest, ctx: &Ctx, admin: &Admin, id: AccountId) -> Result<HttpResponse, PageError> {
    let describe = move |reset: &FactorReset| {
        let sessions = match i64::try_from(reset.ended_sessions).unwrap_or(i64::MAX) {
            0 => String::new(),
            ended => format!(" {} ended.", format_count(ended, "session")),
        };
        let flash = Flash::ok(format!("The second factors were removed.{sessions}"));
        (!reset.is_empty()).then(|| FormAnswer::new(page_of(id), flash))
    };
    let reset = async |ctx: Ctx| factors::reset_factors(&ctx, &admin.0.initiator, id, ResetKind::All).await;
    Ok(match perform(req, ctx, describe, reset).await? {
        Performed::Answered(response) => response,
        Performed::Refused(_) => {
            let flash = Flash::info("The account has no second factor. Nothing was changed.");
            redirect(req, &page_of(id), &flash)
        }
    })
}

/// Mails or shows a link to enrol a first factor.
async fn enrolment_link(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: AccountId,
    is_mailed: bool,
) -> Result<HttpResponse, PageError> {
    let describe = move |outcome: &EnrolmentLinkOutcome| {
        let flash = match outcome {
            EnrolmentLinkOutcome::Sent => Flash::ok("An enrolment link was sent; it works once, for 72 hours."),
            EnrolmentLinkOutcome::Link(link) => {
                Flash::ok("Hand this link to the owner. An earlier link stops working.").with_link(link)
            }
            _ => return None,
        };
        Some(FormAnswer::new(page_of(id), flash))
    };
    let initiator = &admin.0.initiator;
    let issue = async |ctx: Ctx| match is_mailed {
        true => factors::send_enrolment_link(&ctx, initiator, id).await,
        false => factors::make_enrolment_link(&ctx, initiator, id).await,
    };
    let outcome = match perform(req, ctx, describe, issue).await? {
        Performed::Answered(response) => return Ok(response),
        Performed::Refused(outcome) => outcome,
    };
    let flash = match outcome {
        EnrolmentLinkOutcome::OwnAccount => Flash::error(
            "You cannot make an enrolment link for your own account. Ask another administrator, or use the command \
             line: nightlatch account enrolment-link.",
        ),
        EnrolmentLinkOutcome::NoAddress => Flash::error("This account has no email address."),
        EnrolmentLinkOutcome::HasFactor => Flash::error(
            "This account has a second factor already, so a link would open nothing. If the factor is lost, reset \
             the second factors first.",
        ),
        EnrolmentLinkOutcome::Unusable | EnrolmentLinkOutcome::Sent | EnrolmentLinkOutcome::Link(_) => {
            Flash::info("The account is disabled or expired: enable it first.")
        }
    };
    Ok(redirect(req, &page_of(id), &flash))
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

fn describe_done(act: &AccountAction, ended: usize) -> String {
    let sessions = match i64::try_from(ended).unwrap_or(i64::MAX) {
        0 => String::new(),
        ended => format!(" {} ended.", format_count(ended, "session")),
    };
    let what = match act {
        AccountAction::Disable => "Disabled.".to_owned(),
        AccountAction::Enable => "Enabled. The account can sign in again.".to_owned(),
        AccountAction::ExpireNow => "Expired.".to_owned(),
        AccountAction::SetExpiry(Some(at)) => format!("It expires on {}.", format_utc(*at)),
        AccountAction::SetExpiry(None) => "The expiry date was removed.".to_owned(),
        AccountAction::ForceChange => "The user must choose a new password before anything else opens.".to_owned(),
        AccountAction::ResetPassword | AccountAction::SetPassword { .. } => "The password was reset.".to_owned(),
        AccountAction::SetRole(role) => format!("The role is now {}.", role.as_str()),
        AccountAction::SetProfile { .. } => "The profile was saved.".to_owned(),
        AccountAction::EndSessions if ended == 0 => "There were no live sessions.".to_owned(),
        AccountAction::EndSessions => String::new(),
        AccountAction::Unlock => "Unlocked.".to_owned(),
        AccountAction::Delete => "The account was deleted.".to_owned(),
    };
    format!("{what}{sessions}").trim().to_owned()
}
