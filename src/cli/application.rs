//! `nightlatch application …`: manages protected applications, where they answer and who has
//! access.

mod test;

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    output::{self, StandardOutput, Table, escape_text, format_count, format_time, format_time_or_dash, text_or_dash},
};
use crate::{
    domain::{
        account::Role,
        forwarded::LastProxyRequest,
        policy::{Key, Value},
    },
    flows::applications::{self, ApplicationChange, ApplicationOutcome, ApplicationView, UnmatchedRequests},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ApplicationCommand {
    /// Register an application
    Create(CreateApplication),
    /// List all applications
    List(ListApplications),
    /// Show one application
    Show(ShowApplication),
    /// Change the given options of an application
    Set(SetApplication),
    /// Test what a forwarded request would get, and why; changes nothing
    Test(test::TestApplication),
    /// Remove an application: forwarded requests for it are then refused
    Delete(DeleteApplication),
}

#[derive(Args)]
#[command(after_help = "\
For example: nightlatch application create wiki --host wiki.example.org --public-path /healthz --activity navigation")]
pub struct CreateApplication {
    /// Name of the application, as in the policy scope app:NAME
    name: String,
    #[command(flatten)]
    options: ApplicationOptions,
}

#[derive(Args)]
#[command(after_help = "\
A list that is given replaces the previous one; an empty value ('') clears it.
For example: nightlatch application set wiki --group staff --group editors --ignore-path ''")]
pub struct SetApplication {
    /// Name of the application
    name: String,
    #[command(flatten)]
    options: ApplicationOptions,
}

#[derive(Args)]
struct ApplicationOptions {
    /// Host where it answers, such as wiki.example.org. Add a port only if it matters; may be
    /// repeated
    #[arg(long = "host", value_name = "HOST")]
    hosts: Option<Vec<String>>,
    /// Only the paths of those hosts below this one; may be repeated
    #[arg(long = "path-prefix", value_name = "PATH")]
    prefixes: Option<Vec<String>>,
    /// A role with access (administrators have the access of members); may be repeated [default:
    /// anyone signed in]
    #[arg(long = "role", value_parser = role_parser())]
    roles: Option<Vec<String>>,
    /// A group with access; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Option<Vec<String>>,
    /// Paths that need no sign-in, with * for any characters; after a method, only for that method,
    /// like "OPTIONS /api/*"; may be repeated
    #[arg(long = "public-path", value_name = "GLOB")]
    public: Option<Vec<String>>,
    /// What counts as activity: sets activity.counts in the application's policy scope (inherit:
    /// unsets it)
    #[arg(long, value_name = "WHAT", value_parser = ["every_request", "navigation", "interaction", "inherit"])]
    activity: Option<String>,
    /// Paths that never refresh idle time: sets activity.ignored_paths in the application's policy
    /// scope; may be repeated
    #[arg(long = "ignore-path", value_name = "GLOB")]
    ignored: Option<Vec<String>>,
}

#[derive(Args)]
pub struct ListApplications {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ShowApplication {
    /// Name of the application
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct DeleteApplication {
    /// Name of the application
    name: String,
}

/// Returns the parser of a role, or of an empty value, which clears the list.
fn role_parser() -> impl TypedValueParser<Value = String> {
    let words = Role::ALL.iter().map(|role| PossibleValue::new(role.as_str()));
    PossibleValuesParser::new(words.chain([PossibleValue::new("").hide(true)]))
}

impl ApplicationCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::Set(set) => set.run(context).await,
            Self::Test(test) => test.run(context).await,
            Self::Delete(delete) => delete.run(context).await,
        }
    }
}

impl ApplicationOptions {
    fn into_change(self) -> ApplicationChange {
        let filled = |items: Vec<String>| items.into_iter().filter(|item| !item.trim().is_empty()).collect();
        let mut policy = Vec::new();
        if let Some(word) = self.activity {
            let value = (word != "inherit").then_some(Value::Text(word));
            policy.push((Key::ActivityCounts, value));
        }
        if let Some(ignored) = self.ignored {
            let ignored: Vec<String> = filled(ignored);
            let value = (!ignored.is_empty()).then_some(Value::List(ignored));
            policy.push((Key::ActivityIgnoredPaths, value));
        }
        let roles = |words: Vec<String>| words.iter().filter_map(|word| Role::parse(word)).collect();
        ApplicationChange {
            hosts: self.hosts,
            prefixes: self.prefixes,
            roles: self.roles.map(roles),
            groups: self.groups,
            public: self.public,
            policy,
        }
    }
}

impl CreateApplication {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let verdict =
            applications::create(&context.ctx, &context.initiator, &self.name, self.options.into_change()).await?;
        report(verdict, &self.name, "is registered: now configure the proxy")
    }
}

impl SetApplication {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let verdict =
            applications::set(&context.ctx, &context.initiator, &self.name, self.options.into_change()).await?;
        report(verdict, &self.name, "was changed")
    }
}

impl DeleteApplication {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let verdict = applications::delete(&context.ctx, &context.initiator, &self.name).await?;
        report(
            verdict,
            &self.name,
            "was removed: forwarded requests for it are refused",
        )
    }
}

