//! `nightlatch audit verify --file`: checks entries that were shipped, where they arrived. It needs
//! neither the configuration nor the database.

use crate::{
    cli::{
        error::{CliError, CommandResult},
        output::{self, format_count},
    },
    domain::audit::shipping::received::{ReceivedLog, ReceivedReport},
};
use serde_json::json;
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    process::ExitCode,
};

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// Checks a file, or standard input for `-`.
pub fn verify_file(path: &Path, noted: Option<&str>, json: bool) -> CommandResult {
    let read = match path.to_str() {
        Some("-") => read_lines(io::stdin().lock()),
        _ => File::open(path).and_then(|file| read_lines(BufReader::new(file))),
    };
    let log = read.map_err(|error| CliError::refused(format!("{}: {error}", path.display())))?;
    let report = log.finish(noted);
    if json {
        output::print_json(&report_to_json(&report))?;
        return Ok(ExitCode::from(u8::from(!report.faults.is_empty())));
    }
    if !report.faults.is_empty() {
        return Err(CliError::Faults(report.faults));
    }
    output::print_line(&describe(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn read_lines(mut input: impl BufRead) -> io::Result<ReceivedLog> {
    let (mut log, mut line) = (ReceivedLog::default(), Vec::new());
    for number in 1.. {
        line.clear();
        // One that is longer is cut, and then has no record.
        if io::Read::take(&mut input, MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        log.read_line(number, &String::from_utf8_lossy(&line));
    }
    Ok(log)
}

fn report_to_json(report: &ReceivedReport) -> serde_json::Value {
    let (first, last) = report.range.unzip();
    json!({
        "seals": report.seals,
        "entries": report.entries,
        "repeated": report.repeated,
        "unfinished": report.unfinished,
        "first_seal": first,
        "last_seal": last,
        "digest": report.digest,
        "faults": report.faults,
    })
}

fn describe(report: &ReceivedReport) -> String {
    let (Some((first, last)), Some(digest)) = (report.range, &report.digest) else {
        return "No seal is complete yet.".to_owned();
    };
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let entries = format_count(count(report.entries), "entry", "entries");
    let mut text = format!("{entries} under the seals {first} to {last}, complete and unchanged.");
    if report.repeated > 0 {
        let records = format_count(count(report.repeated), "record", "records");
        text.push_str(&format!(" {records} arrived again."));
    }
    if report.unfinished.is_some() {
        text.push_str(&format!(" Seal {last} is still arriving."));
    }
    format!("{text}\nNewest digest: {digest}")
}
