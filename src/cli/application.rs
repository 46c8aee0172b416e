//! `nightlatch application …`: which applications are protected, where they answer and who may enter.

mod test;

use super::{
    CliError, Done,
    desk::Desk,
    output::{self, Output, Table, count, or_dash, plain, time, time_or_dash},
};
use crate::{
    domain::{
        account::Role,
        forwarded::Asked,
        policy::{Key, Value},
    },
    flows::applications::{self, ApplicationView, Change, Strangers, Verdict},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Application {
    /// Protect an application
    Create(Create),
    /// List all applications
    List(List),
    /// Show one
    Show(Show),
    /// Change what is given; everything else stays
    Set(Set),
    /// Say what a forwarded request would get, and why; changes nothing
    Test(test::Test),
    /// Stop protecting one: forwarded requests for it are refused from then on
    Delete(Delete),
}

#[derive(Args)]
#[command(after_help = "\
For example: nightlatch application create wiki --host wiki.example.org --public-path /healthz --activity navigation")]
pub struct Create {
    /// Its name, as the policy's scope app:NAME
    name: String,
    #[command(flatten)]
    what: What,
}

#[derive(Args)]
#[command(after_help = "\
A list that is given takes the place of the one before; an empty value ('') empties it.
For example: nightlatch application set wiki --group staff --group editors --ignore-path ''")]
pub struct Set {
    /// The application's name
    name: String,
    #[command(flatten)]
    what: What,
}

#[derive(Args)]
struct What {
    /// Where it answers: wiki.example.org, with a port only if that is to count; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    hosts: Option<Vec<String>>,
    /// Only the part of those hosts below this path; may be repeated
    #[arg(long = "path-prefix", value_name = "PATH")]
    prefixes: Option<Vec<String>>,
    /// A role that may enter (administrators may do what members may); may be repeated [default: anyone signed in]
    #[arg(long = "role", value_parser = role())]
    roles: Option<Vec<String>>,
    /// A group that may enter; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Option<Vec<String>>,
    /// Paths that anybody gets without a sign-in, with * for any characters; may be repeated
    #[arg(long = "public-path", value_name = "GLOB")]
    public: Option<Vec<String>>,
    /// What counts as activity in it: sets activity.counts in its scope of the policy (inherit: takes it out)
    #[arg(long, value_name = "WHAT", value_parser = ["every_request", "navigation", "interaction", "inherit"])]
    activity: Option<String>,
    /// Paths that never refresh idle time: sets activity.ignored_paths in its scope; may be repeated
    #[arg(long = "ignore-path", value_name = "GLOB")]
    ignored: Option<Vec<String>>,
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Show {
    /// The application's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Delete {
    /// The application's name
    name: String,
}

/// A role's word, or nothing, which empties the list.
fn role() -> impl TypedValueParser<Value = String> {
    let words = Role::ALL.iter().map(|role| PossibleValue::new(role.as_str()));
    PossibleValuesParser::new(words.chain([PossibleValue::new("").hide(true)]))
}

impl Application {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Create(create) => create.run(desk).await,
            Self::List(list) => list.run(desk).await,
            Self::Show(show) => show.run(desk).await,
            Self::Set(set) => set.run(desk).await,
            Self::Test(test) => test.run(desk).await,
            Self::Delete(delete) => delete.run(desk).await,
        }
    }
}

impl What {
    fn change(self) -> Change {
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
        Change {
            hosts: self.hosts,
            prefixes: self.prefixes,
            roles: self.roles.map(roles),
            groups: self.groups,
            public: self.public,
            policy,
        }
    }
}

impl Create {
    async fn run(self, desk: &Desk) -> Done {
        let verdict = applications::create(&desk.ctx, &desk.acting, &self.name, self.what.change()).await?;
        done(verdict, &self.name, "is protected now")
    }
}

impl Set {
    async fn run(self, desk: &Desk) -> Done {
        let verdict = applications::set(&desk.ctx, &desk.acting, &self.name, self.what.change()).await?;
        done(verdict, &self.name, "is as you said")
    }
}

impl Delete {
    async fn run(self, desk: &Desk) -> Done {
        let verdict = applications::delete(&desk.ctx, &desk.acting, &self.name).await?;
        done(
            verdict,
            &self.name,
            "is not protected any more: forwarded requests for it are refused",
        )
    }
}

