//! A session on the command line: its id as an argument, its JSON and its row.

use crate::{
    cli::output::{format_time, text_or_dash, time_to_json},
    domain::session::DeviceKey,
    flows::sessions::SessionView,
};
use clap::builder::{StringValueParser, TypedValueParser};
use serde_json::{Value, json};
use uuid::Uuid;

/// Returns the parser of an argument that is the id of a session.
pub(super) fn id_parser() -> impl TypedValueParser<Value = Uuid> {
    StringValueParser::new()
        .try_map(|text| Uuid::parse_str(&text).map_err(|_| "not a session id: `nightlatch session list` shows them"))
}

/// Returns the JSON of a session, with the end that its rules foresee while it is live.
pub(super) fn session_to_json(view: &SessionView) -> Value {
    let session = &view.row.session;
    json!({
        "id": session.id.0,
        "account": view.row.account_name,
        "ip": session.ip,
        "user_agent": session.binding.user_agent,
        "application": format_applications(view),
        "signed_in_at": session.signed_in_at.to_rfc3339(),
        "last_active_at": view.last_active_at.to_rfc3339(),
        "ends_at": time_to_json(view.ends.filter(|_| view.live).map(|end| end.at)),
        "ends_by": view.ends.filter(|_| view.live).map(|end| end.reason.as_str()),
        "factors": session.proofs.to_json(),
        "devices": session.devices.iter().map(device_to_json).collect::<Vec<_>>(),
        "source": view.source,
    })
}

/// Returns the JSON of a key to which the session is bound.
fn device_to_json(key: &DeviceKey) -> Value {
    json!({
        "host": key.host,
        "key": key.thumbprint,
        "registered_at": key.registered_at.to_rfc3339(),
        "proved_at": key.proved_at.to_rfc3339(),
    })
}

/// Returns the row for a table of live sessions.
pub(super) fn session_to_row(view: &SessionView) -> [String; 9] {
    let session = &view.row.session;
    let (ends, rule) = match &view.ends {
        Some(end) => {
            let scope = view.ends_scope.as_ref();
            let scope = scope.map(|scope| format!(" ({scope})")).unwrap_or_default();
            (format_time(end.at), format!("{}{scope}", end.reason))
        }
        None => ("never".to_owned(), "-".to_owned()),
    };
    [
        session.id.0.to_string(),
        view.row.account_name.clone(),
        view.source.clone(),
        session.ip.to_string(),
        format_time(session.signed_in_at),
        format_time(view.last_active_at),
        ends,
        rule,
        text_or_dash(format_applications(view).as_deref()),
    ]
}

/// Lists the applications that the session entered.
pub(super) fn format_applications(view: &SessionView) -> Option<String> {
    let names = &view.row.session.applications;
    (!names.is_empty()).then(|| names.join(", "))
}
