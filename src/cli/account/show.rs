//! `nightlatch account list` and `show`.

use super::act::{find_view, role_parser};
use crate::{
    cli::{
        context::CommandContext,
        error::CommandResult,
        output::{
            self, ListPrinter, StandardOutput, Table, format_time, format_time_or_dash, text_or_dash, time_to_json,
        },
    },
    domain::{
        account::{AccountFilter, AccountListState, Role},
        password::{ChangeReason, NEVER},
    },
    flows::{
        self,
        accounts::{AccountStatus, AccountView},
        bind_limits::{BindCount, find_bind_count},
    },
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Accounts per database query.
const PAGE: i64 = 200;

#[derive(Args)]
pub struct ListAccounts {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only accounts with this role
    #[arg(long, value_parser = role_parser())]
    role: Option<Role>,
    /// Only accounts in this state
    #[arg(long, value_parser = state_parser())]
    state: Option<AccountListState>,
    /// Only accounts in this group
    #[arg(long)]
    group: Option<String>,
    /// Only accounts without a second factor: neither an authenticator app nor a passkey
    #[arg(long)]
    without_factor: bool,
    /// Only accounts of this source, or only local ones (local)
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only accounts with this text in their name, display name or email address
    #[arg(long)]
    text: Option<String>,
}

#[derive(Args)]
pub struct ShowAccount {
    /// Name of the account
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn state_parser() -> impl TypedValueParser<Value = AccountListState> {
    PossibleValuesParser::new(AccountListState::ALL.map(AccountListState::code))
        .try_map(|word| AccountListState::parse(&word).ok_or("unknown state"))
}

impl ListAccounts {
    /// Lists the matching accounts by name.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let mut filter = AccountFilter {
            text: self.text,
            role: self.role,
            state: self.state,
            group: self.group,
            second_factor: self.without_factor.then_some(false),
            source: self.source,
            limit: PAGE,
            ..AccountFilter::default()
        };
        let headings = [
            "NAME",
            "SOURCE",
            "ROLE",
            "STATE",
            "SESSIONS",
            "LAST SIGN-IN",
            "EXPIRES",
            "EMAIL",
        ];
        let mut list = ListPrinter::new(self.json, &headings);
        loop {
            let page = flows::accounts::list(&context.ctx, filter.clone()).await?;
            filter.after = page.items.last().map(|view| view.account.name_key.clone());
            for view in &page.items {
                list.add(|| account_to_json(view), || account_to_row(view))?;
            }
            if !page.older || page.items.is_empty() {
                break;
            }
        }
        list.finish("No accounts.")?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ShowAccount {
    /// Shows one account in full.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let (account, view) = find_view(context, &self.name).await?;
        let binds = find_bind_count(&context.ctx, account).await?;
        if self.json {
            let mut json = account_to_json(&view);
            json["directory_refusals"] = binds.map_or(Value::Null, |binds| {
                json!({ "count": binds.refused, "limit": binds.limit, "until": time_to_json(Some(binds.until)) })
            });
            output::print_json(&json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        let mut table = account_to_table(&view);
        if let Some(binds) = binds {
            table.add_row(["wrong at the directory".to_owned(), format_binds(&binds)]);
        }
        out.write_table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn account_to_table(view: &AccountView) -> Table {
    let account = &view.account;
    let mut table = Table::without_headings(2);
    let mut add = |name: &str, value: String| table.add_row([name.to_owned(), value]);
    add("name", account.name.clone());
    add("display name", text_or_dash(Some(&account.display_name)));
    add("email", text_or_dash(account.email.as_deref()));
    add("role", account.role.as_str().to_owned());
    add("groups", text_or_dash(Some(&account.groups.join(", "))));
    add("state", format_state(view));
    add("source", view.source_name().to_owned());
    if let Some(external_id) = &account.external_id {
        add("identity there", external_id.clone());
    }
    add("live sessions", view.live_sessions.to_string());
    add("created", format_time(account.created_at));
    add("last sign-in", format_time_or_dash(account.last_sign_in_at));
    add("last session ended", format_time_or_dash(account.last_session_ended_at));
    add("password changed", format_time(account.password_changed_at));
    add("second factors", account.factors.display());
    if let Some(until) = account.password_good_until {
        let shown = match until {
            NEVER => "never: nobody knows it".to_owned(),
            until => format_time(until),
        };
        add("password works until", shown);
    }
    let expires = view
        .expires
        .map(|(at, rule)| format!("{} ({})", format_time(at), rule.code()));
    add(
        "expires",
        expires.unwrap_or_else(|| "never, under the current policy".to_owned()),
    );
    if view.is_last_administrator {
        add("note", "the last enabled administrator: never expires".to_owned());
    }
    table
}

fn account_to_row(view: &AccountView) -> [String; 8] {
    let account = &view.account;
    [
        account.name.clone(),
        view.source_name().to_owned(),
        account.role.as_str().to_owned(),
        format_state(view),
        view.live_sessions.to_string(),
        format_time_or_dash(account.last_sign_in_at),
        format_time_or_dash(view.expires.map(|(at, _)| at)),
        text_or_dash(account.email.as_deref()),
    ]
}

fn account_to_json(view: &AccountView) -> Value {
    let account = &view.account;
    json!({
        "id": account.id.0,
        "name": account.name,
        "display_name": account.display_name,
        "email": account.email,
        "role": account.role.as_str(),
        "groups": account.groups,
        "state": view.state.code(),
        "source": view.source_name(),
        "external_id": account.external_id,
        "locked": view.locked.is_some(),
        "live_sessions": view.live_sessions,
        "created_at": account.created_at.to_rfc3339(),
        "activated_at": account.activated_at.to_rfc3339(),
        "last_sign_in_at": time_to_json(account.last_sign_in_at),
        "last_session_ended_at": time_to_json(account.last_session_ended_at),
        "password_changed_at": account.password_changed_at.to_rfc3339(),
        "password_good_until": time_to_json(account.password_good_until),
        "disabled_at": time_to_json(account.disabled_at),
        "expired_at": time_to_json(account.expired_at),
        "expired_by": account.expired_by,
        "expires_at": time_to_json(view.expires.map(|(at, _)| at)),
        "expires_by": view.expires.map(|(_, rule)| rule.code()),
        "invited_until": time_to_json(view.invited),
        "last_administrator": view.is_last_administrator,
        "authenticator_app": account.factors.authenticator_app,
        "passkeys": account.factors.passkeys,
        "recovery_codes": account.factors.recovery_codes,
    })
}

fn format_state(view: &AccountView) -> String {
    let mut state = match view.state {
        AccountStatus::Active => "active".to_owned(),
        AccountStatus::MustChange(reason) => format!("must change the password ({})", format_reason(reason)),
        AccountStatus::Disabled => "disabled".to_owned(),
        AccountStatus::Expired => "expired".to_owned(),
    };
    if let Some(until) = view.invited {
        state.push_str(&format!(", invited until {}", format_time(until)));
    }
    if view.locked.is_some() {
        state.push_str(", locked");
    }
    state
}

fn format_binds(binds: &BindCount) -> String {
    let asked = if binds.is_full() { "it is not asked" } else { "counted" };
    let until = format_time(binds.until);
    format!("{} of {}, {asked} until {until}", binds.refused, binds.limit)
}

fn format_reason(reason: ChangeReason) -> &'static str {
    match reason {
        ChangeReason::Demanded => "required",
        ChangeReason::SetByOther => "set by someone else",
        ChangeReason::TooOld => "too old",
    }
}
