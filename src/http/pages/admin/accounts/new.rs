//! `/admin/accounts/new`: an account with an invitation by email, a one-time password that is shown
//! once, or a given password.
use super::{input::parse_expiry, view::NewAccountPage};
use crate::{
    domain::{
        account::{Role, profile::split_groups},
        secret::Secret,
    },
    flows::{
        Ctx,
        accounts::{self, CreateOutcome, NewAccount, NewPassword},
    },
    http::{
        error::PageError,
        filters::format_utc,
        flash::Flash,
        forms::Form,
        pages::admin::{
            form_answer::{FormAnswer, Performed, answer_once, perform},
            list::filled,
            part::Choice,
        },
        paths,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::Admin,
    },
    live::sources::Sources,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

const ROLES: [(&str, &str); 2] = [("member", "Member"), ("administrator", "Administrator")];

/// The form of a new account.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewAccountForm {
    name: String,
    display_name: String,
    email: String,
    /// The name of the source through which the owner signs in; empty: the account is local.
    source: String,
    role: String,
    groups: String,
    expires_at: String,
    /// `on`: the owner chooses the password through a mailed link.
    invite: String,
    /// Empty: a password is generated.
    password: String,
    must_change: String,
}

impl CriticalForm for NewAccountForm {
    const SECRETS: &[(&str, &str)] = &[("password", "Password of the new account")];
}

/// `GET /admin/accounts/new`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let fields = NewAccountForm {
        role: Role::Member.as_str().to_owned(),
        must_change: "on".to_owned(),
        ..NewAccountForm::default()
    };
    render_page(StatusCode::OK, &shown(&req, &ctx, &admin, &fields, Vec::new()).await?)
}

/// Returns the sources as options; empty: there are only local accounts.
fn source_options(known: &Sources, chosen: &str) -> Vec<Choice> {
    let named: Vec<(&str, &str)> = known
        .all()
        .map(|live| (live.source.name.as_str(), live.source.title.as_str()))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let local = ("", "Local: the password is kept here");
    Choice::list(std::iter::once(local).chain(named), chosen)
}

async fn shown(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: &NewAccountForm,
    faults: Vec<(String, String)>,
) -> Result<NewAccountPage, PageError> {
    Ok(NewAccountPage {
        shell: Shell::admin(req, ctx, admin, "New account", "accounts").await?,
        name: fields.name.clone(),
        display_name: fields.display_name.clone(),
        email: fields.email.clone(),
        groups: fields.groups.clone(),
        expires: fields.expires_at.clone(),
        sources: source_options(&*ctx.current_sources().await?, fields.source.trim()),
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
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<NewAccountForm>>,
) -> Result<HttpResponse, PageError> {
    answer_once(&req, &ctx, &admin, create_account(&req, &ctx, &admin, fields.0)).await
}

async fn create_account(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    fields: NewAccountForm,
) -> Result<HttpResponse, PageError> {
    let (new, mut faults) = read(&fields);
    if faults.is_empty() {
        let named = new.clone();
        let describe = move |outcome: &CreateOutcome| answer_created(&named, outcome);
        let create = async |ctx: Ctx| accounts::create(&ctx, &admin.0.initiator, new).await;
        match perform(req, ctx, describe, create).await? {
            Performed::Answered(response) => return Ok(response),
            Performed::Refused(CreateOutcome::Faulty(found)) => {
                faults.extend(found.into_iter().map(|(field, message)| (field.to_owned(), message)));
            }
            Performed::Refused(CreateOutcome::Created { .. }) => {}
        }
    }
    render_page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &shown(req, ctx, admin, &fields, faults).await?,
    )
}

/// Answers the creation of an account. `None`: it was refused.
fn answer_created(new: &NewAccount, outcome: &CreateOutcome) -> Option<FormAnswer> {
    let CreateOutcome::Created {
        id,
        one_time_password,
        invited,
    } = outcome
    else {
        return None;
    };
    let mailed = if *invited {
        " An invitation was sent; its link works for 72 hours."
    } else {
        ""
    };
    let expiry = new
        .expires_at
        .map(|at| format!(" It expires on {}.", format_utc(at)))
        .unwrap_or_default();
    let way = match new.password {
        NewPassword::Source(_) => " It waits for its owner to sign in through the source.",
        NewPassword::OneTime | NewPassword::Invitation | NewPassword::Given { .. } => "",
    };
    let name = new.name.trim();
    let flash = Flash::ok(format!("Account {name} was created.{expiry}{mailed}{way}"));
    let flash = one_time_password
        .iter()
        .fold(flash, |flash, secret| flash.with_secret(secret));
    Some(FormAnswer::new(format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), flash))
}

fn read(fields: &NewAccountForm) -> (NewAccount, Vec<(String, String)>) {
    let mut faults = Vec::new();
    let role = Role::parse(&fields.role).unwrap_or_else(|| {
        faults.push(("role".to_owned(), "Choose a role.".to_owned()));
        Role::Member
    });
    let source = filled(&fields.source);
    if source.is_some() {
        faults.extend(source_faults(fields, role));
    }
    let expires_at = parse_expiry(&fields.expires_at).unwrap_or_else(|message| {
        faults.push(("expires_at".to_owned(), message));
        None
    });
    let password = match (source, filled(&fields.password)) {
        (Some(source), _) => NewPassword::Source(source),
        (None, _) if !fields.invite.is_empty() => NewPassword::Invitation,
        (None, None) => NewPassword::OneTime,
        (None, Some(_)) => NewPassword::Given {
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

/// Returns the faults of fields that the source of a new account decides.
fn source_faults(fields: &NewAccountForm, role: Role) -> Vec<(String, String)> {
    let decided = [
        (
            "role",
            role != Role::Member,
            "The source decides about the role. Choose Member.",
        ),
        (
            "groups",
            !fields.groups.trim().is_empty(),
            "The source decides about the groups. Leave this empty.",
        ),
        (
            "password",
            !fields.password.is_empty(),
            "The source keeps the password. Leave this empty.",
        ),
        (
            "invite",
            !fields.invite.is_empty(),
            "The source keeps the password, so an invitation would lead nowhere.",
        ),
    ];
    let given = decided.into_iter().filter(|(_, is_given, _)| *is_given);
    given
        .map(|(field, _, message)| (field.to_owned(), message.to_owned()))
        .collect()
}
