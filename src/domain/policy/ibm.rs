//! IBM's `product-configmap` as a policy: hours become the idle timeout and the renewal period, and
//! the ADMIN_ pair applies to administrators. Accepts the Kubernetes forms (YAML or JSON, single,
//! in a list, as a patch) and lines of `KEY: "value"`.

use super::{
    import_file::{FileComment, ImportProgress, ImportedDocument},
    leaves::{self, Leaf},
    *,
};

struct Parameter {
    name: &'static str,
    scope: Scope,
    key: Key,
    /// The range of hours that IBM recommends.
    recommended: (f64, f64),
    /// The meaning of a missing key to IBM.
    absent: &'static str,
}

const TWELVE: &str = "IBM's default is 12 hours";
const AS_EVERYONE: &str = "in IBM administrators then follow everyone's value";

static PARAMETERS: [Parameter; 4] = [
    Parameter {
        name: "TOKEN_EXPIRY_TIME",
        scope: Scope::Everyone,
        key: Key::AuthIdleSessionTimeout,
        recommended: (0.1, 1.0),
        absent: TWELVE,
    },
    Parameter {
        name: "ADMIN_TOKEN_EXPIRY_TIME",
        scope: Scope::Administrators,
        key: Key::AuthIdleSessionTimeout,
        recommended: (0.1, 1.0),
        absent: AS_EVERYONE,
    },
    Parameter {
        name: "TOKEN_REFRESH_PERIOD",
        scope: Scope::Everyone,
        key: Key::SessionRenewalPeriod,
        recommended: (1.0, 24.0),
        absent: TWELVE,
    },
    Parameter {
        name: "ADMIN_TOKEN_REFRESH_PERIOD",
        scope: Scope::Administrators,
        key: Key::SessionRenewalPeriod,
        recommended: (1.0, 24.0),
        absent: AS_EVERYONE,
    },
];

/// Imports a config map onto `base`.
pub(super) fn import(text: &str, base: &PolicyDocument) -> Result<ImportedDocument, Vec<PolicyFault>> {
    let mut reading = ImportProgress::based_on(base);
    for leaf in leaves::read(text)? {
        let Some(name) = data(&leaf) else { continue };
        match PARAMETERS.iter().find(|parameter| parameter.name == name) {
            Some(parameter) if !leaf.text.is_empty() => parameter.read(&leaf, &mut reading),
            Some(_) => {}
            None => reading.ignore(leaf.line, name, "not a setting of the session policy"),
        }
    }
    for parameter in &PARAMETERS {
        if !reading.has(&parameter.scope, parameter.key) {
            let untouched = format!("not in the file: the current value stays; {}", parameter.absent);
            reading.imported.notes.push(FileComment::new(parameter.name, untouched));
        }
    }
    reading.finish()
}

/// Returns the name of an entry of the map; `None` for the Kubernetes fields around it.
fn data(leaf: &Leaf) -> Option<&str> {
    match leaf.path.as_slice() {
        [name] if !matches!(name.as_str(), "apiVersion" | "kind" | "immutable") => Some(name),
        [.., parent, name] if parent == "data" => Some(name),
        _ => None,
    }
}

impl Parameter {
    fn read(&self, leaf: &Leaf, reading: &mut ImportProgress) {
        let secs = match seconds(&leaf.text) {
            // In the policy an idle timeout of 0 has another meaning: while a window is open.
            Ok(0) if self.key == Key::AuthIdleSessionTimeout => Err("must be more than 0"),
            secs => secs,
        };
        let secs = match secs {
            Ok(secs) => secs,
            Err(why) => {
                let accepted = format!("{why}; accepted: hours like 12, 1 or 0.5, up to 10 years");
                return reading.fault(leaf.line, self.name, &leaf.text, &accepted);
            }
        };
        let value = Value::Number(secs);
        if let Err(message) = self.key.setting().check(&value) {
            return reading.fault(leaf.line, self.name, &leaf.text, &message);
        }
        let (least, most) = self.recommended;
        let hours = secs as f64 / 3600.0;
        if !(least..=most).contains(&hours) {
            let advice = format!("{} hours: IBM recommends {least} to {most}", leaf.text);
            reading.note(leaf.line, self.name, advice);
        }
        reading.set(leaf.line, self.name, &self.scope, self.key, value);
    }
}

/// Converts hours to the nearest second.
fn seconds(hours: &str) -> Result<i64, &'static str> {
    let decimal = hours.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let hours: f64 = hours.parse().ok().filter(|_| decimal).ok_or("not a number of hours")?;
    let secs = (hours * 3600.0).round();
    // Beyond the bounds of any duration, which are checked next, in whole numbers.
    if secs > 1e15 {
        return Err("out of range");
    }
    Ok(secs as i64)
}
