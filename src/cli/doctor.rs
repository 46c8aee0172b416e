//! `nightlatch doctor`: checks the installation for problems, and changes nothing.

mod audit_targets;
mod binding;
mod passkeys;
mod secrets;

use super::{
    account::baseline_parser,
    context::block_on,
    error::CommandResult,
    options::GlobalOptions,
    output::{self, JsonArray, StandardOutput, Table, format_count},
};
use crate::{
    clock::{Clock, SteadyClock, SystemClock},
    config::{Config, Flags, ForwardedHeader},
    domain::{
        policy::{
            Key, Pins, Scope, Value,
            effective::{Policy, PolicyEnvironment},
            posture::{Baseline, differing_pins},
        },
        skew,
        time::Timestamp,
    },
    flows,
    mail::Mailer,
    random::OsRandom,
    security_log::SecurityLog,
    server::{
        self,
        maintenance::{DatabaseFacts, Inspection, sqlite_file},
    },
};
use clap::Args;
use serde_json::json;
use std::{net::IpAddr, process::ExitCode, sync::Arc};

#[derive(Args)]
pub struct Doctor {
    /// Print JSON: [{"check","status","message"}]; status is ok, warning or fault
    #[arg(long)]
    json: bool,
    /// Send an email to this address, bypassing the queue, and print the result
    #[arg(long, value_name = "ADDRESS")]
    send_test_mail: Option<String>,
    /// Also check the installation and the policy against the baselines, and fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Baseline that --strict requires [default: any but hue]
    #[arg(long, value_name = "ID", requires = "strict", value_parser = baseline_parser())]
    baseline: Option<&'static Baseline>,
}

/// Severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckStatus {
    Ok,
    Warning,
    Fault,
}

impl CheckStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// The result of one check.
struct DoctorFinding {
    check: &'static str,
    status: CheckStatus,
    message: String,
}

#[derive(Default)]
struct DoctorFindings(Vec<DoctorFinding>);

impl DoctorFindings {
    fn add(&mut self, check: &'static str, status: CheckStatus, message: impl Into<String>) {
        self.0.push(DoctorFinding {
            check,
            status,
            message: message.into(),
        });
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, CheckStatus::Ok, message);
    }

    fn warning(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, CheckStatus::Warning, message);
    }

    fn fault(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, CheckStatus::Fault, message);
    }
}

impl Doctor {
    /// Runs all checks and prints their findings. Faults make it fail.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        block_on(async {
            let mut findings = DoctorFindings::default();
            match options.load_config(Flags::default()) {
                Err(error) => error.0.iter().for_each(|fault| findings.fault("configuration", fault)),
                Ok(config) => {
                    findings.ok("configuration", "valid");
                    findings.check_database(&config).await;
                    findings.check_public_url(&config);
                    findings.check_trusted_proxies(&config);
                    findings.check_security_log(&config);
                    findings.check_mail(&config);
                    findings.check_audit_targets(&config).await;
                    if self.strict {
                        findings.check_posture(config.clone(), self.baseline).await;
                    }
                    if let Some(address) = &self.send_test_mail {
                        findings.send_test_mail(config, address).await;
                    }
                }
            }
            findings.print(self.json, self.strict)
        })
    }
}

/// Returns the pins of this environment and of the running servers.
fn pins_in_force(config: &Config, facts: &DatabaseFacts) -> Pins {
    let mut pins = config.pins.clone();
    for (key, value) in facts.pins.iter().flat_map(|(_, pins)| pins) {
        pins.entry(*key).or_insert(value.clone());
    }
    pins
}

impl DoctorFindings {
    async fn check_database(&mut self, config: &Config) {
        match sqlite_file(config) {
            Err(error) => return self.fault("database", error.to_string()),
            Ok(Some(path)) if !path.exists() => {
                let path = path.display();
                return self.fault(
                    "database",
                    format!("{path} does not exist yet: `nightlatch serve` or `migrate` creates it"),
                );
            }
            Ok(_) => {}
        }
        let database = match Inspection::open(config) {
            Ok(database) => database,
            Err(error) => return self.fault("database", error.to_string()),
        };
        self.ok("database", format!("{}, reachable", database.describe()));
        self.ok("migrations", "all applied");
        let before = SystemClock.now();
        match database.read(before).await {
            Err(error) => self.fault("database", error.to_string()),
            Ok(facts) => {
                self.check_clock(before, SystemClock.now(), facts.now);
                self.check_policy(config, &facts);
                self.check_device_binding(config, &facts).await;
                self.check_pins(&facts.pins);
                self.check_administrators(&facts);
                self.check_passkeys(config, &facts);
                self.check_sealed_secrets(config, &facts);
            }
        }
    }

