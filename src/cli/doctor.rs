//! `nightlatch doctor`: looks for what is wrong with the installation, and changes nothing.

use super::{
    Done, Global, desk,
    output::{self, Output, Table},
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, Flags},
    domain::{
        policy::{Key, Pins, Scope, Value, effective::Policy, posture::differing_pins},
        skew,
        time::Timestamp,
    },
    flows,
    mail::Mailer,
    random::OsRandom,
    security_log::SecurityLog,
    server,
    store::{
        OpenOptions, Store, StoreError, accounts, meta,
        policies::{self, Revision},
        setup,
    },
};
use clap::Args;
use serde_json::json;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

#[derive(Args)]
pub struct Doctor {
    /// Print JSON: [{"check","status","message"}]; status is ok, warning or fault
    #[arg(long)]
    json: bool,
    /// Send a letter to this address, past the queue, and say what became of it
    #[arg(long, value_name = "ADDRESS")]
    send_test_mail: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Warning,
    Fault,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    check: &'static str,
    status: Status,
    message: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, status: Status, message: impl Into<String>) {
        self.0.push(Finding {
            check,
            status,
            message: message.into(),
        });
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Ok, message);
    }

    fn warning(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Warning, message);
    }

    fn fault(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Fault, message);
    }
}

impl Doctor {
    pub fn run(self, global: &Global) -> Done {
        desk::block_on(async {
            let mut findings = Findings::default();
            match global.load(Flags::default()) {
                Err(error) => error.0.iter().for_each(|fault| findings.fault("configuration", fault)),
                Ok(config) => {
                    findings.ok("configuration", "valid");
                    findings.database(&config).await;
                    findings.posture(&config);
                    findings.security_log(&config);
                    findings.mail(&config);
                    if let Some(address) = &self.send_test_mail {
                        findings.test_mail(config, address).await;
                    }
                }
            }
            findings.print(self.json)
        })
    }
}

/// What one look at the database tells.
struct Facts {
    now: Timestamp,
    /// The revision in force.
    in_force: Result<Option<Revision>, StoreError>,
    pins: Vec<(String, Pins)>,
    accounts: i64,
    administrators: i64,
    set_up: bool,
}

impl Findings {
    async fn database(&mut self, config: &Config) {
        let url = config.database_url.expose();
        if let Some(path) = sqlite_path(url).filter(|path| !path.exists()) {
            let path = path.display();
            return self.fault(
                "database",
                format!("{path} does not exist yet: `nightlatch serve` or `migrate` creates it"),
            );
        }
        let options = OpenOptions {
            migrate: false,
            pool_size: 1,
            exclusive: false,
        };
        let store = match Store::open(url, options) {
            Ok(store) => store,
            Err(error) => return self.fault("database", error.to_string()),
        };
        self.ok("database", format!("{}, reachable", store.describe()));
        self.ok("migrations", "all applied");
        let asked_at = SystemClock.now();
        let facts = store.read(move |c| look(c, asked_at)).await;
        match facts {
            Err(error) => self.fault("database", error.to_string()),
            Ok(facts) => {
                self.clock(asked_at, SystemClock.now(), facts.now);
                self.policy(config, &facts);
                self.pins(&facts.pins);
                self.administrators(&facts);
            }
        }
    }

    /// The database's time was told somewhere between our two looks at the clock.
    fn clock(&mut self, before: Timestamp, after: Timestamp, told: Timestamp) {
        let ahead = skew::ahead(before, told, after);
        let millis = ahead.as_micros().abs() / 1000;
        if skew::is_too_much(ahead) {
            self.fault(
                "clock",
                format!("this machine's clock differs from the database's by {millis} ms"),
            );
        } else {
            self.ok("clock", format!("within {millis} ms of the database's"));
        }
    }

    fn policy(&mut self, config: &Config, facts: &Facts) {
        let in_force = match &facts.in_force {
            Ok(Some(in_force)) => in_force,
            Ok(None) => {
                return self.warning("policy", "there is none yet: the first start makes one of the defaults");
            }
            Err(error) => return self.fault("policy", error.to_string()),
        };
        let mut pins = config.pins.clone();
        for (key, value) in facts.pins.iter().flat_map(|(_, pins)| pins) {
            pins.entry(*key).or_insert(value.clone());
        }
        let document = &in_force.document;
        let faults = document.faults_since(document, &pins);
        if faults.is_empty() {
            self.ok("policy", format!("revision {} in force", in_force.revision));
        }
        for fault in faults {
            self.fault("policy", fault.to_string());
        }
        for warning in document.warnings(&pins) {
            let message = format!("{}: {}: {}", warning.scope, warning.key, warning.message);
            self.warning("policy", message);
        }
        let policy = Policy::new(in_force.revision, document.clone(), pins, false);
        let secure = policy.value_in(&Scope::Everyone, Key::SessionSecure).0 == Value::Flag(true);
        self.cookie(config, secure);
    }

    /// Whether the cookie's Secure attribute suits the address that people use.
    fn cookie(&mut self, config: &Config, secure: bool) {
        let plain = config
            .public_url
            .as_ref()
            .is_some_and(|url| url.scheme() == "http" && !is_local(url));
        match (config.https(), secure) {
            (true, false) => self.warning("cookie", "people come over https, but session.secure is off"),
            (false, true) if plain => {
                self.fault(
                    "cookie",
                    "session.secure is on, but the public URL is plain http: nobody can sign in",
                );
            }
            (true, true) => self.ok("cookie", "Secure, over https"),
            (false, true) => self.ok("cookie", "Secure; needs https in front, or a browser on this machine"),
            (false, false) => self.ok("cookie", "not Secure, as fits plain http"),
        }
    }

