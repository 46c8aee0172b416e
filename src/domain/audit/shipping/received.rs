//! The check of entries that arrived somewhere: whether they are complete and unchanged, by their
//! seals. Lines may be JSON records, syslog messages with one, or CloudEvents; repeated ones are
//! compared and counted once.

use crate::{
    audit::{AuditRecord, seal},
    time::Timestamp,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most faults that are kept with their words; further ones are counted.
const MAX_FAULTS: usize = 100;

/// A record that arrived, as far as the check needs it.
struct ReceivedRecord {
    number: i64,
    position: usize,
    entries: usize,
    previous: String,
    digest: String,
    sealed: String,
}

/// A seal while its entries are collected.
struct ReceivedSeal {
    previous: String,
    digest: String,
    /// The text of each entry by its place; empty once all were compared with the seal.
    texts: BTreeMap<usize, String>,
    /// The beginning of the digest of each entry's text, for comparisons with repeated records.
    prints: Vec<Option<[u8; 16]>>,
    complete: bool,
}

/// The records that were read so far.
#[derive(Default)]
pub struct ReceivedLog {
    seals: BTreeMap<i64, ReceivedSeal>,
    entries: u64,
    repeated: u64,
    faults: Vec<String>,
    more_faults: u64,
}

/// The result of the check.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReceivedReport {
    /// The number of complete seals.
    pub seals: u64,
    /// The number of different entries.
    pub entries: u64,
    /// The number of records that arrived more than once.
    pub repeated: u64,
    /// The number of entries under the newest seal, if later ones of it have not arrived yet.
    pub unfinished: Option<usize>,
    /// The numbers of the first and the last seal.
    pub range: Option<(i64, i64)>,
    /// The digest of the newest complete seal.
    pub digest: Option<String>,
    /// The faults, those of lines first.
    pub faults: Vec<String>,
}

impl ReceivedLog {
    /// Reads a line; `number` names it in faults. Empty lines are ignored.
    pub fn read_line(&mut self, number: usize, line: &str) {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() {
            return;
        }
        let Some(value) = find_json(line) else {
            return self.add_fault(format!("line {number} has no record"));
        };
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in &values {
            match ReceivedRecord::read(value) {
                Ok(record) => self.add(number, record),
                Err(fault) => self.add_fault(format!("line {number} {fault}")),
            }
        }
    }

    fn add(&mut self, line: usize, record: ReceivedRecord) {
        let seal = self.seals.entry(record.number).or_insert_with(|| ReceivedSeal {
            previous: record.previous.clone(),
            digest: record.digest.clone(),
            texts: BTreeMap::new(),
            prints: vec![None; record.entries],
            complete: false,
        });
        let is_same_seal = seal.previous == record.previous && seal.digest == record.digest;
        if !is_same_seal || seal.prints.len() != record.entries {
            return self.add_fault(format!("line {line} names another seal {}", record.number));
        }
        let print = fingerprint(&record.sealed);
        match seal.prints.get_mut(record.position - 1) {
            Some(Some(before)) if *before == print => self.repeated += 1,
            Some(Some(_)) => {
                let (place, seal) = (record.position, record.number);
                self.add_fault(format!(
                    "line {line} contradicts an earlier record: entry {place} of seal {seal}"
                ));
            }
            Some(free) => {
                *free = Some(print);
                seal.texts.insert(record.position, record.sealed);
                self.entries += 1;
                if seal.texts.len() == seal.prints.len() {
                    let intact = seal.compare();
                    self.add_faults((!intact).then(|| format!("seal {}: entries were changed", record.number)));
                }
            }
            None => self.add_fault(format!("line {line}: its place under the seal does not exist")),
        }
    }

    fn add_faults(&mut self, faults: impl IntoIterator<Item = String>) {
        faults.into_iter().for_each(|fault| self.add_fault(fault));
    }

    fn add_fault(&mut self, fault: String) {
        match self.faults.len() < MAX_FAULTS {
            true => self.faults.push(fault),
            false => self.more_faults += 1,
        }
    }

    /// Compares the seals with each other after the last line. `noted`: a digest that must be among
    /// them.
    pub fn finish(mut self, noted: Option<&str>) -> ReceivedReport {
        let seals = std::mem::take(&mut self.seals);
        let mut before: Option<(i64, &ReceivedSeal)> = None;
        let mut report = ReceivedReport::default();
        let newest = seals.keys().next_back().copied();
        for (number, seal) in &seals {
            match before {
                Some((last, _)) if last + 1 < *number => {
                    self.add_fault(format!("seals {} to {} are missing", last + 1, number - 1));
                }
                Some((_, last)) if last.digest != seal.previous => {
                    self.add_fault(format!("seal {number} does not follow the one before it"));
                }
                Some(_) | None => {}
            }
            let (there, all) = (seal.prints.iter().flatten().count(), seal.prints.len());
            let is_prefix = seal.prints.iter().take(there).all(Option::is_some);
            if seal.complete {
                report.seals += 1;
                report.digest = Some(seal.digest.clone());
            } else if there < all && Some(*number) == newest && is_prefix {
                report.unfinished = Some(there);
            } else if there < all {
                self.add_fault(format!("seal {number}: {} of {all} entries are missing", all - there));
            }
            before = Some((*number, seal));
        }
        let is_known = |noted: &str| seals.values().any(|seal| seal.digest.eq_ignore_ascii_case(noted));
        if noted.is_some_and(|noted| !is_known(noted)) {
            self.add_fault("the noted digest is not among the seals".to_owned());
        }
        if self.more_faults > 0 {
            self.faults.push(format!("and {} more", self.more_faults));
        }
        report.range = seals.keys().next().copied().zip(newest);
        ReceivedReport {
            entries: self.entries,
            repeated: self.repeated,
            faults: self.faults,
            ..report
        }
    }
}

