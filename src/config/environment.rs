//! Environment variables with our prefix: settings, pins, those that Kubernetes injects, and
//! mistakes.

use super::settings::{SETTINGS, SettingInfo};

/// Start of the variables that pin policy settings.
pub(super) const PIN_PREFIX: &str = "NIGHTLATCH_POLICY__";
const PREFIX: &str = "NIGHTLATCH";
const FILE_SUFFIX: &str = "_FILE";
/// Minimum similarity (Jaro-Winkler) of a name that is suggested for an unknown one.
const MIN_SIMILARITY: f64 = 0.85;

/// The meaning of an environment variable.
pub(super) enum Variable {
    /// The value of a setting.
    Setting(&'static SettingInfo),
    /// The path of a file with the value of a setting.
    SettingFile(&'static SettingInfo),
    /// The value of a pinned policy setting.
    Pin,
    /// A variable that is not for this program.
    Foreign,
    /// A variable that looks like a setting but is not one, with advice on what to do.
    Unknown(String),
}

impl Variable {
    /// Classifies a variable by its name, or by its value where the name is not enough.
    pub fn classify(name: &str, value: &str) -> Self {
        if name.starts_with(PIN_PREFIX) {
            return Self::Pin;
        }
        if let Some(info) = SETTINGS.iter().find(|info| info.env == name) {
            return Self::Setting(info);
        }
        if let Some(info) = find_file_setting(name) {
            return match info.may_be_a_file() {
                true => Self::SettingFile(info),
                false => Self::Unknown(format!("only secrets are read from a file; set {}", info.env)),
            };
        }
        let is_ours = name.starts_with("NIGHTLATCH_") || name.starts_with("DATABASE_URL_");
        if !is_ours || is_service_variable(name, value) {
            return Self::Foreign;
        }
        Self::Unknown(match find_similar(name) {
            Some(similar) => format!("did you mean {similar}?"),
            None => "`nightlatch config show --json` lists all of them".to_owned(),
        })
    }
}

fn find_file_setting(name: &str) -> Option<&'static SettingInfo> {
    let env = name.strip_suffix(FILE_SUFFIX)?;
    SETTINGS.iter().find(|info| info.env == env)
}

fn find_similar(name: &str) -> Option<String> {
    let names = SETTINGS.iter().flat_map(|info| {
        let file = info.may_be_a_file().then(|| format!("{}{FILE_SUFFIX}", info.env));
        [Some(info.env.to_owned()), file]
    });
    // The common prefix says nothing about similarity.
    let bare = |name: &str| name.trim_start_matches("NIGHTLATCH_").to_owned();
    names
        .flatten()
        .map(|known| (strsim::jaro_winkler(&bare(name), &bare(&known)), known))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Returns whether Kubernetes injects this variable for a Service named `nightlatch` or
/// `nightlatch-…`: `NIGHTLATCH_SERVICE_HOST`, `NIGHTLATCH_SERVICE_PORT[_NAME]`,
/// `NIGHTLATCH_PORT=tcp://…` and `NIGHTLATCH_PORT_80_TCP[_PROTO|_PORT|_ADDR]`.
fn is_service_variable(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let is_link = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.contains("_SERVICE_PORT_")
        || (rest.ends_with("_PORT") && is_link)
        || rest
            .match_indices("_PORT_")
            .any(|(at, found)| is_port_link(&rest[at + found.len()..]))
}

/// Returns whether the rest of a name is `80_TCP`, alone or with `_PROTO`, `_PORT` or `_ADDR`.
fn is_port_link(rest: &str) -> bool {
    let Some((port, rest)) = rest.split_once('_') else {
        return false;
    };
    let (protocol, part) = rest.split_once('_').unwrap_or((rest, ""));
    !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && ["TCP", "UDP", "SCTP"].contains(&protocol)
        && ["", "PROTO", "PORT", "ADDR"].contains(&part)
}

#[cfg(test)]
mod tests;