fn done(verdict: Verdict, name: &str, what: &str) -> Done {
    match verdict {
        Verdict::Done => {
            output::say(&format!("Application {} {what}.", plain(name.trim())))?;
            Ok(ExitCode::SUCCESS)
        }
        Verdict::Faulty(faults) => Err(CliError::Faults(faults.into_iter().map(|(_, why)| why).collect())),
        Verdict::Unknown => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> CliError {
    CliError::refused(format!("there is no application named {}", plain(name)))
}

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let all = applications::list(&desk.ctx).await?;
        if self.json {
            output::say_json(&all.iter().map(as_json).collect())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = Output::new();
        if all.is_empty() {
            out.line("There is no application yet: nightlatch application create NAME --host HOST.")?;
        } else {
            out.table(&table(&all))?;
        }
        for line in refused(&applications::strangers(&desk.ctx).await?) {
            out.line(&line)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(all: &[ApplicationView]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "HOSTS",
        "PATHS",
        "MAY ENTER",
        "PUBLIC PATHS",
        "ACTIVITY",
        "LAST ASKED",
    ]);
    for view in all {
        let [name, hosts, paths, enter, public, activity] = as_row(view);
        let asked = time_or_dash(view.seen.answered.as_ref().map(|asked| asked.at));
        table.row([name, hosts, paths, enter, public, activity, asked]);
    }
    table
}

impl Show {
    async fn run(self, desk: &Desk) -> Done {
        let found = applications::find(&desk.ctx, &self.name).await?;
        let view = found.ok_or_else(|| unknown(&self.name))?;
        if self.json {
            output::say_json(&as_json(&view))?;
            return Ok(ExitCode::SUCCESS);
        }
        let [name, hosts, paths, enter, public, activity] = as_row(&view);
        let mut table = Table::plain(2);
        for (what, value) in [
            ("Name", name),
            ("Hosts", hosts),
            ("Paths", paths),
            ("May enter", enter),
            ("Public paths", public),
            ("Activity", activity),
            ("Ignored paths", or_dash(Some(&view.ignored.0.to_string()))),
        ] {
            table.row([what.to_owned(), value]);
        }
        table.row(["Last asked".to_owned(), asked_words(view.seen.answered.as_ref())]);
        table.row(["Last unreadable".to_owned(), asked_words(view.seen.unreadable.as_ref())]);
        let overrides = count(view.overrides, "setting", "settings");
        table.row([
            "Policy".to_owned(),
            format!("{overrides} in scope app:{}", view.application.name),
        ]);
        let mut out = Output::new();
        out.table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(view: &ApplicationView) -> serde_json::Value {
    let mut json = view.application.to_json();
    json["activity"] = view.activity.0.to_json();
    json["ignored_paths"] = view.ignored.0.to_json();
    json["last_asked"] = asked_json(view.seen.answered.as_ref());
    json["last_unreadable"] = asked_json(view.seen.unreadable.as_ref());
    json
}

fn asked_json(asked: Option<&Asked>) -> serde_json::Value {
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

/// When, from where, and what was wrong.
fn asked_words(asked: Option<&Asked>) -> String {
    let Some(asked) = asked else { return or_dash(None) };
    let lacks: String = asked.lacks.iter().map(|lack| format!("; {lack}")).collect();
    let (at, dialect) = (time(asked.at), asked.dialect.as_str());
    plain(&format!("{at} from {} by {dialect}{lacks}", asked.peer))
}

/// What was refused before anybody was looked for, a line each.
fn refused(strangers: &Strangers) -> Vec<String> {
    let untrusted = strangers.untrusted.iter().map(|(peer, asked)| {
        let at = time(asked.at);
        format!("{peer} asked {at} and is not trusted: if it is your proxy, add it to NIGHTLATCH_TRUSTED_PROXIES.")
    });
    let unknown = strangers.unknown.iter().map(|(host, asked)| {
        let at = time(asked.at);
        format!("{} was asked for {at}, and no application has it.", plain(host))
    });
    let stray = strangers.stray.iter().map(|(peer, asked)| {
        let (at, lacks) = (time(asked.at), plain(&asked.lacks.join("; ")));
        format!("A question from {peer} {at} could not be read: {lacks}.")
    });
    untrusted.chain(unknown).chain(stray).collect()
}

fn as_row(view: &ApplicationView) -> [String; 6] {
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
