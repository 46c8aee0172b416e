//! `nightlatch session …`: who is signed in, and ending it.

use super::{
    CliError, Done,
    desk::Desk,
    input,
    output::{self, JsonList, Output, Table, count, json_time, or_dash, time},
};
use crate::{
    domain::{account::Role, session::SessionId},
    flows::{self, sessions::SessionView},
    store::sessions::{ListState, SessionFilter},
};
use clap::{
    Args, Subcommand,
    builder::{StringValueParser, TypedValueParser},
};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Session {
    /// List live sessions, latest activity first
    List(List),
    /// End sessions at once, everywhere
    End(End),
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only those from this address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::network)]
    ip: Option<IpNetwork>,
    /// Only those of administrators
    #[arg(long)]
    administrators: bool,
    /// Only those that entered this application
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct End {
    /// Ids of sessions, as `session list` shows them
    #[arg(value_name = "ID", value_parser = id())]
    ids: Vec<Uuid>,
    /// All of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// All there are
    #[arg(long)]
    all: bool,
}

fn id() -> impl TypedValueParser<Value = Uuid> {
    StringValueParser::new().try_map(|text| {
        Uuid::parse_str(&text).map_err(|_| "that is no session id: `nightlatch session list` shows them")
    })
}

impl Session {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::List(list) => list.run(desk).await,
            Self::End(end) => end.run(desk).await,
        }
    }
}

/// Sessions read at once.
const PAGE: i64 = 500;

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let account = match &self.account {
            Some(name) => Some(desk.account(name).await?.id),
            None => None,
        };
        let mut filter = SessionFilter {
            account,
            network: self.ip,
            application: self.application,
            role: self.administrators.then_some(Role::Administrator),
            state: ListState::Active,
            limit: PAGE,
            ..SessionFilter::default()
        };
        let mut json = self.json.then(JsonList::new);
        let mut table = Table::new(&[
            "ID",
            "ACCOUNT",
            "ADDRESS",
            "SIGNED IN",
            "LAST ACTIVE",
            "ENDS",
            "BY",
            "APPLICATIONS",
        ]);
        loop {
            let page = flows::sessions::list(&desk.ctx, filter.clone()).await?;
            filter.after = page.items.last().map(|view| view.row.cursor(ListState::Active));
            // One that a rule has ended is over, though no sweep has marked it yet.
            for view in page.items.iter().filter(|view| view.live) {
                match &mut json {
                    Some(list) => list.item(&as_json(view))?,
                    None => table.row(as_row(view)),
                }
            }
            if !page.older || filter.after.is_none() {
                break;
            }
        }
        match json {
            Some(list) => list.finish()?,
            None if table.is_empty() => output::say("No sessions.")?,
            None => {
                let mut out = Output::new();
                out.table(&table)?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl End {
    async fn run(self, desk: &Desk) -> Done {
        let (ctx, acting) = (&desk.ctx, &desk.acting);
        let ended = if self.all {
            flows::sessions::end_matching(ctx, acting, SessionFilter::default(), None).await?
        } else if let Some(name) = &self.account {
            let account = desk.account(name).await?;
            flows::sessions::end_account(ctx, acting, account.id).await?
        } else {
            let mut unknown = Vec::new();
            for id in &self.ids {
                if flows::sessions::detail(ctx, SessionId(*id)).await?.is_none() {
                    unknown.push(format!("there is no session {id}"));
                }
            }
            if !unknown.is_empty() {
                return Err(CliError::Faults(unknown));
            }
            flows::sessions::end(ctx, acting, self.ids.into_iter().map(SessionId).collect()).await?
        };
        output::say(&match ended {
            0 => "Nothing to do: no such session is live.".to_owned(),
            ended => format!("Ended {}.", count(ended, "session", "sessions")),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(view: &SessionView) -> Value {
    let session = &view.row.session;
    json!({
        "id": session.id.0,
        "account": view.row.account_name,
        "ip": session.ip,
        "user_agent": session.binding.user_agent,
        "application": applications(view),
        "signed_in_at": session.signed_in_at.to_rfc3339(),
        "last_active_at": view.last_active_at.to_rfc3339(),
        "ends_at": json_time(view.ends.map(|end| end.at)),
        "ends_by": view.ends.map(|end| end.reason.as_str()),
    })
}

fn as_row(view: &SessionView) -> [String; 8] {
    let session = &view.row.session;
    let (ends, by) = match &view.ends {
        Some(end) => {
            let scope = view
                .ends_scope
                .as_ref()
                .map(|scope| format!(" ({scope})"))
                .unwrap_or_default();
            (time(end.at), format!("{}{scope}", end.reason))
        }
        None => ("never".to_owned(), "-".to_owned()),
    };
    [
        session.id.0.to_string(),
        view.row.account_name.clone(),
        session.ip.to_string(),
        time(session.signed_in_at),
        time(view.last_active_at),
        ends,
        by,
        or_dash(applications(view).as_deref()),
    ]
}

/// The applications that it entered.
fn applications(view: &SessionView) -> Option<String> {
    let names = &view.row.session.applications;
    (!names.is_empty()).then(|| names.join(", "))
}
