//! `nightlatch account …`: create, look at and look after accounts. The last enabled administrator is safe from it too.

mod file;

use super::{
    CliError, Done,
    desk::Desk,
    input,
    output::{self, Output, Table, count, json_time, or_dash, plain, time, time_or_dash},
};
use crate::{
    domain::{
        account::Role,
        account::profile::split_groups,
        password::{ChangeReason, NEVER},
        policy::{PolicyDocument, posture::baselines},
        secret::Secret,
        time::Timestamp,
    },
    flows::{
        self,
        accounts::{AccountState, AccountView, Act, ActVerdict, CreateVerdict, FieldFault, NewAccount, NewPassword},
        password_reset::{Invited, Mailed},
    },
    store::accounts::{Account as Row, AccountFilter, AccountListState},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Account {
    /// Create an account; also the first administrator of a new installation
    Create(Create),
    /// List accounts
    List(List),
    /// Show one account
    Show(Show),
    /// Disable an account and end its sessions
    Disable(Named),
    /// Enable an account; also re-activates an expired one
    Enable(Named),
    /// Delete an account and end its sessions; the audit keeps what it says
    Delete(Named),
    /// Give an account another password and end its sessions
    ResetPassword(ResetPassword),
    /// Mail the invitation of an account again, with a new link
    Invite(Named),
    /// Make an account an administrator or a member
    SetRole(SetRole),
    /// Set or remove an account's e-mail address
    SetEmail(SetEmail),
    /// Set or remove an account's groups, for protected applications
    SetGroups(SetGroups),
    /// Expire an account now, or on a date
    Expire(Expire),
    /// Release every lock on an account's name and forget its failed sign-ins
    Unlock(Named),
    /// Create and change accounts as a CSV file says
    Import(file::Import),
    /// Print all accounts as a CSV file that can be imported
    Export(file::Export),
}

#[derive(Args)]
pub struct Named {
    /// The account's name
    name: String,
}

#[derive(Args)]
#[command(after_help = "\
For example: printf %s \"$PASSWORD\" | nightlatch account create ada --role administrator --password-stdin")]
pub struct Create {
    /// The name to sign in with
    name: String,
    /// What the account may do
    #[arg(long, value_parser = role(), default_value = "member")]
    role: Role,
    /// Read the password from standard input (one line end after it is cut off); without it, a terminal is asked
    #[arg(long)]
    password_stdin: bool,
    /// Make a one-time password and print it, once, alone on standard output; it must be changed at the first sign-in
    #[arg(long, conflicts_with = "password_stdin")]
    one_time: bool,
    /// Mail a link to choose the first password; works once, for 72 hours
    #[arg(long, conflicts_with_all = ["password_stdin", "one_time", "must_change"], requires = "email")]
    invite: bool,
    /// E-mail address
    #[arg(long)]
    email: Option<String>,
    /// Name to show
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A group, for protected applications; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The password must be changed at the first sign-in
    #[arg(long)]
    must_change: bool,
    /// When the account expires: RFC 3339, or a day
    #[arg(long, value_name = "TIME", value_parser = input::instant)]
    expires_at: Option<Timestamp>,
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only those with this role
    #[arg(long, value_parser = role())]
    role: Option<Role>,
    /// Only those in this state
    #[arg(long, value_parser = state())]
    state: Option<AccountListState>,
    /// Only those in this group
    #[arg(long)]
    group: Option<String>,
    /// Only those with this in their name, display name or e-mail address
    #[arg(long)]
    text: Option<String>,
}

#[derive(Args)]
pub struct Show {
    /// The account's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ResetPassword {
    /// The account's name
    name: String,
    /// Read the password from standard input (one line end after it is cut off); without it, a terminal is asked
    #[arg(long)]
    password_stdin: bool,
    /// Make a one-time password and print it, once, alone on standard output; it must be changed at the next sign-in
    #[arg(long, conflicts_with = "password_stdin")]
    one_time: bool,
    /// Mail a link to choose a new password with, good for 30 minutes; until it is used the password of today works
    #[arg(long, conflicts_with_all = ["password_stdin", "one_time", "must_change"])]
    mail: bool,
    /// The password must be changed at the next sign-in
    #[arg(long)]
    must_change: bool,
}

#[derive(Args)]
pub struct SetRole {
    /// The account's name
    name: String,
    /// What the account may do from now on
    #[arg(value_parser = role())]
    role: Role,
}

#[derive(Args)]
pub struct SetEmail {
    /// The account's name
    name: String,
    /// The address; empty removes it
    email: String,
}

