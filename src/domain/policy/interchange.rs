//! Policies as files: which formats there are, what reading one came to, what writing one lost.
//! What each format says stands in `hue`, `ibm`, `bloomreach`, `toml` and `json`; files are opened elsewhere.

use std::fmt;

use super::{Fault, PolicyDocument, bloomreach, hue, ibm, json, toml};

mod reading;

pub(super) use reading::{Reading, fault_at, line_of};

/// A format of policy files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A hue.ini, whole or as a safety-valve snippet.
    Hue,
    /// IBM's `product-configmap`.
    Ibm,
    /// Bloomreach's repository configuration.
    Bloomreach,
    /// Everything, all scopes, with a comment on each setting.
    Toml,
    /// Everything, all scopes.
    Json,
}

impl Format {
    /// All that can be read.
    pub const ALL: [Format; 5] = [Format::Hue, Format::Ibm, Format::Bloomreach, Format::Toml, Format::Json];

    /// Those that are written, too.
    pub const WRITTEN: [Format; 3] = [Format::Hue, Format::Toml, Format::Json];

    /// `hue`: the word of commands and addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Hue => "hue",
            Format::Ibm => "ibm",
            Format::Bloomreach => "bloomreach",
            Format::Toml => "toml",
            Format::Json => "json",
        }
    }

    /// The format of a word; `None`: no such format.
    pub fn parse(word: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Format::Hue => "Hue: hue.ini",
            Format::Ibm => "IBM Software Hub: product-configmap",
            Format::Bloomreach => "Bloomreach: YAML or path = value",
            Format::Toml => "Nightlatch: TOML",
            Format::Json => "Nightlatch: JSON",
        }
    }

    /// How names of such files end.
    pub const fn ending(self) -> &'static str {
        match self {
            Format::Hue => "ini",
            Format::Ibm | Format::Bloomreach => "yaml",
            Format::Toml => "toml",
            Format::Json => "json",
        }
    }

    /// The format of a file, by its name (may be empty) and what stands in it; `None`: it looks like none.
    pub fn guess(name: &str, text: &str) -> Option<Format> {
        let name = name.to_lowercase();
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.contains("max.inactive.interval.minutes") || text.contains("hippo:") {
            return Some(Format::Bloomreach);
        }
        if text.contains("TOKEN_EXPIRY_TIME") || text.contains("TOKEN_REFRESH_PERIOD") {
            return Some(Format::Ibm);
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "toml" => Some(Format::Toml),
            "json" => Some(Format::Json),
            "ini" => Some(Format::Hue),
            _ if text.starts_with('{') => Some(Format::Json),
            _ => text.lines().find_map(by_line),
        }
    }
}

/// A line that only one format has.
fn by_line(line: &str) -> Option<Format> {
    let line = line.trim();
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    if begins(&[
        "[everyone",
        "[administrators",
        "[app.",
        "everyone.",
        "administrators.",
        "app.",
    ]) {
        Some(Format::Toml)
    } else if begins(&["[desktop]", "[useradmin]", "[["]) {
        Some(Format::Hue)
    } else {
        None
    }
}

/// Something about a file that its reader or writer wants people to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where in the file, from 1; `None`: it is about what does not stand there.
    pub line: Option<usize>,
    /// As the file names it.
    pub key: String,
    /// A sentence for people.
    pub sentence: String,
}

impl Remark {
    /// On one line of the file.
    pub fn at(line: usize, key: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            key: key.into(),
            sentence: sentence.into(),
        }
    }

    /// On the file as a whole.
    pub fn on(key: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            line: None,
            key: key.into(),
            sentence: sentence.into(),
        }
    }
}

/// `line 12: desktop.auth.backend: …`
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.sentence)
    }
}

/// What a file without faults came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The base with the file's settings in it; of TOML and JSON the file's document alone.
    pub document: PolicyDocument,
    /// Keys of the file that were left aside, and why.
    pub ignored: Vec<Remark>,
    /// What was read otherwise than it was written, and what the file does not say.
    pub notes: Vec<Remark>,
}

/// What a document became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub text: String,
    /// What the format cannot say.
    pub lossy: Vec<Remark>,
}

/// Reads a file. All faults at once; each names its line, and the key, value and accepted range where there is one.
///
/// Bounds of single settings are checked here; what holds between settings and for pins is asked of
/// [`PolicyDocument::faults_since`].
pub fn import(format: Format, text: &str, base: &PolicyDocument) -> Result<Imported, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = |document| Imported {
        document,
        ..Imported::default()
    };
    match format {
        Format::Hue => hue::import(text, base),
        Format::Ibm => ibm::import(text, base),
        Format::Bloomreach => bloomreach::import(text, base),
        Format::Toml => toml::import(text).map(whole),
        Format::Json => json::import(text).map(whole),
    }
}

/// Writes a document; `None`: this format is only read.
pub fn export(format: Format, document: &PolicyDocument) -> Option<Exported> {
    let whole = |text| Exported {
        text,
        lossy: Vec::new(),
    };
    match format {
        Format::Hue => Some(hue::export(document)),
        Format::Toml => Some(whole(toml::export(document))),
        Format::Json => Some(whole(json::export(document))),
        Format::Ibm | Format::Bloomreach => None,
    }
}
