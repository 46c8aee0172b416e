//! Policy documents as TOML: the complete document with all scopes; it round-trips exactly.
//! `[everyone]`, `[administrators]` and `[app.NAME]` contain keys by name:
//! `auth.idle_session_timeout = 900`.

use ::toml::de::{DeTable, DeValue};

use super::*;

/// Formats the document as TOML, with a comment on each setting.
pub fn export(document: &PolicyDocument) -> String {
    let mut text = String::from(
        "# Nightlatch policy. Durations are seconds, -1 = never. Settings that are missing have their \
            default.\n",
    );
    section(&mut text, "everyone", &document.everyone);
    section(&mut text, "administrators", &document.administrators);
    for (name, overrides) in &document.applications {
        section(&mut text, &format!("app.{}", key(name)), overrides);
    }
    text
}

fn section(text: &mut String, title: &str, overrides: &Overrides) {
    text.push_str(&format!("\n[{title}]\n"));
    for (key, value) in overrides {
        let setting = key.setting();
        text.push_str(&format!(
            "# {}: {}\n",
            setting.label,
            setting.display(value).escape_debug()
        ));
        text.push_str(&format!("{} = {}\n", setting.name, literal(value)));
    }
}

/// Formats a bare key if TOML allows one, otherwise a quoted one.
fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare {
        name.to_owned()
    } else {
        literal(&Value::Text(name.to_owned()))
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Flag(on) => ::toml::Value::from(*on),
        Value::Number(number) => ::toml::Value::from(*number),
        Value::Text(text) => ::toml::Value::from(text.as_str()),
        Value::List(items) => ::toml::Value::from(items.clone()),
    }
    .to_string()
}

/// Parses a document and reports all faults with their lines. Strings are read as people write
/// values (`"15m"`).
pub fn import(text: &str) -> Result<PolicyDocument, Vec<PolicyFault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = TomlReader {
        text,
        document: PolicyDocument::default(),
        faults: Vec::new(),
    };
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.fault(Scope::Everyone, "", String::new(), error.message(), at);
    }
    if reader.faults.is_empty() {
        reader.document(table.get_ref());
    }
    if reader.faults.is_empty() {
        Ok(reader.document)
    } else {
        Err(reader.faults)
    }
}

struct TomlReader<'t> {
    text: &'t str,
    document: PolicyDocument,
    faults: Vec<PolicyFault>,
}

impl TomlReader<'_> {
    fn document(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            let at = name.span().start;
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("everyone", DeValue::Table(table)) => self.keys(&Scope::Everyone, "", table),
                ("administrators", DeValue::Table(table)) => self.keys(&Scope::Administrators, "", table),
                ("app", DeValue::Table(applications)) => self.applications(applications),
                (name, _) => self.fault(
                    Scope::Everyone,
                    name,
                    String::new(),
                    "unknown section; accepted: [everyone], [administrators] or [app.NAME]",
                    at,
                ),
            }
        }
    }

    fn applications(&mut self, applications: &DeTable<'_>) {
        for (name, value) in applications {
            let at = name.span().start;
            match (format!("app:{}", name.get_ref()).parse(), value.get_ref()) {
                (Ok(scope), DeValue::Table(table)) => {
                    // An application without settings is still part of the export.
                    self.document
                        .applications
                        .entry(name.get_ref().to_string())
                        .or_default();
                    self.keys(&scope, "", table);
                }
                (Err(error), _) => self.fault(Scope::Everyone, "app", String::new(), &error.to_string(), at),
                (Ok(scope), _) => self.fault(scope, "", String::new(), "an application is a section: [app.NAME]", at),
            }
        }
    }

    /// Reads dotted keys, which are nested tables in TOML; they end where a name is a setting.
    fn keys(&mut self, scope: &Scope, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let at = name.span().start;
            match (Key::parse(&full), value.get_ref()) {
                (None, DeValue::Table(inner)) => self.keys(scope, &full, inner),
                (None, _) => self.fault(scope.clone(), &full, shown(value.get_ref()), &Key::unknown(&full), at),
                (Some(key), _) => match key.setting().read(&json(value.get_ref())) {
                    Ok(value) if key.setting().allowed_in(scope) => self.document.set(scope, key, value),
                    Ok(value) => {
                        self.fault(
                            scope.clone(),
                            &full,
                            value.to_string(),
                            &document::not_in_scope(key),
                            at,
                        );
                    }
                    Err(message) => self.fault(scope.clone(), &full, shown(value.get_ref()), &message, at),
                },
            }
        }
    }

    fn fault(&mut self, scope: Scope, key: &str, value: String, message: &str, at: usize) {
        let line = import_file::line_of(self.text, at);
        self.faults
            .push(import_file::fault_at(line, scope, key, &value, message));
    }
}

/// Converts to the JSON that [`catalogue::Setting::read`] accepts; null for values that no setting
/// accepts.
fn json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(on) => (*on).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => serde_json::Value::Null,
    }
}

/// Formats a value for the message of a fault.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Datetime(instant) => instant.to_string(),
        DeValue::Table(_) => "a table".to_owned(),
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(_) | DeValue::Array(_) => json(value).to_string(),
    }
}