#[derive(Args)]
pub struct SetGroups {
    /// The account's name
    name: String,
    /// All its groups, separated by commas; empty removes them
    groups: String,
}

#[derive(Args)]
pub struct Expire {
    /// The account's name
    name: String,
    /// Expire then instead of now: RFC 3339, a day, or never
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    at: Option<Expiry>,
}

/// When an account is to expire.
#[derive(Clone, Copy)]
enum Expiry {
    At(Timestamp),
    Never,
}

fn expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "never" => Ok(Expiry::Never),
        text => input::instant(text)
            .map(Expiry::At)
            .map_err(|why| format!("{why}, or never")),
    }
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.as_str()))
        .try_map(|word| Role::parse(&word).ok_or("unknown role"))
}

fn state() -> impl TypedValueParser<Value = AccountListState> {
    PossibleValuesParser::new(AccountListState::ALL.map(AccountListState::code))
        .try_map(|word| AccountListState::parse(&word).ok_or("unknown state"))
}

impl Account {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Create(create) => create.run(desk).await,
            Self::List(list) => list.run(desk).await,
            Self::Show(show) => show.run(desk).await,
            Self::Disable(named) => disable(desk, &named.name).await,
            Self::Enable(named) => enable(desk, &named.name).await,
            Self::Delete(named) => delete(desk, &named.name).await,
            Self::ResetPassword(reset) => reset.run(desk).await,
            Self::Invite(named) => invite(desk, &named.name).await,
            Self::SetRole(set) => set.run(desk).await,
            Self::SetEmail(set) => set.run(desk).await,
            Self::SetGroups(set) => set.run(desk).await,
            Self::Expire(expire) => expire.run(desk).await,
            Self::Unlock(named) => unlock(desk, &named.name).await,
            Self::Import(import) => import.run(desk).await,
            Self::Export(export) => export.run(desk).await,
        }
    }
}

