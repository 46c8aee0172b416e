//! The metrics: names and help, and the series that exist from the start, so that a graph begins at
//! 0 and not at the first event. `docs/operating.md` explains them, and a test compares the two.

use crate::domain::{audit::Event, session::EndReason};

/// Bounds of the buckets of every histogram of times, in seconds.
pub const TIME_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const COUNTERS: [(&str, &str); 10] = [
    ("nightlatch_events_total", "Audit events, by code and reason."),
    (
        "nightlatch_session_lookups_total",
        "Sessions looked up, by what answered: memory or database.",
    ),
    (
        "nightlatch_passwords_checked_total",
        "Passwords checked against a hash.",
    ),
    (
        "nightlatch_hashing_refused_total",
        "Passwords that were not checked because the queue was full.",
    ),
    ("nightlatch_database_calls_total", "Reads and writes."),
    (
        "nightlatch_email_attempts_total",
        "Attempts to send an email, by outcome.",
    ),
    ("nightlatch_audit_shipped_total", "Audit entries shipped, by target."),
    (
        "nightlatch_audit_shipping_faults_total",
        "Attempts to ship the audit that failed, by target.",
    ),
    ("nightlatch_removed_rows_total", "Old rows removed, by kind."),
    (
        "nightlatch_malformed_requests_total",
        "Requests that are no HTTP, and were refused.",
    ),
];

const GAUGES: [(&str, &str); 11] = [
    ("nightlatch_sessions_live", "Sessions that have not ended."),
    ("nightlatch_sessions_remembered", "Sessions in this instance's memory."),
    ("nightlatch_event_streams", "Open event streams of pages."),
    ("nightlatch_emails", "Emails in the outbox, by state."),
    (
        "nightlatch_audit_shipping_lag_entries",
        "Sealed audit entries that wait for a target.",
    ),
    (
        "nightlatch_audit_shipping_lag_seconds",
        "Age of the oldest of them; 0 if none waits.",
    ),
    ("nightlatch_hashing_queue", "Passwords that wait or are being hashed."),
    (
        "nightlatch_hashing_queue_limit",
        "Passwords that may wait or be hashed at once.",
    ),
    (
        "nightlatch_database_up",
        "1: the database answered this scrape within 2 seconds.",
    ),
    (
        "nightlatch_listener_silence_seconds",
        "Time since the connection that announces changes last answered.",
    ),
    (
        "nightlatch_line_fresh",
        "1: what this instance remembers may be believed.",
    ),
];

const HISTOGRAMS: [(&str, &str); 5] = [
    (
        "nightlatch_verify_seconds",
        "Time from an auth request of a proxy to the answer, by status.",
    ),
    (
        "nightlatch_sign_in_seconds",
        "Time of an attempt to sign in, by outcome.",
    ),
    ("nightlatch_password_wait_seconds", "Wait of a password for a thread."),
    (
        "nightlatch_password_hash_seconds",
        "Time of a password hash on its thread.",
    ),
    (
        "nightlatch_database_seconds",
        "Time of a database call, with the wait for a connection, by kind.",
    ),
];

/// Describes every metric and creates its series.
pub fn register() {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(name, help);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(name, metrics::Unit::Seconds, help);
    }
    for event in Event::ALL {
        metrics::counter!("nightlatch_events_total", "event" => event.as_str(), "reason" => "").increment(0);
    }
    let ended = Event::SessionEnded.as_str();
    for reason in EndReason::ALL {
        metrics::counter!("nightlatch_events_total", "event" => ended, "reason" => reason.as_str()).increment(0);
    }
    let reused = (Event::SessionRotatedIdReused.as_str(), EndReason::RotatedReuse.as_str());
    metrics::counter!("nightlatch_events_total", "event" => reused.0, "reason" => reused.1).increment(0);
    for source in ["memory", "database"] {
        metrics::counter!("nightlatch_session_lookups_total", "answered_by" => source).increment(0);
    }
    for outcome in ["sent", "postponed", "given_up"] {
        metrics::counter!("nightlatch_email_attempts_total", "outcome" => outcome).increment(0);
    }
    metrics::counter!("nightlatch_hashing_refused_total").increment(0);
    metrics::counter!("nightlatch_malformed_requests_total").increment(0);
    metrics::counter!("nightlatch_removed_rows_total", "kind" => "audit").increment(0);
}
