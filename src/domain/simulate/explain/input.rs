//! Parsing of a pattern of activity, the same on the page and on the command line: `08:00-10:30`,
//! `09:00=203.0.113.7`. Times are UTC. A time of day is its next occurrence; complete dates are
//! accepted too.

use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use super::scenario::{
    Activity, ActivityKind, ActivityPattern, ApplicationEntry, ClientChange, ClientMove, ScenarioClient,
};
use crate::{
    agent, duration,
    policy::{Scope, ScopeError},
    time::{Span, Timestamp},
};

/// A field and its error message.
pub type ScenarioFault = (&'static str, String);

/// The defaults: an address reserved for documentation, and a browser.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

const DAY: Span = Span::from_secs(86_400);
const MAX_LINES: usize = 50;

/// All fields as entered; empty if not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScenarioInput {
    /// `08:00`, `2026-11-21 08:00`.
    pub signed_in: String,
    /// `wiki`, `wiki@09:00`.
    pub applications: Vec<String>,
    /// `08:00-10:30`, `08:41`.
    pub active: Vec<String>,
    /// `1m`.
    pub every: String,
    /// `pages`, `requests`, `input`, `background`.
    pub doing: String,
    /// `/reports`.
    pub path: String,
    /// `09:00-09:40`.
    pub pauses: Vec<String>,
    /// `10:00`.
    pub window: String,
    /// The address of the sign-in.
    pub ip: String,
    /// The browser of the sign-in.
    pub agent: String,
    /// `09:00=203.0.113.7`, `09:20=Chrome/126.0`.
    pub moves: Vec<String>,
}

impl ActivityKind {
    /// All kinds with the word that users write and its description.
    pub const ALL: &[(ActivityKind, &str, &str)] = &[
        (ActivityKind::Pages, "pages", "page loads"),
        (ActivityKind::Requests, "requests", "requests of scripts"),
        (ActivityKind::Input, "input", "real input, reported by the page guard"),
        (ActivityKind::Background, "background", "background requests"),
    ];

    fn parse(word: &str) -> Option<Self> {
        ActivityKind::ALL
            .iter()
            .find(|(_, known, _)| *known == word)
            .map(|(manner, ..)| *manner)
    }
}

impl ScenarioInput {
    /// Parses a sign-in on the day of `now` and the pattern after it, and reports all errors.
    pub fn sign_in(&self, now: Timestamp) -> Result<(Timestamp, ActivityPattern), Vec<ScenarioFault>> {
        let today = midnight(now);
        let mut reading = ScenarioReader::from(today);
        // A complete date may be in the past; a time of day belongs to the current day.
        let past = Timestamp::from_micros(0);
        let at = read_time(&self.signed_in, today).or_else(|_| read_time(&self.signed_in, past));
        reading.begin = at.unwrap_or_else(|why| {
            reading.faults.push(("signed_in", why));
            today
        });
        let at = reading.begin;
        let client = ScenarioClient {
            ip: reading.read_ip(&self.ip).unwrap_or(ADDRESS),
            user_agent: Some(match self.agent.trim() {
                "" => BROWSER.to_owned(),
                text => agent::cut(text).to_owned(),
            }),
        };
        let pattern = self.pattern(&mut reading, client);
        reading.finish((at, pattern))
    }

    /// Parses the pattern of a real session from `begin` on, starting with its current client.
    pub fn from_now(&self, begin: Timestamp, client: ScenarioClient) -> Result<ActivityPattern, Vec<ScenarioFault>> {
        let mut reading = ScenarioReader::from(begin);
        let pattern = self.pattern(&mut reading, client);
        reading.finish(pattern)
    }

    fn pattern(&self, reading: &mut ScenarioReader, client: ScenarioClient) -> ActivityPattern {
        let every = reading.read_interval(&self.every);
        ActivityPattern {
            client,
            entering: reading.read_each("app", &self.applications, ScenarioReader::read_entry),
            activity: reading
                .read_each("active", &self.active, ScenarioReader::read_span)
                .into_iter()
                .map(|(from, until)| Activity { from, until, every })
                .collect(),
            manner: reading.read_kind(&self.doing),
            path: reading.read_path(&self.path),
            pauses: reading.read_each("pause", &self.pauses, ScenarioReader::read_span),
            window_until: match self.window.trim() {
                "" => None,
                text => reading.read_instant("window", text),
            },
            moves: reading.read_each("move", &self.moves, ScenarioReader::read_move),
        }
    }
}

