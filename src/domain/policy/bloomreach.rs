//! Bloomreach's active logout as a policy: `…/root/max.inactive.interval.minutes` of an application → its idle timeout.
//! Accepted as the Console and the repository write it (nested YAML, from whatever node) and as `path = value` lines.

use super::{
    interchange::{Imported, Reading, Remark},
    leaves::{self, Leaf},
    *,
};

const PROPERTY: &str = "max.inactive.interval.minutes";

/// What Bloomreach has; others may be added there.
const APPLICATIONS: [&str; 2] = ["cms", "console"];

/// Reads a configuration onto `base`, as overrides of its applications.
pub(super) fn import(text: &str, base: &PolicyDocument) -> Result<Imported, Vec<Fault>> {
    let mut reading = Reading::onto(base);
    for leaf in leaves::read(text)? {
        property(&leaf, &mut reading);
    }
    for name in APPLICATIONS {
        if !reading.has(&Scope::Application(name.to_owned()), Key::AuthIdleSessionTimeout) {
            let untouched =
                format!("{PROPERTY} is not in the file: what is set here stays; Bloomreach's default is 30");
            reading.imported.notes.push(Remark::on(name, untouched));
        }
    }
    reading.finish()
}

fn property(leaf: &Leaf, reading: &mut Reading) {
    let nodes = nodes(leaf);
    let path = format!("/{}", nodes.join("/"));
    let Some((name, above)) = nodes.split_last() else {
        return;
    };
    match name.as_str() {
        PROPERTY if leaf.text.is_empty() => {}
        PROPERTY if above.last().is_some_and(|node| node == "root") => interval(leaf, above, &path, reading),
        PROPERTY => reading.ignore(
            leaf.line,
            &path,
            "counts only at a node named root: Bloomreach does not read it",
        ),
        "pinger.interval" => {
            let why = "pings never count as activity when activity.ignored_paths names their paths";
            reading.ignore(leaf.line, &path, why);
        }
        // What every node of a repository has.
        name if name.starts_with("jcr:") || name.starts_with(".meta:") || name == "-" => {}
        _ => reading.ignore(leaf.line, &path, "not about inactive sessions"),
    }
}

/// The names on the way to a value, whether they stood on one line or on several.
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

fn interval(leaf: &Leaf, above: &[String], path: &str, reading: &mut Reading) {
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
            let begins = format!("holds for {}, as soon as an application has that name", scope.label());
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

/// The application above a root node: what follows `hippo:frontend`, or else the outermost name that stands there.
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

/// 0, while a window is open, means the same in the policy.
fn seconds(minutes: &str) -> Result<i64, String> {
    const ACCEPTED: &str = "accepted: whole minutes, 0 (while a window is open) to 5256000 (10 years)";
    let minutes: i64 = minutes.parse().map_err(|_| format!("not a whole number; {ACCEPTED}"))?;
    let secs = minutes
        .checked_mul(60)
        .filter(|secs| (0..=crate::domain::duration::MAX_SECS).contains(secs));
    secs.ok_or_else(|| format!("out of range; {ACCEPTED}"))
}