    fn pins(&mut self, instances: &[(String, Pins)]) {
        let differing: Vec<&str> = differing_pins(instances).into_iter().map(Key::name).collect();
        if differing.is_empty() {
            let servers = output::count(instances.len(), "server runs", "servers run");
            self.ok("pins", format!("{servers}; none fixes a setting that another does not"));
        } else {
            let keys = differing.join(", ");
            self.fault(
                "pins",
                format!("running servers fix these settings differently in their environments: {keys}"),
            );
        }
    }

    fn administrators(&mut self, facts: &Facts) {
        match (facts.administrators, facts.accounts, facts.set_up) {
            (0, 0, false) => {
                let how = "set-up is open: use the link in the server's log, or `nightlatch account create`";
                self.warning("administrators", how);
            }
            (0, _, _) => {
                let how = "there is no enabled administrator: `nightlatch account create NAME --role administrator`, \
                           or `account enable`";
                self.fault("administrators", how);
            }
            (1, _, _) => self.ok("administrators", "one is enabled; it is protected as the last one"),
            (number, _, _) => self.ok("administrators", format!("{number} are enabled")),
        }
    }

    /// What the configuration says about the way people come in.
    fn posture(&mut self, config: &Config) {
        match &config.public_url {
            None => self.warning(
                "public_url",
                "not set: people reach the console only by the bound address",
            ),
            Some(url) if url.scheme() == "http" && !is_local(url) => {
                self.warning(
                    "public_url",
                    format!("{url} is plain http: anybody on the way can read the cookie"),
                );
            }
            Some(url) => self.ok("public_url", url.to_string()),
        }
        let everybody: Vec<_> = config
            .trusted_proxies
            .iter()
            .filter(|network| network.prefix() == 0)
            .collect();
        if !everybody.is_empty() {
            self.fault(
                "trusted_proxies",
                "everybody is trusted: anybody can say any address is theirs",
            );
        } else if config.trusted_proxies.is_empty() && config.https() {
            let why =
                "nobody is trusted: everybody behind the proxy shares its address, and one lock locks all of them";
            self.warning("trusted_proxies", why);
        } else if config.trusted_proxies.is_empty() {
            self.ok("trusted_proxies", "nobody is trusted, as fits a server without a proxy");
        } else {
            let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
            self.ok("trusted_proxies", networks.join(", "));
        }
    }

    fn security_log(&mut self, config: &Config) {
        let Some(path) = &config.security_log else {
            return self.ok("security_log", "off; the audit is in the database");
        };
        match SecurityLog::open(path) {
            Ok(_) => self.ok("security_log", format!("{} is writable", path.display())),
            Err(error) => self.fault("security_log", format!("{}: {error}", path.display())),
        }
    }

    /// Where letters go. Whether they arrive only a letter tells.
    fn mail(&mut self, config: &Config) {
        match (Mailer::new(config), &config.mail.smtp_url) {
            (Err(error), _) => self.fault("mail", error.to_string()),
            (Ok(mailer), None) => self.warning("mail", format!("no mail server: letters become {}", mailer.describe())),
            (Ok(mailer), Some(_)) if config.public_url.is_none() => {
                let how = format!(
                    "{}; links in letters lead to {}: set public_url",
                    mailer.describe(),
                    config.base_url()
                );
                self.warning("mail", how);
            }
            (Ok(mailer), Some(_)) => {
                self.ok("mail", format!("{} as {}", mailer.describe(), config.mail.from.address));
            }
        }
    }

    async fn test_mail(&mut self, config: Config, address: &str) {
        let ctx = match server::context(config, Arc::new(SystemClock), Arc::new(OsRandom), false) {
            Ok(ctx) => ctx,
            Err(error) => return self.fault("test mail", error.to_string()),
        };
        match flows::mail::send_test(&ctx, address).await {
            Ok(words) => self.ok("test mail", format!("taken: {words}")),
            Err(why) => self.fault("test mail", why),
        }
    }

    fn print(&self, as_json: bool) -> Done {
        if as_json {
            let mut list = output::JsonList::new();
            for finding in &self.0 {
                list.item(&json!({
                    "check": finding.check,
                    "status": finding.status.as_str(),
                    "message": finding.message,
                }))?;
            }
            list.finish()?;
        } else {
            let mut table = Table::plain(3);
            for finding in &self.0 {
                table.row([
                    finding.status.as_str().into(),
                    finding.check.into(),
                    finding.message.clone(),
                ]);
            }
            let mut out = Output::new();
            out.table(&table)?;
            out.finish()?;
        }
        let faults = self.0.iter().filter(|finding| finding.status == Status::Fault).count();
        if faults == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        output::note(&format!("found {}", output::count(faults, "fault", "faults")));
        Ok(ExitCode::FAILURE)
    }
}

fn look(c: &mut crate::store::Conn, now: Timestamp) -> Result<Facts, StoreError> {
    Ok(Facts {
        now: meta::now(c)?,
        in_force: policies::standing(c, now).map(|standing| standing.map(|standing| standing.in_force)),
        pins: policies::pins(c, now.saturating_sub(flows::policy::PINS_LIVE))?,
        accounts: accounts::count_all(c)?,
        administrators: accounts::count_usable_administrators(c, None, now)?,
        set_up: setup::completed(c)?,
    })
}

/// The file of an SQLite URL: opening it would create it.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    let url = url.trim();
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.contains("://")).then(|| Path::new(path).to_owned())
}

/// Browsers treat the own machine as if it were https.
fn is_local(url: &url::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
    })
}
