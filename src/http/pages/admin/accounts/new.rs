//! `/admin/accounts/new`: an account with an invitation by mail, a one-time password that is shown once, or one set by hand.
use super::view::NewAccountPage;
use crate::domain::account::{Role, profile::split_groups};
use crate::domain::secret::Secret;
use crate::flows::Ctx;
use crate::flows::accounts::{self, CreateVerdict, NewAccount, NewPassword};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Form;
use crate::http::pages::admin::list::filled;
use crate::http::pages::admin::part::Choice;
use crate::http::pages::{Shell, page};
use crate::http::paths;
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

const ROLES: [(&str, &str); 2] = [("member", "Member"), ("administrator", "Administrator")];

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    name: String,
    display_name: String,
    email: String,
    role: String,
    groups: String,
    expires_at: String,
    /// `on`: the owner chooses the password through a mailed link.
    invite: String,
    /// Blank: one is made.
    password: String,
    must_change: String,
}

impl Critical for Fields {
    const SECRETS: &[(&str, &str)] = &[("password", "Password of the new account, once more")];
}

pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let fields = Fields {
        role: Role::Member.as_str().to_owned(),
        must_change: "on".to_owned(),
        ..Fields::default()
    };
    page(StatusCode::OK, &shown(&req, &ctx, &admin, &fields, Vec::new()).await?)
}

async fn shown(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: &Fields,
    faults: Vec<(String, String)>,
) -> Result<NewAccountPage, PageError> {
    Ok(NewAccountPage {
        shell: Shell::admin(req, ctx, admin, "New account", "accounts").await?,
        name: fields.name.clone(),
        display_name: fields.display_name.clone(),
        email: fields.email.clone(),
        groups: fields.groups.clone(),
        expires: fields.expires_at.clone(),
        roles: Choice::list(ROLES, &fields.role),
        invite: !fields.invite.is_empty(),
        given: !fields.password.is_empty() || faults.iter().any(|(field, _)| field == "password"),
        must_change: !fields.must_change.is_empty(),
        min_length: ctx.in_force().everyone().password.min_length,
        faults,
    })
}

/// `POST /admin/accounts`
pub async fn create(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    let (new, mut faults) = read(&fields);
    if faults.is_empty() {
        match accounts::create(&ctx, &admin.0.acting, new).await? {
            CreateVerdict::Created {
                id,
                one_time_password,
                invited,
            } => {
                let mailed = if invited {
                    " An invitation is on its way; its link works for 72 hours."
                } else {
                    ""
                };
                let said = Flash::ok(format!("Account {} was created.{mailed}", fields.name.trim()));
                let said = one_time_password
                    .iter()
                    .fold(said, |said, secret| said.with_secret(secret));
                return Ok(redirect(&req, &format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), &said));
            }
            CreateVerdict::Faulty(found) => {
                faults.extend(found.into_iter().map(|(field, message)| (field.to_owned(), message)))
            }
        }
    }
    page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &shown(&req, &ctx, &admin, &fields, faults).await?,
    )
}

fn read(fields: &Fields) -> (NewAccount, Vec<(String, String)>) {
    let mut faults = Vec::new();
    let role = Role::parse(&fields.role).unwrap_or_else(|| {
        faults.push(("role".to_owned(), "Choose a role.".to_owned()));
        Role::Member
    });
    let expires_at = super::act::date(&fields.expires_at).unwrap_or_else(|message| {
        faults.push(("expires_at".to_owned(), message));
        None
    });
    let password = match filled(&fields.password) {
        _ if !fields.invite.is_empty() => NewPassword::Invitation,
        None => NewPassword::OneTime,
        Some(_) => NewPassword::Given {
            password: Secret::new(fields.password.clone()),
            must_change: !fields.must_change.is_empty(),
        },
    };
    let new = NewAccount {
        name: fields.name.clone(),
        display_name: fields.display_name.clone(),
        email: fields.email.clone(),
        role,
        groups: split_groups(&fields.groups),
        expires_at,
        password,
    };
    (new, faults)
}
