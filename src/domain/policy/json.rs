//! Policy documents as JSON files: the form of [`PolicyDocument::to_json`], parsed so that faults
//! name their line. [`PolicyDocument::from_json`] parses values that are not files (the database,
//! the audit).

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    import_file::{fault_at, line_of},
    *,
};

/// Formats the document as indented JSON.
pub fn export(document: &PolicyDocument) -> String {
    format!("{:#}\n", document.to_json())
}

/// Parses a document and reports all faults. Unknown keys and scopes, and duplicate keys, are
/// faults.
pub fn import(text: &str) -> Result<PolicyDocument, Vec<PolicyFault>> {
    let scopes: JsonMembers<'_> = match serde_json::from_str(text) {
        Ok(scopes) => scopes,
        Err(error) => return Err(vec![unreadable(&error)]),
    };
    let mut reader = JsonReader {
        text,
        document: PolicyDocument::default(),
        faults: Vec::new(),
    };
    for (name, values) in &scopes.0 {
        reader.scope(name, values);
    }
    for (place, (name, values)) in scopes.0.iter().enumerate() {
        if scopes.0[..place].iter().any(|(earlier, _)| earlier == name) {
            reader.fault(Scope::Everyone, name, "", "this scope is given more than once", values);
        }
    }
    if reader.faults.is_empty() {
        Ok(reader.document)
    } else {
        Err(reader.faults)
    }
}

/// Creates the fault of a text that is not JSON or not an object of scopes.
fn unreadable(error: &serde_json::Error) -> PolicyFault {
    let what = if error.is_data() {
        "a policy is an object of scopes"
    } else {
        "not JSON"
    };
    // serde puts the line at the end of its message.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    fault_at(error.line(), Scope::Everyone, "", "", &format!("{what}: {message}"))
}

struct JsonReader<'t> {
    text: &'t str,
    document: PolicyDocument,
    faults: Vec<PolicyFault>,
}

impl JsonReader<'_> {
    fn scope(&mut self, name: &str, values: &RawValue) {
        let scope: Scope = match name.parse() {
            Ok(scope) => scope,
            Err(error) => {
                let error: ScopeError = error;
                return self.fault(Scope::Everyone, "", "", &error.to_string(), values);
            }
        };
        let Ok(values) = serde_json::from_str::<JsonMembers<'_>>(values.get()) else {
            return self.fault(scope, "", values.get(), "a scope is an object of settings", values);
        };
        if let Scope::Application(name) = &scope {
            // An application without settings is still part of the export.
            self.document.applications.entry(name.clone()).or_default();
        }
        for (name, value) in values.0 {
            self.setting(&scope, &name, value);
        }
    }

    fn setting(&mut self, scope: &Scope, name: &str, raw: &RawValue) {
        // A raw value is valid JSON; if it cannot be converted (a number beyond all bounds), it is
        // invalid for every setting.
        let value: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let shown = value.as_str().unwrap_or(raw.get());
        match document::read(scope, name, |setting| setting.read(&value)) {
            Ok((key, _)) if self.document.get(scope, key).is_some() => {
                self.fault(scope.clone(), name, shown, "given more than once", raw);
            }
            Ok((key, value)) => self.document.set(scope, key, value),
            Err(message) => self.fault(scope.clone(), name, shown, &message, raw),
        }
    }

    /// Adds a fault at a value, which borrows from the text.
    fn fault(&mut self, scope: Scope, key: &str, value: &str, message: &str, at: &RawValue) {
        let offset = (at.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = line_of(self.text, offset);
        self.faults.push(fault_at(line, scope, key, value, message));
    }
}

/// The members of an object in order, with duplicates; the values are not parsed yet.
struct JsonMembers<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for JsonMembers<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = JsonMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonMembers<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(JsonMembers(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
