//! A policy as the session part of a hue.ini: the values that are set for everyone, with the
//! catalogue's descriptions as comments. `hue/keys` knows the places of keys. What a hue.ini cannot
//! express is reported, never dropped silently.

use super::{
    super::{
        import_file::{ExportedDocument, FileComment},
        *,
    },
    ini,
    keys::{PASSWORD_POLICY, place},
};

const HEAD: &str = "\
# Session settings, exported from a Nightlatch policy. Durations are seconds, -1 = never.
# Commented-out keys are not set and have the default shown.
";

/// Formats the policy as a hue.ini or safety valve: values that are set for everyone; settings
/// without a value become comments.
pub(in crate::policy) fn export(document: &PolicyDocument) -> ExportedDocument {
    let (mut text, mut lossy) = (String::new(), left_out(document));
    for (title, section) in [
        ("desktop", "auth"),
        ("desktop", "session"),
        ("useradmin", "password_policy"),
    ] {
        let home = format!("{title}.{section}");
        if !text.contains(&format!("\n[{title}]\n")) {
            text.push_str(&format!("\n[{title}]\n"));
        }
        text.push_str(&format!("\n  [[{section}]]\n"));
        if home == PASSWORD_POLICY {
            text.push_str(&enabled(document));
        }
        for key in Key::ALL
            .iter()
            .filter(|key| place(**key).is_some_and(|(its, _)| its == home))
        {
            match format_line(document, *key) {
                Ok(line) => text.push_str(&line),
                Err(remark) => lossy.push(remark),
            }
        }
    }
    // Readers who only have the file must know too.
    let mut head = String::from(HEAD);
    for remark in &lossy {
        head.push_str(&format!("# Different in Nightlatch: {remark}\n"));
    }
    ExportedDocument {
        text: head + &text,
        lossy,
    }
}

/// Formats the switch of the pattern, which is not a separate setting here.
fn enabled(document: &PolicyDocument) -> String {
    let comment = "\n    # Whether new passwords must match the pattern below.\n";
    match document.everyone.get(&Key::PasswordRegex) {
        // If it were on without a pattern, Hue would apply a pattern of its own.
        Some(Value::Text(pattern)) if ini::quoted(pattern).is_some() => {
            format!("{comment}    is_enabled={}\n", !pattern.is_empty())
        }
        Some(_) | None => format!("{comment}    ## is_enabled=false\n"),
    }
}

/// Formats one setting with its comment, or returns why it cannot be expressed.
fn format_line(document: &PolicyDocument, key: Key) -> Result<String, FileComment> {
    let (setting, (_, name)) = (key.setting(), place(key).unwrap_or_default());
    let comment = format!("\n    # {}: {}\n", setting.label, setting.effect);
    let Some(value) = document.everyone.get(&key) else {
        let default = written(&key.default_value()).unwrap_or_default();
        return Ok(format!("{comment}    ## {name}={default}\n"));
    };
    let Some(written) = written(value) else {
        let why = "has quotes before a # or a reference like %(name)s, which a hue.ini cannot express: left out";
        return Err(FileComment::new(setting.name, why));
    };
    // `is_enabled` expresses a switched-off pattern.
    if key == Key::PasswordRegex && written == "\"\"" {
        return Ok(format!("{comment}    ## {name}=\n"));
    }
    let written = match (key, value) {
        (Key::AuthIdleSessionTimeout, Value::Number(0)) => "-1",
        (Key::AuthExpireSuperusers, Value::Number(0 | 1)) => "true",
        (_, _) => &written,
    };
    Ok(format!("{comment}    {name}={written}\n"))
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::Flag(on) => Some(on.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => ini::quoted(text),
        Value::List(items) => ini::quoted(&items.join(",")),
    }
}

/// Returns comments on what Hue cannot do, or does differently with the same values.
fn left_out(document: &PolicyDocument) -> Vec<FileComment> {
    let mut lossy = Vec::new();
    let everyone = |key: Key| document.everyone.get(&key);
    if everyone(Key::AuthIdleSessionTimeout) == Some(&Value::Number(0)) {
        let lost = "0 (while a window is open) does not exist in Hue: exported as -1 (never)";
        lossy.push(FileComment::new(Key::AuthIdleSessionTimeout.name(), lost));
    }
    match everyone(Key::AuthExpireSuperusers) {
        Some(Value::Number(0 | 1)) => lossy.push(FileComment::new(
            Key::AuthExpireSuperusers.name(),
            "0 and 1 seconds would be read as no and yes: exported as true",
        )),
        Some(Value::Number(_)) => lossy.push(FileComment::new(
            Key::AuthExpireSuperusers.name(),
            "Hue's documentation reads a number as seconds, its code accepts yes and no only",
        )),
        Some(_) | None => {}
    }
    if everyone(Key::AuthLoginCooloffTime).is_none() {
        let other = "not set, so 900 seconds apply here; without this key Hue locks until an administrator unlocks";
        lossy.push(FileComment::new(Key::AuthLoginCooloffTime.name(), other));
    }
    for (scope, overrides) in document.scopes() {
        for key in overrides.keys() {
            if scope != Scope::Everyone {
                let why = format!("Hue has one policy for everyone: settings for {scope} are left out");
                lossy.push(FileComment::new(key.name(), why));
            } else if place(*key).is_none() {
                lossy.push(FileComment::new(key.name(), "Hue has no such setting: left out"));
            }
        }
    }
    lossy
}