/// Prints the outcome of a change.
fn report(verdict: ApplicationOutcome, name: &str, outcome: &str) -> CommandResult {
    match verdict {
        ApplicationOutcome::Done => {
            output::print_line(&format!("Application {} {outcome}.", escape_text(name.trim())))?;
            Ok(ExitCode::SUCCESS)
        }
        ApplicationOutcome::Faulty(faults) => Err(CliError::Faults(faults.into_iter().map(|(_, why)| why).collect())),
        ApplicationOutcome::Unknown => Err(unknown_application(name)),
    }
}

fn unknown_application(name: &str) -> CliError {
    CliError::refused(format!("there is no application named {}", escape_text(name)))
}

impl ListApplications {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let all = applications::list(&context.ctx).await?;
        if self.json {
            output::print_json(&all.iter().map(application_to_json).collect())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        if all.is_empty() {
            out.write_line("There is no application yet: nightlatch application create NAME --host HOST.")?;
        } else {
            out.write_table(&applications_to_table(&all))?;
        }
        for line in format_refused(&applications::strangers(&context.ctx).await?) {
            out.write_line(&line)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn applications_to_table(all: &[ApplicationView]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "HOSTS",
        "PATHS",
        "ACCESS",
        "PUBLIC PATHS",
        "ACTIVITY",
        "LAST REQUEST",
    ]);
    for view in all {
        let [name, hosts, paths, access, public, activity] = application_to_row(view);
        let last_request = format_time_or_dash(view.seen.answered.as_ref().map(|asked| asked.at));
        table.add_row([name, hosts, paths, access, public, activity, last_request]);
    }
    table
}

impl ShowApplication {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let found = applications::find(&context.ctx, &self.name).await?;
        let view = found.ok_or_else(|| unknown_application(&self.name))?;
        if self.json {
            output::print_json(&application_to_json(&view))?;
            return Ok(ExitCode::SUCCESS);
        }
        let [name, hosts, paths, access, public, activity] = application_to_row(&view);
        let mut table = Table::without_headings(2);
        for (name, value) in [
            ("Name", name),
            ("Hosts", hosts),
            ("Paths", paths),
            ("Access", access),
            ("Public paths", public),
            ("Activity", activity),
            ("Ignored paths", text_or_dash(Some(&view.ignored.0.to_string()))),
        ] {
            table.add_row([name.to_owned(), value]);
        }
        table.add_row(["Last request".to_owned(), format_request(view.seen.answered.as_ref())]);
        table.add_row([
            "Last unreadable request".to_owned(),
            format_request(view.seen.unreadable.as_ref()),
        ]);
        let overrides = format_count(view.overrides, "setting", "settings");
        table.add_row([
            "Policy".to_owned(),
            format!("{overrides} in scope app:{}", view.application.name),
        ]);
        let mut out = StandardOutput::new();
        out.write_table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn application_to_json(view: &ApplicationView) -> serde_json::Value {
    let mut json = view.application.to_json();
    json["activity"] = view.activity.0.to_json();
    json["ignored_paths"] = view.ignored.0.to_json();
    json["last_asked"] = request_to_json(view.seen.answered.as_ref());
    json["last_unreadable"] = request_to_json(view.seen.unreadable.as_ref());
    json
}

fn request_to_json(asked: Option<&LastProxyRequest>) -> serde_json::Value {
    let Some(asked) = asked else {
        return serde_json::Value::Null;
    };
    serde_json::json!({
        "at": asked.at.to_rfc3339(),
        "proxy": asked.peer.to_string(),
        "dialect": asked.dialect.as_str(),
        "lacks": asked.lacks,
    })
}

/// Formats when and from where a proxy asked, and what was wrong.
fn format_request(asked: Option<&LastProxyRequest>) -> String {
    let Some(asked) = asked else { return text_or_dash(None) };
    let lacks: String = asked.lacks.iter().map(|lack| format!("; {lack}")).collect();
    let (at, dialect) = (format_time(asked.at), asked.dialect.as_str());
    escape_text(&format!("{at} from {} by {dialect}{lacks}", asked.peer))
}

/// Formats the requests that matched no application, one line each.
fn format_refused(strangers: &UnmatchedRequests) -> Vec<String> {
    let untrusted = strangers.untrusted.iter().map(|(peer, asked)| {
        let at = format_time(asked.at);
        format!(
            "Refused a request from {peer} at {at}, which is not a trusted proxy: if it is yours, add it to \
             NIGHTLATCH_TRUSTED_PROXIES."
        )
    });
    let unknown = strangers.unknown.iter().map(|(host, asked)| {
        let at = format_time(asked.at);
        format!("Refused a request for the unknown host {} at {at}.", escape_text(host))
    });
    let stray = strangers.stray.iter().map(|(peer, asked)| {
        let (at, lacks) = (format_time(asked.at), escape_text(&asked.lacks.join("; ")));
        format!("A request from {peer} at {at} could not be read: {lacks}.")
    });
    untrusted.chain(unknown).chain(stray).collect()
}

fn application_to_row(view: &ApplicationView) -> [String; 6] {
    let application = &view.application;
    let hosts: Vec<String> = application.hosts.iter().map(ToString::to_string).collect();
    let all = |items: &[String], none: &str| {
        if items.is_empty() {
            none.to_owned()
        } else {
            items.join(", ")
        }
    };
    [
        application.name.clone(),
        hosts.join(", "),
        all(&application.prefixes, "all"),
        application.entrants(),
        all(&application.public, "none"),
        format!("{} ({})", view.activity.0, view.activity.1),
    ]
}