impl Create {
    async fn run(self, desk: &Desk) -> Done {
        if let Some(at) = self.expires_at {
            refuse_past(desk, at)?;
        }
        let password = if self.one_time {
            NewPassword::OneTime
        } else if self.invite {
            NewPassword::Invitation
        } else {
            NewPassword::Given {
                password: input::new_password(self.password_stdin)?,
                must_change: self.must_change,
            }
        };
        let new = NewAccount {
            name: self.name.clone(),
            display_name: self.display_name.unwrap_or_default(),
            email: self.email.unwrap_or_default(),
            role: self.role,
            groups: self.groups,
            expires_at: self.expires_at,
            password,
        };
        match flows::accounts::create(&desk.ctx, &desk.acting, new).await? {
            CreateVerdict::Faulty(faults) => Err(faulty(faults)),
            CreateVerdict::Created { one_time_password, .. } => {
                let first = flows::setup::close(&desk.ctx, &desk.acting).await?;
                let mailed = if self.invite {
                    " The invitation is on its way."
                } else {
                    ""
                };
                let done = format!("Created {} ({}).{mailed}", plain(self.name.trim()), self.role.as_str());
                match one_time_password {
                    Some(password) => {
                        output::note(&format!("{done} {ONE_TIME_WORDS}"));
                        hand_over(&password)?;
                    }
                    None => output::say(&done)?,
                }
                advise(desk, first).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// What set-up would have seen to, had it not been over with the `first` account.
async fn advise(desk: &Desk, first: bool) -> Result<(), CliError> {
    if flows::setup::lacks_administrator(&desk.ctx).await? {
        output::warn(flows::setup::NO_ADMINISTRATOR);
    }
    if first && *desk.ctx.in_force().policy.document() == PolicyDocument::default() {
        let baselines: Vec<&str> = baselines().iter().map(|baseline| baseline.title).collect();
        output::note(&format!(
            "the policy is at its defaults, for which set-up would have offered {}: `nightlatch policy posture` \
             compares with them, `policy set` and `policy import` change it",
            baselines.join(", ")
        ));
    }
    Ok(())
}

/// Said with each one-time password (`domain::password::ONE_TIME`).
const ONE_TIME_WORDS: &str = "The one-time password works for 72 hours.";
/// Accounts read at once.
const PAGE: i64 = 200;

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let mut filter = AccountFilter {
            text: self.text,
            role: self.role,
            state: self.state,
            group: self.group,
            limit: PAGE,
            ..AccountFilter::default()
        };
        let mut json = self.json.then(output::JsonList::new);
        let mut table = Table::new(&["NAME", "ROLE", "STATE", "SESSIONS", "LAST SIGN-IN", "EXPIRES", "E-MAIL"]);
        loop {
            let page = flows::accounts::list(&desk.ctx, filter.clone()).await?;
            filter.after = page.items.last().map(|view| view.account.name_key.clone());
            for view in &page.items {
                match &mut json {
                    Some(list) => list.item(&as_json(view))?,
                    None => table.row([
                        view.account.name.clone(),
                        view.account.role.as_str().to_owned(),
                        state_shown(view),
                        view.live_sessions.to_string(),
                        time_or_dash(view.account.last_sign_in_at),
                        time_or_dash(view.expires.map(|(at, _)| at)),
                        or_dash(view.account.email.as_deref()),
                    ]),
                }
            }
            if !page.older || page.items.is_empty() {
                break;
            }
        }
        match json {
            Some(list) => list.finish()?,
            None if table.is_empty() => output::say("No accounts.")?,
            None => {
                let mut out = Output::new();
                out.table(&table)?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self, desk: &Desk) -> Done {
        let (_, view) = found(desk, &self.name).await?;
        if self.json {
            output::say_json(&as_json(&view))?;
            return Ok(ExitCode::SUCCESS);
        }
        let account = &view.account;
        let mut table = Table::plain(2);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("name", account.name.clone());
        row("display name", or_dash(Some(&account.display_name)));
        row("e-mail", or_dash(account.email.as_deref()));
        row("role", account.role.as_str().to_owned());
        row("groups", or_dash(Some(&account.groups.join(", "))));
        row("state", state_shown(&view));
        row("live sessions", view.live_sessions.to_string());
        row("created", time(account.created_at));
        row("last sign-in", time_or_dash(account.last_sign_in_at));
        row("last session ended", time_or_dash(account.last_session_ended_at));
        row("password changed", time(account.password_changed_at));
        if let Some(until) = account.password_good_until {
            row(
                "password works until",
                if until == NEVER {
                    "never: nobody knows it".to_owned()
                } else {
                    time(until)
                },
            );
        }
        let expires = view.expires.map(|(at, rule)| format!("{} ({})", time(at), rule.code()));
        row("expires", expires.unwrap_or_else(|| "never, as things are".to_owned()));
        if view.is_last_administrator {
            row("note", "the last enabled administrator: never expires".to_owned());
        }
        let mut out = Output::new();
        out.table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ResetPassword {
    async fn run(self, desk: &Desk) -> Done {
        let account = desk.account(&self.name).await?;
        if self.mail {
            return mail_link(desk, &account).await;
        }
        let act = if self.one_time {
            Act::ResetPassword
        } else {
            Act::SetPassword {
                password: input::new_password(self.password_stdin)?,
                must_change: self.must_change,
            }
        };
        let (one_time_password, ended) = acted(desk, &account, act, "").await?;
        let done = format!(
            "The password of {} is another one now.{}",
            plain(&account.name),
            and_ended(ended)
        );
        match one_time_password {
            Some(password) => {
                output::note(&format!("{done} {ONE_TIME_WORDS}"));
                hand_over(&password)?;
            }
            None => output::say(&done)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl SetRole {
    async fn run(self, desk: &Desk) -> Done {
        let account = desk.account(&self.name).await?;
        let (name, role) = (plain(&account.name), self.role.as_str());
        if account.role == self.role {
            return nothing_to_do(&format!("{name} has the role {role} already."));
        }
        acted(desk, &account, Act::SetRole(self.role), "made a member").await?;
        output::say(&format!("{name} has the role {role} now."))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SetEmail {
    async fn run(self, desk: &Desk) -> Done {
        let account = desk.account(&self.name).await?;
        let (name, email) = (plain(&account.name), self.email.trim().to_owned());
        if account.email.as_deref().unwrap_or_default() == email {
            return nothing_to_do(&format!("{name} has this e-mail address already."));
        }
        let act = Act::SetProfile {
            display_name: account.display_name.clone(),
            email: email.clone(),
            groups: account.groups.clone(),
        };
        acted(desk, &account, act, "").await?;
        output::say(&if email.is_empty() {
            format!("{name} has no e-mail address now.")
        } else {
            format!("{name} has the e-mail address {} now.", plain(&email))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SetGroups {
    async fn run(self, desk: &Desk) -> Done {
        let account = desk.account(&self.name).await?;
        let (name, groups) = (plain(&account.name), split_groups(&self.groups));
        if account.groups == groups {
            return nothing_to_do(&format!("{name} has these groups already."));
        }
        let shown = or_dash(Some(&plain(&groups.join(", "))));
        let act = Act::SetProfile {
            display_name: account.display_name.clone(),
            email: account.email.clone().unwrap_or_default(),
            groups,
        };
        acted(desk, &account, act, "").await?;
        output::say(&format!("Groups of {name}: {shown}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Expire {
    async fn run(self, desk: &Desk) -> Done {
        let account = desk.account(&self.name).await?;
        let name = plain(&account.name);
        let already = |at: Option<Timestamp>| account.expires_at == at;
        let done = match self.at {
            None if account.expired_at.is_some() => return nothing_to_do(&format!("{name} has expired already.")),
            None => {
                let (_, ended) = acted(desk, &account, Act::ExpireNow, "expired").await?;
                format!("{name} has expired.{}", and_ended(ended))
            }
            Some(Expiry::Never) if already(None) => return nothing_to_do(&format!("{name} has no date of expiry.")),
            Some(Expiry::Never) => {
                acted(desk, &account, Act::SetExpiry(None), "").await?;
                format!("{name} has no date of expiry any more.")
            }
            Some(Expiry::At(at)) if already(Some(at)) => {
                return nothing_to_do(&format!("{name} expires at {} already.", at.to_rfc3339()));
            }
            Some(Expiry::At(at)) => {
                refuse_past(desk, at)?;
                acted(desk, &account, Act::SetExpiry(Some(at)), "").await?;
                let (_, view) = found(desk, &account.name).await?;
                let but = match view.is_last_administrator {
                    true => ", but not while it is the last enabled administrator",
                    false => "",
                };
                format!("{name} expires at {}{but}.", at.to_rfc3339())
            }
        };
        output::say(&done)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn disable(desk: &Desk, name: &str) -> Done {
    let account = desk.account(name).await?;
    let name = plain(&account.name);
    if account.disabled_at.is_some() {
        return nothing_to_do(&format!("{name} is disabled already."));
    }
    let (_, ended) = acted(desk, &account, Act::Disable, "disabled").await?;
    output::say(&format!("{name} is disabled.{}", and_ended(ended)))?;
    Ok(ExitCode::SUCCESS)
}

async fn enable(desk: &Desk, name: &str) -> Done {
    let (account, view) = found(desk, name).await?;
    let name = plain(&account.name);
    // One that is due counts as expired, though nobody has marked it yet (no server runs).
    let due = view.expires.is_some_and(|(at, _)| at < desk.ctx.now());
    if account.disabled_at.is_none() && account.expired_at.is_none() && !due {
        return nothing_to_do(&format!("{name} is enabled already."));
    }
    acted(desk, &account, Act::Enable, "").await?;
    output::say(&format!("{name} is enabled."))?;
    Ok(ExitCode::SUCCESS)
}

async fn delete(desk: &Desk, name: &str) -> Done {
    let account = desk.account(name).await?;
    let (_, ended) = acted(desk, &account, Act::Delete, "deleted").await?;
    output::say(&format!("{} is deleted.{}", plain(&account.name), and_ended(ended)))?;
    Ok(ExitCode::SUCCESS)
}

async fn unlock(desk: &Desk, name: &str) -> Done {
    let account = desk.account(name).await?;
    let released = flows::lockouts::unlock_matching(&desk.ctx, &desk.acting, Some(&account.name), None).await?;
    output::say(&super::lockout::released(released))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a one-time password, the only time that anybody sees it: here even a reader that went away is a failure.
fn hand_over(password: &Secret) -> Result<(), CliError> {
    output::say(password.expose()).map_err(|error| {
        let again = "make another one with `nightlatch account reset-password NAME --one-time`";
        CliError::refused(format!("the one-time password could not be printed ({error}): {again}"))
    })
}

/// The account of that name, and how it stands.
async fn found(desk: &Desk, name: &str) -> Result<(Row, AccountView), CliError> {
    let account = desk.account(name).await?;
    match flows::accounts::view(&desk.ctx, account.id).await? {
        Some(view) => Ok((account, view)),
        None => Err(gone(&account)),
    }
}

/// Does it; `what` the last administrator cannot become by it.
async fn acted(desk: &Desk, account: &Row, act: Act, what: &str) -> Result<(Option<Secret>, usize), CliError> {
    let name = plain(&account.name);
    match flows::accounts::act(&desk.ctx, &desk.acting, account.id, act).await {
        Ok(ActVerdict::Done {
            one_time_password,
            ended,
        }) => Ok((one_time_password, ended)),
        Ok(ActVerdict::LastAdministrator) => {
            let why = format!("{name} is the last enabled administrator and cannot be {what}");
            Err(CliError::refused(why))
        }
        Ok(ActVerdict::Yourself) => Err(CliError::refused(format!("{name} cannot do this to itself"))),
        Ok(ActVerdict::Faulty(faults)) => Err(faulty(faults)),
        Err(flows::FlowError::NotFound) => Err(gone(account)),
        Err(error) => Err(error.into()),
    }
}

fn gone(account: &Row) -> CliError {
    CliError::refused(format!("there is no account named {} any more", plain(&account.name)))
}

fn faulty(faults: Vec<FieldFault>) -> CliError {
    let lines = faults
        .into_iter()
        .map(|(field, why)| format!("{field}: {}", plain(&why)));
    CliError::Faults(lines.collect())
}

fn nothing_to_do(why: &str) -> Done {
    output::say(&format!("Nothing to do: {why}"))?;
    Ok(ExitCode::SUCCESS)
}

fn and_ended(sessions: usize) -> String {
    match sessions {
        0 => String::new(),
        sessions => format!(" Ended {}.", count(sessions, "session", "sessions")),
    }
}

fn refuse_past(desk: &Desk, at: Timestamp) -> Result<(), CliError> {
    if at > desk.ctx.now() {
        return Ok(());
    }
    let why = format!(
        "{} is not in the future: to expire it now, use `nightlatch account expire`",
        at.to_rfc3339()
    );
    Err(CliError::refused(why))
}

fn state_shown(view: &AccountView) -> String {
    let state = match view.state {
        AccountState::Active => "active".to_owned(),
        AccountState::MustChange(reason) => format!("must change the password ({})", change_reason(reason)),
        AccountState::Disabled => "disabled".to_owned(),
        AccountState::Expired => "expired".to_owned(),
    };
    let state = match view.invited {
        Some(until) => format!("{state}, invited until {}", time(until)),
        None => state,
    };
    if view.locked.is_some() {
        format!("{state}, locked")
    } else {
        state
    }
}

async fn invite(desk: &Desk, name: &str) -> Done {
    let account = desk.account(name).await?;
    match flows::password_reset::invite(&desk.ctx, &desk.acting, account.id).await? {
        Invited::Sent => output::say("The invitation is on its way; an earlier link is dead.")?,
        Invited::NoAddress => return Err(CliError::refused("there is no e-mail address to send it to")),
        Invited::NotInvited => {
            return Err(CliError::refused(
                "only somebody who never signed in, and may, can be invited",
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn mail_link(desk: &Desk, account: &Row) -> Done {
    match flows::password_reset::mail_link(&desk.ctx, &desk.acting, account.id).await? {
        Mailed::Sent => output::say("A link to choose a new password is on its way.")?,
        Mailed::NoAddress => return Err(CliError::refused("there is no e-mail address to send it to")),
        Mailed::Unusable => return Err(CliError::refused("the account is disabled or expired: enable it first")),
    }
    Ok(ExitCode::SUCCESS)
}

fn change_reason(reason: ChangeReason) -> &'static str {
    match reason {
        ChangeReason::Demanded => "demanded",
        ChangeReason::SetByOther => "set by somebody else",
        ChangeReason::TooOld => "too old",
    }
}

fn as_json(view: &AccountView) -> Value {
    let account = &view.account;
    json!({
        "id": account.id.0,
        "name": account.name,
        "display_name": account.display_name,
        "email": account.email,
        "role": account.role.as_str(),
        "groups": account.groups,
        "state": view.state.code(),
        "locked": view.locked.is_some(),
        "live_sessions": view.live_sessions,
        "created_at": account.created_at.to_rfc3339(),
        "activated_at": account.activated_at.to_rfc3339(),
        "last_sign_in_at": json_time(account.last_sign_in_at),
        "last_session_ended_at": json_time(account.last_session_ended_at),
        "password_changed_at": account.password_changed_at.to_rfc3339(),
        "password_good_until": json_time(account.password_good_until),
        "disabled_at": json_time(account.disabled_at),
        "expired_at": json_time(account.expired_at),
        "expired_by": account.expired_by,
        "expires_at": json_time(view.expires.map(|(at, _)| at)),
        "expires_by": view.expires.map(|(_, rule)| rule.code()),
        "invited_until": json_time(view.invited),
        "last_administrator": view.is_last_administrator,
    })
}
