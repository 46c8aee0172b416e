//! The health of the installation: one line for each thing it depends on, fine or with a warning.
use super::view::HealthLine;
use crate::{
    domain::{duration::humanize, forwarded::LastProxyRequest, skew, time::Span},
    flows::{audit::shipping::TargetReport, overview::Health},
    http::{filters::format_count, paths},
};

/// Returns a line for each part of the infrastructure.
pub fn lines(health: &Health) -> Vec<HealthLine> {
    let mut lines = vec![database(health), clock(health), changes(health)];
    match health.proxies.as_slice() {
        [] if health.applications == 0 => lines.push(health_line(true, "No applications yet", "")),
        [] => lines.push(health_line(
            false,
            "No proxy has sent a request yet",
            "Setup lists the applications that are waiting.",
        )),
        proxies => lines.extend(proxies.iter().map(|(application, asked)| proxy(application, asked))),
    }
    if health.strangers > 0 {
        let refused = format_count(i64::try_from(health.strangers).unwrap_or(i64::MAX), "request");
        let were = if health.strangers == 1 { "was" } else { "were" };
        lines.push(HealthLine {
            link: Some((paths::ADMIN_APPLICATIONS, "See Applications")),
            ..health_line(
                false,
                "Requests that matched no application",
                format!("{refused} {were} refused."),
            )
        });
    }
    lines
}

fn health_line(ok: bool, title: impl Into<String>, note: impl Into<String>) -> HealthLine {
    HealthLine {
        ok,
        title: title.into(),
        note: note.into(),
        at: None,
        link: None,
    }
}

/// Returns a warning if the mail server refuses emails, or if emails have failed for good.
pub fn mail(failed: i64, fault: Option<&str>) -> Option<HealthLine> {
    let link = Some((paths::ADMIN_MAIL, "See Mail"));
    let line = match (fault, failed) {
        (Some(fault), _) => health_line(false, "Emails wait for the mail server", fault),
        (None, 0) => return None,
        (None, _) => health_line(
            false,
            "Emails could not be sent",
            format!("{} failed.", format_count(failed, "email")),
        ),
    };
    Some(HealthLine { link, ..line })
}

/// Returns a line for the shipping of the audit, if it has targets.
pub fn audit_targets(reports: &[TargetReport]) -> Option<HealthLine> {
    let link = Some((paths::ADMIN_AUDIT_TARGETS, "See Audit targets"));
    let late: Vec<&str> = reports
        .iter()
        .filter(|report| report.needs_attention())
        .map(|report| report.target.name.as_str())
        .collect();
    let line = match (reports, late.as_slice()) {
        ([], _) => return None,
        (_, []) => health_line(true, "The audit is shipped", ""),
        (_, late) => health_line(
            false,
            "The audit is not shipped completely",
            format!("{}.", late.join(", ")),
        ),
    };
    Some(HealthLine { link, ..line })
}

fn database(health: &Health) -> HealthLine {
    health_line(
        true,
        format!("{} responds", health.database),
        format!("Responds in {}.", millis(health.answered_in)),
    )
}

/// Formats a duration in whole milliseconds, `< 1 ms` if it is shorter.
fn millis(span: Span) -> String {
    match span.as_micros() / 1000 {
        0 => "< 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    }
}

fn clock(health: &Health) -> HealthLine {
    let Some(ahead) = health.clock_ahead else {
        return health_line(true, "Clock in sync (local database)", "");
    };
    let apart = Span::from_micros(ahead.as_micros().saturating_abs());
    if !health.clock_is_off() {
        return health_line(
            true,
            "Clock in sync",
            format!("This server and the database differ by {}.", millis(apart)),
        );
    }
    let tenths = apart.as_micros() / 100_000;
    let way = if ahead > Span::ZERO { "behind" } else { "ahead of" };
    health_line(
        false,
        format!(
            "This server’s clock is {}.{} s {way} the database’s",
            tenths / 10,
            tenths % 10
        ),
        format!(
            "Sessions end by the database’s clock. Beyond {} of difference this server reports that it is not ready. \
                 Synchronize both from one time source.",
            humanize(skew::MAX_SKEW.as_secs())
        ),
    )
}

fn changes(health: &Health) -> HealthLine {
    let others = match i64::try_from(health.other_servers).unwrap_or(i64::MAX) {
        0 => "This is the only server.".to_owned(),
        others => format!("{} on this database.", format_count(others, "other server")),
    };
    if health.hears {
        health_line(true, "Change notifications working", others)
    } else {
        let why = "Until they work again, every decision queries the database.";
        health_line(false, "Change notifications not working", format!("{why} {others}"))
    }
}

fn proxy(application: &str, asked: &LastProxyRequest) -> HealthLine {
    let about = format!("for {application}.");
    let note = std::iter::once(about).chain(asked.lacks.iter().map(|lack| format!("{lack}.")));
    HealthLine {
        at: Some(asked.at),
        ..health_line(
            asked.lacks.is_empty(),
            format!("Proxy {} ({})", asked.peer, asked.dialect.proxies()),
            note.collect::<Vec<_>>().join(" "),
        )
    }
}

#[cfg(test)]
mod tests;
