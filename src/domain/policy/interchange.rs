//! Policies as files: the formats, importing and exporting. `hue`, `ibm`, `bloomreach`, `toml` and
//! `json` define the formats; the callers open the files.

use super::{PolicyDocument, PolicyFault, bloomreach, hue, ibm, json, toml};

pub use super::import_file::{ExportedDocument, FileComment, ImportedDocument};

/// A format of policy files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyFormat {
    /// A hue.ini, complete or as a safety-valve snippet.
    Hue,
    /// IBM's `product-configmap`.
    Ibm,
    /// Bloomreach's repository configuration.
    Bloomreach,
    /// The complete policy, all scopes, with a comment on each setting.
    Toml,
    /// The complete policy, all scopes.
    Json,
}

impl PolicyFormat {
    /// All formats that can be imported.
    pub const ALL: [PolicyFormat; 5] = [
        PolicyFormat::Hue,
        PolicyFormat::Ibm,
        PolicyFormat::Bloomreach,
        PolicyFormat::Toml,
        PolicyFormat::Json,
    ];

    /// The formats that can be exported.
    pub const WRITTEN: [PolicyFormat; 3] = [PolicyFormat::Hue, PolicyFormat::Toml, PolicyFormat::Json];

    /// Returns the name used in commands and URLs, such as `hue`.
    pub const fn as_str(self) -> &'static str {
        match self {
            PolicyFormat::Hue => "hue",
            PolicyFormat::Ibm => "ibm",
            PolicyFormat::Bloomreach => "bloomreach",
            PolicyFormat::Toml => "toml",
            PolicyFormat::Json => "json",
        }
    }

    /// Parses the name of a format; `None` for an unknown one.
    pub fn parse(word: &str) -> Option<PolicyFormat> {
        PolicyFormat::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Returns the label on screens.
    pub const fn label(self) -> &'static str {
        match self {
            PolicyFormat::Hue => "Hue: hue.ini",
            PolicyFormat::Ibm => "IBM Software Hub: product-configmap",
            PolicyFormat::Bloomreach => "Bloomreach: YAML or path = value",
            PolicyFormat::Toml => "Nightlatch: TOML",
            PolicyFormat::Json => "Nightlatch: JSON",
        }
    }

    /// Returns the file name extension.
    pub const fn ending(self) -> &'static str {
        match self {
            PolicyFormat::Hue => "ini",
            PolicyFormat::Ibm | PolicyFormat::Bloomreach => "yaml",
            PolicyFormat::Toml => "toml",
            PolicyFormat::Json => "json",
        }
    }

    /// Detects the format of a file from its name (may be empty) and content; `None`: unknown.
    pub fn guess(name: &str, text: &str) -> Option<PolicyFormat> {
        let name = name.to_lowercase();
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.contains("max.inactive.interval.minutes") || text.contains("hippo:") {
            return Some(PolicyFormat::Bloomreach);
        }
        if text.contains("TOKEN_EXPIRY_TIME") || text.contains("TOKEN_REFRESH_PERIOD") {
            return Some(PolicyFormat::Ibm);
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "toml" => Some(PolicyFormat::Toml),
            "json" => Some(PolicyFormat::Json),
            "ini" => Some(PolicyFormat::Hue),
            _ if text.starts_with('{') => Some(PolicyFormat::Json),
            _ => text.lines().find_map(format_of_line),
        }
    }
}

/// Returns the format if the line can only belong to one.
fn format_of_line(line: &str) -> Option<PolicyFormat> {
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
        Some(PolicyFormat::Toml)
    } else if begins(&["[desktop]", "[useradmin]", "[["]) {
        Some(PolicyFormat::Hue)
    } else {
        None
    }
}

/// Imports a file. All faults are reported together; each names its line, and the key, value and
/// accepted range if there is one.
///
/// The bounds of single settings are checked here; [`PolicyDocument::faults_since`] checks rules
/// across settings and pins.
pub fn import(format: PolicyFormat, text: &str, base: &PolicyDocument) -> Result<ImportedDocument, Vec<PolicyFault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = |document| ImportedDocument {
        document,
        ..ImportedDocument::default()
    };
    match format {
        PolicyFormat::Hue => hue::import(text, base),
        PolicyFormat::Ibm => ibm::import(text, base),
        PolicyFormat::Bloomreach => bloomreach::import(text, base),
        PolicyFormat::Toml => toml::import(text).map(whole),
        PolicyFormat::Json => json::import(text).map(whole),
    }
}

/// Exports a document; `None`: this format can only be imported.
pub fn export(format: PolicyFormat, document: &PolicyDocument) -> Option<ExportedDocument> {
    let whole = |text| ExportedDocument {
        text,
        lossy: Vec::new(),
    };
    match format {
        PolicyFormat::Hue => Some(hue::export(document)),
        PolicyFormat::Toml => Some(whole(toml::export(document))),
        PolicyFormat::Json => Some(whole(json::export(document))),
        PolicyFormat::Ibm | PolicyFormat::Bloomreach => None,
    }
}
