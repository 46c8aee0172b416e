//! Bloomreach's active logout as a policy: `…/root/max.inactive.interval.minutes` of an application
//! sets its idle timeout. Accepts the formats of the Console and the repository (nested YAML, from
//! any node) and lines of `path = value`.

use super::{
    import_file::{FileComment, ImportProgress, ImportedDocument},
    leaves::{self, Leaf},
    *,
};

const PROPERTY: &str = "max.inactive.interval.minutes";

/// Bloomreach's own applications; an installation may have others.
const APPLICATIONS: [&str; 2] = ["cms", "console"];

/// Imports a configuration onto `base`, as overrides of its applications.
pub(super) fn import(text: &str, base: &PolicyDocument) -> Result<ImportedDocument, Vec<PolicyFault>> {
    let mut reading = ImportProgress::based_on(base);
    for leaf in leaves::read(text)? {
        property(&leaf, &mut reading);
    }
    for name in APPLICATIONS {
        if !reading.has(&Scope::Application(name.to_owned()), Key::AuthIdleSessionTimeout) {
            let untouched =
                format!("{PROPERTY} is not in the file: the current value stays; Bloomreach's default is 30");
            reading.imported.notes.push(FileComment::new(name, untouched));
        }
    }
    reading.finish()
}

fn property(leaf: &Leaf, reading: &mut ImportProgress) {
    let nodes = nodes(leaf);
    let path = format!("/{}", nodes.join("/"));
    let Some((name, above)) = nodes.split_last() else {
        return;
    };
    match name.as_str() {
        PROPERTY if leaf.text.is_empty() => {}
        PROPERTY if above.last().is_some_and(|node| node == "root") => interval(leaf, above, &path, reading),
        PROPERTY => reading.ignore(leaf.line, &path, "Bloomreach reads it only at a node named root"),
        "pinger.interval" => {
            let why = "pings never count as activity when activity.ignored_paths names their paths";
            reading.ignore(leaf.line, &path, why);
        }
        // Properties that every node of a repository has.
        name if name.starts_with("jcr:") || name.starts_with(".meta:") || name == "-" => {}
        _ => reading.ignore(leaf.line, &path, "not about inactive sessions"),
    }
}

/// Returns the names on the path to a value, whether they were on one line or on several.
fn nodes(leaf: &Leaf) -> Vec<String> {
    let names = leaf.path.iter().flat_map(|name| name.split('/'));
    let mut nodes: Vec<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if let [.., property, "value"] = nodes.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && property == PROPERTY
    {
        // `{type: string, value: '30'}`
        nodes.pop();
    }
    nodes
}

fn interval(leaf: &Leaf, above: &[String], path: &str, reading: &mut ImportProgress) {
    let scope = match application(above) {
        Some(name) => format!("app:{name}")
            .parse::<Scope>()
            .map_err(|error| error.to_string()),
        None => Err(format!(
            "the path does not say which application: export from /hippo:configuration, or write \
             /hippo:configuration/hippo:frontend/cms/cms-static/root/{PROPERTY} = {}",
            leaf.text
        )),
    };
    match (scope, seconds(&leaf.text)) {
        (Err(message), _) | (Ok(_), Err(message)) => reading.fault(leaf.line, path, &leaf.text, &message),
        (Ok(scope), Ok(secs)) => {
            let begins = format!("applies to {} as soon as an application has that name", scope.label());
            reading.note(leaf.line, path, begins);
            reading.set(
                leaf.line,
                path,
                &scope,
                Key::AuthIdleSessionTimeout,
                Value::Number(secs),
            );
        }
    }
}

/// Returns the application above a root node: the name after `hippo:frontend`, otherwise the
/// outermost name.
fn application(above: &[String]) -> Option<&str> {
    let frontend = above.iter().position(|node| node == "hippo:frontend");
    let within = &above[frontend.map_or(0, |place| place + 1)..];
    let around = ["definitions", "config", "hippo:configuration"];
    let name = within.iter().find(|node| !around.contains(&node.as_str()))?;
    match name.as_str() {
        "root" => None,
        "cms-static" => Some("cms"),
        name => Some(name),
    }
}

/// Converts minutes to seconds. 0 (while a window is open) means the same in the policy.
fn seconds(minutes: &str) -> Result<i64, String> {
    const ACCEPTED: &str = "accepted: whole minutes, 0 (while a window is open) to 5256000 (10 years)";
    let minutes: i64 = minutes.parse().map_err(|_| format!("not a whole number; {ACCEPTED}"))?;
    let secs = minutes
        .checked_mul(60)
        .filter(|secs| (0..=crate::duration::MAX_SECS).contains(secs));
    secs.ok_or_else(|| format!("out of range; {ACCEPTED}"))
}