/// Splits entries at commas or line ends.
pub fn read_entries(text: &str) -> Vec<String> {
    read_lines(text)
        .iter()
        .flat_map(|line| line.split(','))
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Splits entries at line ends, for entries that may contain commas (user agents).
pub fn read_lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Parses texts from a first instant on and collects errors.
struct ScenarioReader {
    begin: Timestamp,
    faults: Vec<ScenarioFault>,
}

impl ScenarioReader {
    fn from(begin: Timestamp) -> Self {
        Self {
            begin,
            faults: Vec::new(),
        }
    }

    fn finish<T>(self, read: T) -> Result<T, Vec<ScenarioFault>> {
        if self.faults.is_empty() {
            Ok(read)
        } else {
            Err(self.faults)
        }
    }

    fn read_each<T>(
        &mut self,
        field: &'static str,
        texts: &[String],
        read: fn(&Self, &str) -> Result<T, String>,
    ) -> Vec<T> {
        if texts.len() > MAX_LINES {
            self.faults.push((field, format!("At most {MAX_LINES} entries.")));
            return Vec::new();
        }
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for text in texts {
            match read(self, text.trim()) {
                Ok(one) => all.push(one),
                Err(why) => faults.push((field, why)),
            }
        }
        self.faults.extend(faults);
        all
    }

    fn read_instant(&mut self, field: &'static str, text: &str) -> Option<Timestamp> {
        read_time(text, self.begin)
            .map_err(|why| self.faults.push((field, why)))
            .ok()
    }

    fn read_ip(&mut self, text: &str) -> Option<IpAddr> {
        let text = Some(text.trim()).filter(|text| !text.is_empty())?;
        let ip = text.parse().map_err(|_| format!("“{text}” is not an IP address."));
        ip.map_err(|why| self.faults.push(("ip", why))).ok()
    }

    fn read_interval(&mut self, text: &str) -> Span {
        let secs = match text.trim() {
            "" => Ok(60),
            text => duration::parse(text).map_err(|why| format!("The interval of requests: {why}.")),
        };
        match secs {
            Ok(secs) if secs >= 1 => return Span::from_secs(secs),
            Ok(_) => self
                .faults
                .push(("every", "The interval must be at least one second.".into())),
            Err(why) => self.faults.push(("every", why)),
        }
        Span::from_secs(60)
    }

    fn read_kind(&mut self, text: &str) -> ActivityKind {
        let word = text.trim();
        let manner = if word.is_empty() {
            Some(ActivityKind::default())
        } else {
            ActivityKind::parse(word)
        };
        manner.unwrap_or_else(|| {
            let accepted: Vec<&str> = ActivityKind::ALL.iter().map(|(_, word, _)| *word).collect();
            self.faults
                .push(("doing", format!("Accepted: {}.", accepted.join(", "))));
            ActivityKind::default()
        })
    }

    fn read_path(&mut self, text: &str) -> String {
        match text.trim() {
            "" => "/".to_owned(),
            path if path.starts_with('/') && path.len() <= 512 => path.to_owned(),
            _ => {
                self.faults
                    .push(("path", "A path begins with / and has at most 512 bytes.".into()));
                "/".to_owned()
            }
        }
    }

    /// Parses `wiki` (entered immediately) or `wiki@09:00`.
    fn read_entry(&self, text: &str) -> Result<ApplicationEntry, String> {
        let timed = text
            .rsplit_once('@')
            .and_then(|(name, at)| Some((name, read_time(at, self.begin).ok()?)));
        let (name, at) = timed.unwrap_or((text, self.begin));
        match format!("app:{}", name.trim()).parse() {
            Ok(Scope::Application(application)) => Ok(ApplicationEntry { application, at }),
            Ok(Scope::Everyone | Scope::Administrators) | Err(ScopeError(_)) => Err(format!(
                "“{text}” is not an application: write a name, or name@09:00 with the time when it is entered."
            )),
        }
    }

    /// Parses `08:00-10:30`, or a single time for one request.
    fn read_span(&self, text: &str) -> Result<(Timestamp, Timestamp), String> {
        if let Ok(at) = read_time(text, self.begin) {
            return Ok((at, at));
        }
        let dashes = text
            .match_indices(['-', '–'])
            .map(|(at, dash)| (&text[..at], &text[at + dash.len()..]));
        let read = |(from, until)| {
            let from = read_time(from, self.begin).ok()?;
            Some((from, read_time(until, from).ok()?))
        };
        dashes.map(read).find_map(|span| span).ok_or_else(|| {
            format!(
                "“{text}” is not a valid period after the start: write it like 08:00-10:30 or 2026-11-21 \
                08:00-2026-11-22 10:30."
            )
        })
    }

    /// Parses `09:00=203.0.113.7`; a value that is not an address is a browser.
    fn read_move(&self, text: &str) -> Result<ClientMove, String> {
        let (at, to) = text
            .split_once('=')
            .ok_or_else(|| format!("“{text}”: write a time and an address or a browser, like 09:00=203.0.113.7."))?;
        let to = match (to.trim(), to.trim().parse()) {
            ("", _) => return Err(format!("“{text}” has no new address or browser.")),
            (_, Ok(ip)) => ClientChange::Ip(ip),
            (agent, Err(_)) => ClientChange::UserAgent(agent::cut(agent).to_owned()),
        };
        Ok(ClientMove {
            at: read_time(at, self.begin)?,
            to,
        })
    }
}

/// Returns the first instant from `begin` on that matches the text.
fn read_time(text: &str, begin: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let unreadable = || format!("“{text}” is not a time: write it like 08:00 or 2026-11-21 08:00 (UTC).");
    // The first zero may be left out.
    let padded = if text.find(':') == Some(1) {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    let clock_only = text.len() <= 8 && text.contains(':');
    if clock_only {
        let time = jiff::civil::Time::from_str(&padded).map_err(|_| unreadable())?;
        let secs = i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        let today = midnight(begin).saturating_add(Span::from_secs(secs));
        return Ok(if today < begin {
            today.saturating_add(DAY)
        } else {
            today
        });
    }
    let at = Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
        .ok_or_else(unreadable)?;
    if at < begin {
        return Err(format!("“{text}” is before the start."));
    }
    Ok(at)
}

fn midnight(at: Timestamp) -> Timestamp {
    let micros = at.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(DAY.as_micros()))
}
