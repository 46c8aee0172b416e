//! A pattern of activity as people write it, on the page and on the command line alike: `08:00-10:30`, `09:00=203.0.113.7`.
//! Times are UTC. A time of day is the first one that is not over yet; whole dates may be written too.

use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use super::{Activity, Client, Elsewhere, Entering, Manner, Move, Pattern};
use crate::domain::{
    agent, duration,
    policy::{Scope, ScopeError},
    time::{Span, Timestamp},
};

/// A field and what is wrong with it.
pub type TypedFault = (&'static str, String);

/// Where nobody says it: an address of documentation, and a browser.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

const DAY: Span = Span::from_secs(86_400);
const MOST_LINES: usize = 50;

/// Everything as typed; empty where nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
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

impl Manner {
    /// All manners with the word that people write and what it says.
    pub const ALL: &[(Manner, &str, &str)] = &[
        (Manner::Pages, "pages", "page loads"),
        (Manner::Requests, "requests", "requests of scripts"),
        (Manner::Input, "input", "real input, reported by the page guard"),
        (Manner::Background, "background", "background requests"),
    ];

    fn parse(word: &str) -> Option<Self> {
        Manner::ALL
            .iter()
            .find(|(_, known, _)| *known == word)
            .map(|(manner, ..)| *manner)
    }
}

impl Typed {
    /// A sign-in on the day of `now`, and what is done from then on. All faults at once.
    pub fn sign_in(&self, now: Timestamp) -> Result<(Timestamp, Pattern), Vec<TypedFault>> {
        let today = midnight(now);
        let mut reading = Reading::from(today);
        // A whole date may lie in the past, a time of day is today's.
        let past = Timestamp::from_micros(0);
        let at = time(&self.signed_in, today).or_else(|_| time(&self.signed_in, past));
        reading.begin = at.unwrap_or_else(|why| {
            reading.faults.push(("signed_in", why));
            today
        });
        let at = reading.begin;
        let client = Client {
            ip: reading.ip(&self.ip).unwrap_or(ADDRESS),
            user_agent: Some(match self.agent.trim() {
                "" => BROWSER.to_owned(),
                text => agent::cut(text).to_owned(),
            }),
        };
        let pattern = self.pattern(&mut reading, client);
        reading.done((at, pattern))
    }

    /// What is done with a real session from `begin` on, from where it is used now.
    pub fn from_now(&self, begin: Timestamp, client: Client) -> Result<Pattern, Vec<TypedFault>> {
        let mut reading = Reading::from(begin);
        let pattern = self.pattern(&mut reading, client);
        reading.done(pattern)
    }

    fn pattern(&self, reading: &mut Reading, client: Client) -> Pattern {
        let every = reading.every(&self.every);
        Pattern {
            client,
            entering: reading.each("app", &self.applications, Reading::entering),
            activity: reading
                .each("active", &self.active, Reading::span)
                .into_iter()
                .map(|(from, until)| Activity { from, until, every })
                .collect(),
            manner: reading.manner(&self.doing),
            path: reading.path(&self.path),
            pauses: reading.each("pause", &self.pauses, Reading::span),
            window_until: match self.window.trim() {
                "" => None,
                text => reading.instant("window", text),
            },
            moves: reading.each("move", &self.moves, Reading::moved),
        }
    }
}

/// What was typed, one text an entry: separated by commas or line ends.
pub fn entries(text: &str) -> Vec<String> {
    lines(text)
        .iter()
        .flat_map(|line| line.split(','))
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// The same where an entry may hold commas: a browser's words.
pub fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Reads texts from a first instant on and keeps the faults.
struct Reading {
    begin: Timestamp,
    faults: Vec<TypedFault>,
}

impl Reading {
    fn from(begin: Timestamp) -> Self {
        Self {
            begin,
            faults: Vec::new(),
        }
    }

    fn done<T>(self, read: T) -> Result<T, Vec<TypedFault>> {
        if self.faults.is_empty() {
            Ok(read)
        } else {
            Err(self.faults)
        }
    }

    fn each<T>(&mut self, field: &'static str, texts: &[String], read: fn(&Self, &str) -> Result<T, String>) -> Vec<T> {
        if texts.len() > MOST_LINES {
            self.faults.push((field, format!("At most {MOST_LINES} entries.")));
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

    fn instant(&mut self, field: &'static str, text: &str) -> Option<Timestamp> {
        time(text, self.begin)
            .map_err(|why| self.faults.push((field, why)))
            .ok()
    }

    fn ip(&mut self, text: &str) -> Option<IpAddr> {
        let text = Some(text.trim()).filter(|text| !text.is_empty())?;
        let ip = text.parse().map_err(|_| format!("“{text}” is no IP address."));
        ip.map_err(|why| self.faults.push(("ip", why))).ok()
    }

    fn every(&mut self, text: &str) -> Span {
        let secs = match text.trim() {
            "" => Ok(60),
            text => duration::parse(text).map_err(|why| format!("Every how long a request: {why}.")),
        };
        match secs {
            Ok(secs) if secs >= 1 => return Span::from_secs(secs),
            Ok(_) => self
                .faults
                .push(("every", "At least one second lies between two requests.".into())),
            Err(why) => self.faults.push(("every", why)),
        }
        Span::from_secs(60)
    }

    fn manner(&mut self, text: &str) -> Manner {
        let word = text.trim();
        let manner = if word.is_empty() {
            Some(Manner::default())
        } else {
            Manner::parse(word)
        };
        manner.unwrap_or_else(|| {
            let words: Vec<&str> = Manner::ALL.iter().map(|(_, word, _)| *word).collect();
            self.faults
                .push(("doing", format!("It is one of {}.", words.join(", "))));
            Manner::default()
        })
    }

    fn path(&mut self, text: &str) -> String {
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

    /// `wiki` at once, `wiki@09:00` later.
    fn entering(&self, text: &str) -> Result<Entering, String> {
        let timed = text
            .rsplit_once('@')
            .and_then(|(name, at)| Some((name, time(at, self.begin).ok()?)));
        let (name, at) = timed.unwrap_or((text, self.begin));
        match format!("app:{}", name.trim()).parse() {
            Ok(Scope::Application(application)) => Ok(Entering { application, at }),
            Ok(Scope::Everyone | Scope::Administrators) | Err(ScopeError(_)) => Err(format!(
                "“{text}” is no application: write a name, or name@09:00 for when it is entered."
            )),
        }
    }

    /// `08:00-10:30`, or one time for one request.
    fn span(&self, text: &str) -> Result<(Timestamp, Timestamp), String> {
        if let Ok(at) = time(text, self.begin) {
            return Ok((at, at));
        }
        let dashes = text
            .match_indices(['-', '–'])
            .map(|(at, dash)| (&text[..at], &text[at + dash.len()..]));
        let read = |(from, until)| {
            let from = time(from, self.begin).ok()?;
            Some((from, time(until, from).ok()?))
        };
        dashes.map(read).find_map(|span| span).ok_or_else(|| {
            format!("“{text}” is no stretch of time after the beginning: write it like 08:00-10:30 or 2026-11-21 08:00-2026-11-22 10:30.")
        })
    }

    /// `09:00=203.0.113.7`; what is no address is a browser.
    fn moved(&self, text: &str) -> Result<Move, String> {
        let (at, to) = text
            .split_once('=')
            .ok_or_else(|| format!("“{text}”: write a time and an address or a browser, like 09:00=203.0.113.7."))?;
        let to = match (to.trim(), to.trim().parse()) {
            ("", _) => return Err(format!("“{text}” does not say where to.")),
            (_, Ok(ip)) => Elsewhere::Ip(ip),
            (agent, Err(_)) => Elsewhere::UserAgent(agent::cut(agent).to_owned()),
        };
        Ok(Move {
            at: time(at, self.begin)?,
            to,
        })
    }
}

/// The first instant from `begin` on that the text names.
fn time(text: &str, begin: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let unreadable = || format!("“{text}” is no time: write it like 08:00 or 2026-11-21 08:00 (UTC).");
    // People leave the first zero out.
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
        return Err(format!("“{text}” is before the beginning."));
    }
    Ok(at)
}

fn midnight(at: Timestamp) -> Timestamp {
    let micros = at.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(DAY.as_micros()))
}
