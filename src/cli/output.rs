//! What a command prints: tables for people, JSON for scripts, notes on standard error.
//! Names and user agents come from strangers: nothing of theirs reaches the terminal as a control sequence.

use crate::domain::{account::invisible, time::Timestamp};
use serde_json::Value;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use tracing_subscriber::EnvFilter;

/// Standard output, buffered; a reader that goes away is an error, not a panic.
pub struct Output(BufWriter<Stdout>);

impl Output {
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{text}")
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// One JSON value, indented.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        self.line(&escaped(&format!("{value:#}")))
    }

    /// One JSON value in one line.
    pub fn json_line(&mut self, value: &Value) -> io::Result<()> {
        self.line(&escaped(&value.to_string()))
    }

    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        let columns = table.head.len();
        let mut widths: Vec<usize> = table.head.iter().map(|cell| cell.chars().count()).collect();
        for row in &table.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head = table.head.iter().map(|cell| (*cell).to_owned()).collect();
        let head = (!table.head.iter().all(|cell| cell.is_empty())).then_some(head);
        for row in head.iter().chain(&table.rows) {
            let mut line = String::new();
            for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(cell);
                if place + 1 < columns {
                    let padding = width - cell.chars().count() + 2;
                    line.extend(std::iter::repeat_n(' ', padding));
                }
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints one sentence.
pub fn say(text: &str) -> io::Result<()> {
    let mut out = Output::new();
    out.line(text)?;
    out.finish()
}

/// Prints one JSON value.
pub fn say_json(value: &Value) -> io::Result<()> {
    let mut out = Output::new();
    out.json(value)?;
    out.finish()
}

/// A JSON array that is written as it is read, an item a line.
pub struct JsonList {
    out: Output,
    begun: bool,
}

impl JsonList {
    pub fn new() -> Self {
        Self {
            out: Output::new(),
            begun: false,
        }
    }

    pub fn item(&mut self, item: &Value) -> io::Result<()> {
        self.out.bytes(if self.begun { b",\n  " } else { b"[\n  " })?;
        self.begun = true;
        self.out.bytes(escaped(&item.to_string()).as_bytes())
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.out.line(if self.begun { "\n]" } else { "[]" })?;
        self.out.finish()
    }
}

/// Rows of cells under a head; an empty head is not printed.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Without a head: names and values.
    pub fn plain(columns: usize) -> Self {
        Self {
            head: vec![""; columns],
            rows: Vec::new(),
        }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A sentence on standard error. When not even that can be written there is nobody to tell.
pub fn note(text: &str) {
    writeln!(io::stderr(), "nightlatch: {text}").ok();
}

/// Advice on standard error: what was done is done.
pub fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Text from elsewhere, fit for a terminal: what is invisible or steers the terminal is shown as its code point.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// As [`plain`], within JSON: such characters stand only in strings, where an escape means the same.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// An instant for people: whole seconds, UTC.
pub fn time(at: Timestamp) -> String {
    Timestamp::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000).to_rfc3339()
}

/// The same, or a dash.
pub fn time_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), time)
}

/// Text, or a dash.
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// An instant for scripts.
pub fn json_time(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::to_rfc3339).into()
}

/// `1 session`, `2 sessions`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Warnings of the program on standard error; `RUST_LOG` chooses more or less.
pub fn log_warnings() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}