impl ReceivedSeal {
    /// Compares all entries with the digest, and forgets their texts.
    fn compare(&mut self) -> bool {
        let texts = std::mem::take(&mut self.texts);
        self.complete = seal::digest(&self.previous, texts.values().map(String::as_str)) == self.digest;
        self.complete
    }
}

impl ReceivedRecord {
    /// Reads a record in any of the formats, or says what is wrong with it.
    fn read(value: &Value) -> Result<Self, &'static str> {
        let record = match value.get("specversion") {
            Some(_) => &value["data"],
            None => value,
        };
        let is_ocsf = record.get("class_uid").is_some();
        let (seal, sealed) = match is_ocsf {
            true => (&record["unmapped"]["seal"], &record["raw_data"]),
            false => (&record["seal"], &record["sealed"]),
        };
        let sealed = sealed.as_str().ok_or("has no sealed text")?;
        let size = |field: &Value| field.as_u64().and_then(|size| usize::try_from(size).ok());
        let text = |field: &Value| field.as_str().map(str::to_owned);
        let read = || {
            Some(Self {
                number: seal["number"].as_i64()?,
                position: size(&seal["position"]).filter(|position| *position > 0)?,
                entries: size(&seal["entries"]).filter(|entries| *entries <= MAX_ENTRIES)?,
                previous: text(&seal["previous"])?,
                digest: text(&seal["digest"])?,
                sealed: sealed.to_owned(),
            })
        };
        let columns: Vec<Value> = serde_json::from_str(sealed).map_err(|_| "has an unreadable sealed text")?;
        let agrees = match is_ocsf {
            true => ocsf_agrees(record, &columns),
            false => json_agrees(record, &columns),
        };
        match agrees {
            true => read().ok_or("has an unreadable seal"),
            false => Err("says something else than its sealed text"),
        }
    }
}

/// More entries than any seal has.
const MAX_ENTRIES: usize = 100_000;

/// Finds the JSON in a line: all of it, or what follows the header of a syslog message.
fn find_json(line: &str) -> Option<Value> {
    if line.starts_with('[') {
        return serde_json::from_str(line).ok();
    }
    let mut starts = line.match_indices('{').map(|(start, _)| start);
    starts.find_map(|start| serde_json::from_str(&line[start..]).ok())
}

fn fingerprint(text: &str) -> [u8; 16] {
    let mut print = [0; 16];
    print.copy_from_slice(&Sha256::digest(text)[..16]);
    print
}

/// The columns of a sealed text: `store::audit::seals` writes them.
const COLUMNS: [&str; 15] = [
    "id",
    "at",
    "event",
    "actor",
    "",
    "account",
    "",
    "session_id",
    "ip",
    "user_agent",
    "application",
    "outcome",
    "reason",
    "detail",
    "request_id",
];

/// Returns whether the fields of a JSON record are those of the sealed text.
fn json_agrees(record: &Value, columns: &[Value]) -> bool {
    columns.len() == COLUMNS.len()
        && COLUMNS.iter().zip(columns).all(|(name, column)| match *name {
            "" => true,
            "at" => column.as_i64().map(Timestamp::from_micros) == instant(&record["at"]),
            "detail" => {
                let detail = column.as_str().and_then(|text| serde_json::from_str(text).ok());
                detail.as_ref() == Some(&record["detail"])
            }
            name => &record[name] == column,
        })
        && AuditRecord::FIELDS.iter().all(|field| record.get(field).is_some())
}

/// Returns whether the ID, the time, the code and the actor of an OCSF event are those of the
/// sealed text.
fn ocsf_agrees(event: &Value, columns: &[Value]) -> bool {
    let [id, at, code, actor, ..] = columns else {
        return false;
    };
    let shown = [&event["actor"]["user"]["name"], &event["unmapped"]["actor"]];
    event["metadata"]["uid"] == *id
        && at.as_i64().map(|at| at.div_euclid(1000)) == event["time"].as_i64()
        && event["metadata"]["event_code"] == *code
        && shown.contains(&actor)
        && id.as_str().is_some_and(|id| Uuid::parse_str(id).is_ok())
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(Timestamp::parse_rfc3339)
}

#[cfg(test)]
mod tests;
