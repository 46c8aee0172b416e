//! A policy as the session part of a hue.ini: what is set for everyone, with the catalogue's words as comments.
//! Which key stands where is asked of `hue`; what a hue.ini cannot say is reported, never dropped.

use super::{
    super::{
        interchange::{Exported, Remark},
        *,
    },
    PASSWORD_POLICY, ini, place,
};

const HEAD: &str = "\
# Session settings, exported from a Nightlatch policy. Durations are seconds, -1 = never.
# What is commented out is not set and has the default that is shown.
";

/// The policy as a hue.ini or safety valve: what is set for everyone; what is not set stands there as a comment.
pub(in crate::domain::policy) fn export(document: &PolicyDocument) -> Exported {
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
            match line(document, *key) {
                Ok(line) => text.push_str(&line),
                Err(remark) => lossy.push(remark),
            }
        }
    }
    // Whoever only has the file must know, too.
    let mut head = String::from(HEAD);
    for remark in &lossy {
        head.push_str(&format!("# Not as in Nightlatch: {remark}\n"));
    }
    Exported {
        text: head + &text,
        lossy,
    }
}

/// The switch of the pattern, which is no setting of its own here.
fn enabled(document: &PolicyDocument) -> String {
    let comment = "\n    # Whether new passwords must match the pattern below.\n";
    match document.everyone.get(&Key::PasswordRegex) {
        // On without a pattern, Hue would ask for one of its own.
        Some(Value::Text(pattern)) if ini::quoted(pattern).is_some() => {
            format!("{comment}    is_enabled={}\n", !pattern.is_empty())
        }
        Some(_) | None => format!("{comment}    ## is_enabled=false\n"),
    }
}

/// One setting with its comment; or why it cannot be said.
fn line(document: &PolicyDocument, key: Key) -> Result<String, Remark> {
    let (setting, (_, name)) = (key.setting(), place(key).unwrap_or_default());
    let comment = format!("\n    # {}: {}\n", setting.label, setting.effect);
    let Some(value) = document.everyone.get(&key) else {
        let default = written(&key.default_value()).unwrap_or_default();
        return Ok(format!("{comment}    ## {name}={default}\n"));
    };
    let Some(written) = written(value) else {
        let why = "has quotes before a # or a reference like %(name)s, which a hue.ini cannot say: left out";
        return Err(Remark::on(setting.name, why));
    };
    // A switched-off pattern is said by `is_enabled`.
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

/// What Hue cannot do, or does otherwise with the same words.
fn left_out(document: &PolicyDocument) -> Vec<Remark> {
    let mut lossy = Vec::new();
    let everyone = |key: Key| document.everyone.get(&key);
    if everyone(Key::AuthIdleSessionTimeout) == Some(&Value::Number(0)) {
        let lost = "0 (while a window is open) does not exist in Hue: written as -1 (never)";
        lossy.push(Remark::on(Key::AuthIdleSessionTimeout.name(), lost));
    }
    match everyone(Key::AuthExpireSuperusers) {
        Some(Value::Number(0 | 1)) => lossy.push(Remark::on(
            Key::AuthExpireSuperusers.name(),
            "0 and 1 seconds would be read as no and yes: written as true",
        )),
        Some(Value::Number(_)) => lossy.push(Remark::on(
            Key::AuthExpireSuperusers.name(),
            "Hue's documentation reads a number as seconds, its code accepts yes and no only",
        )),
        Some(_) | None => {}
    }
    if everyone(Key::AuthLoginCooloffTime).is_none() {
        let other = "not set, so 900 seconds hold here; Hue without this key locks until somebody unlocks";
        lossy.push(Remark::on(Key::AuthLoginCooloffTime.name(), other));
    }
    for (scope, overrides) in document.scopes() {
        for key in overrides.keys() {
            if scope != Scope::Everyone {
                let why = format!("Hue has one policy for everyone: what is set for {scope} is left out");
                lossy.push(Remark::on(key.name(), why));
            } else if place(*key).is_none() {
                lossy.push(Remark::on(key.name(), "Hue has no such setting: left out"));
            }
        }
    }
    lossy
}