    /// Compares the clocks: the database read its own between `before` and `after` of ours.
    fn check_clock(&mut self, before: Timestamp, after: Timestamp, database: Timestamp) {
        let ahead = skew::measure(before, database, after);
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

    fn check_policy(&mut self, config: &Config, facts: &DatabaseFacts) {
        let (revision, document) = match &facts.policy {
            Ok(Some(policy)) => policy,
            Ok(None) => {
                return self.warning(
                    "policy",
                    "there is none yet: the first start creates it with the defaults",
                );
            }
            Err(error) => return self.fault("policy", error.clone()),
        };
        let pins = pins_in_force(config, facts);
        let faults = document.faults_since(document, &pins);
        if faults.is_empty() {
            self.ok("policy", format!("revision {revision} in force"));
        }
        for fault in faults {
            self.fault("policy", fault.to_string());
        }
        for warning in document.warnings(&pins) {
            let message = format!("{}: {}: {}", warning.scope, warning.key, warning.message);
            self.warning("policy", message);
        }
        let environment = PolicyEnvironment {
            pins,
            dev: false,
            https: config.https(),
        };
        let policy = Policy::in_environment(*revision, document.clone(), environment);
        let secure = policy.value_in(&Scope::Everyone, Key::SessionSecure).0 == Value::Flag(true);
        self.check_cookie(config, secure);
    }

    /// Checks whether the cookie's Secure attribute suits the public URL.
    fn check_cookie(&mut self, config: &Config, secure: bool) {
        let plain = config
            .public_url
            .as_ref()
            .is_some_and(|url| url.scheme() == "http" && !is_local(url));
        match (config.https(), secure) {
            (true, false) => self.warning("cookie", "the public URL is https, but session.secure is off"),
            (false, true) if plain => {
                self.fault(
                    "cookie",
                    "session.secure is on, but the public URL is plain http: nobody can sign in",
                );
            }
            (true, true) => self.ok("cookie", "Secure, over https"),
            (false, true) => self.ok("cookie", "Secure; needs https in front, or a browser on this machine"),
            (false, false) => self.ok("cookie", "not Secure, as plain http requires"),
        }
    }

    fn check_pins(&mut self, instances: &[(String, Pins)]) {
        let differing: Vec<&str> = differing_pins(instances).into_iter().map(Key::name).collect();
        if differing.is_empty() {
            let servers = format_count(instances.len(), "server runs", "servers run");
            self.ok("pins", format!("{servers}; pinned settings agree"));
        } else {
            let keys = differing.join(", ");
            self.fault(
                "pins",
                format!("running servers pin these settings differently in their environments: {keys}"),
            );
        }
    }

    fn check_administrators(&mut self, facts: &DatabaseFacts) {
        match (facts.administrators, facts.accounts, facts.is_set_up) {
            (0, 0, false) => {
                let how = "not set up yet: open the setup link in the server's log, or use `nightlatch account create`";
                self.warning("administrators", how);
            }
            (0, _, _) => {
                let how = "there is no enabled administrator: `nightlatch account create NAME --role administrator`, \
                           or `account enable`";
                self.fault("administrators", how);
            }
            (1, _, _) => self.ok("administrators", "one is enabled; as the last one it is protected"),
            (number, _, _) => self.ok("administrators", format!("{number} are enabled")),
        }
    }

    /// Checks the address that people use.
    fn check_public_url(&mut self, config: &Config) {
        match &config.public_url {
            None => self.warning(
                "public_url",
                "not set: the console is only reachable by the bound address",
            ),
            Some(url) if url.scheme() == "http" && !is_local(url) => {
                self.warning(
                    "public_url",
                    format!("{url} is plain http: anyone on the network can read the cookie"),
                );
            }
            Some(url) => self.ok("public_url", url.to_string()),
        }
    }

    /// Checks which proxies are trusted to forward client addresses.
    fn check_trusted_proxies(&mut self, config: &Config) {
        let trusts_everyone = config.trusted_proxies.iter().any(|network| network.prefix() == 0);
        if trusts_everyone {
            self.fault(
                "trusted_proxies",
                "all addresses are trusted as proxies: anyone can claim any IP address",
            );
        } else if config.trusted_proxies.is_empty() && config.https() {
            let why = "none: everyone behind the proxy shares its IP address, and one lock locks all of them";
            self.warning("trusted_proxies", why);
        } else if config.trusted_proxies.is_empty() {
            self.ok("trusted_proxies", "none, as fits a server without a proxy");
        } else {
            let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
            self.ok("trusted_proxies", networks.join(", "));
        }
        self.check_forwarded_header(config);
    }

    /// Names the header that the proxies must write.
    fn check_forwarded_header(&mut self, config: &Config) {
        if config.trusted_proxies.is_empty() {
            return;
        }
        match config.forwarded_header {
            ForwardedHeader::XForwardedFor => self.ok(
                "forwarded_header",
                "x-forwarded-for: the proxy must write X-Forwarded-For itself and must not pass on what clients send",
            ),
            ForwardedHeader::Forwarded => self.warning(
                "forwarded_header",
                "forwarded: the proxy must write Forwarded (RFC 7239) itself and must not pass on what clients \
                 send; of the files in contrib only those for nginx write it",
            ),
        }
    }

    fn check_security_log(&mut self, config: &Config) {
        let Some(path) = &config.security_log else {
            return self.ok("security_log", "off; the audit log is in the database");
        };
        match SecurityLog::open(path) {
            Ok(_) => self.ok("security_log", format!("{} is writable", path.display())),
            Err(error) => self.fault("security_log", format!("{}: {error}", path.display())),
        }
    }

    /// Checks where emails go. Only an email shows whether they arrive.
    fn check_mail(&mut self, config: &Config) {
        match (Mailer::new(config), &config.mail.smtp_url) {
            (Err(error), _) => self.fault("mail", error.to_string()),
            (Ok(mailer), None) => self.warning(
                "mail",
                format!("no mail server: emails are written to {}", mailer.describe()),
            ),
            (Ok(mailer), Some(_)) if config.public_url.is_none() => {
                let how = format!(
                    "{}; links in emails point to {}: set public_url",
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

    /// Checks the installation as the posture page does, and the policy against a baseline.
    async fn check_posture(&mut self, mut config: Config, baseline: Option<&'static Baseline>) {
        config.migrate = false;
        let posture = match server::context(config, Arc::new(SystemClock), Arc::new(OsRandom), false) {
            Ok(ctx) => flows::posture::posture(&ctx).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let posture = match posture {
            Ok(posture) => posture,
            Err(error) => return self.fault("posture", error),
        };
        for finding in posture.installation.iter().filter(|finding| !finding.ok) {
            self.warning("posture", format!("{}. {}", finding.title, finding.why));
        }
        let required = posture.baselines.iter().filter(|(candidate, _)| match baseline {
            Some(required) => required.id == candidate.id,
            None => candidate.id != "hue",
        });
        let mut missed: Vec<(usize, &str, &str)> = required
            .map(|(candidate, checked)| {
                let missed = checked.iter().filter(|checked| !checked.met()).count();
                (missed, candidate.id, candidate.title)
            })
            .collect();
        missed.sort_unstable();
        match missed.first() {
            Some((0, _, title)) => self.ok("policy posture", format!("meets {title}")),
            Some((number, id, title)) => {
                let requirements = format_count(*number, "requirement", "requirements");
                let how = format!("misses {requirements} of {title}: see `nightlatch policy posture --baseline {id}`");
                self.warning("policy posture", how);
            }
            None => self.fault("policy posture", "there is no baseline to compare with"),
        }
    }

    async fn send_test_mail(&mut self, config: Config, address: &str) {
        let ctx = match server::context(config, Arc::new(SteadyClock::default()), Arc::new(OsRandom), false) {
            Ok(ctx) => ctx,
            Err(error) => return self.fault("test mail", error.to_string()),
        };
        match flows::mail::send_test(&ctx, address).await {
            Ok(answer) => self.ok("test mail", format!("accepted: {answer}")),
            Err(why) => self.fault("test mail", why),
        }
    }

    /// Prints the findings. Faults are the command's failure, and with `strict` warnings too.
    fn print(&self, as_json: bool, strict: bool) -> CommandResult {
        if as_json {
            let mut list = JsonArray::new();
            for finding in &self.0 {
                list.add(&json!({
                    "check": finding.check,
                    "status": finding.status.as_str(),
                    "message": finding.message,
                }))?;
            }
            list.finish()?;
        } else {
            let mut table = Table::without_headings(3);
            for finding in &self.0 {
                table.add_row([
                    finding.status.as_str().into(),
                    finding.check.into(),
                    finding.message.clone(),
                ]);
            }
            let mut out = StandardOutput::new();
            out.write_table(&table)?;
            out.finish()?;
        }
        let count = |status| self.0.iter().filter(|finding| finding.status == status).count();
        let (faults, warnings) = (count(CheckStatus::Fault), count(CheckStatus::Warning));
        if faults == 0 && (warnings == 0 || !strict) {
            return Ok(ExitCode::SUCCESS);
        }
        if strict {
            let (faults, warnings) = (
                format_count(faults, "fault", "faults"),
                format_count(warnings, "warning", "warnings"),
            );
            output::print_message(&format!("found {faults} and {warnings}"));
            return Ok(ExitCode::FAILURE);
        }
        output::print_message(&format!("found {}", format_count(faults, "fault", "faults")));
        Ok(ExitCode::FAILURE)
    }
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Returns whether browsers treat the host as if it were https, because it is their own machine.
fn is_local(url: &url::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
    })
}
