//! Standard output and standard error.

use super::{format::escape_json, table::Table};
use serde_json::Value;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use tracing_subscriber::EnvFilter;

/// Buffered standard output. A closed pipe is an error, not a panic.
pub struct StandardOutput(BufWriter<Stdout>);

impl StandardOutput {
    /// Opens standard output.
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Writes a line.
    pub fn write_line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{text}")
    }

    /// Writes bytes as they are.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Writes one JSON value on one line.
    pub fn write_json_line(&mut self, value: &Value) -> io::Result<()> {
        self.write_line(&escape_json(&value.to_string()))
    }

    /// Writes a table.
    pub fn write_table(&mut self, table: &Table) -> io::Result<()> {
        table.lines().try_for_each(|line| self.write_line(&line))
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints one line.
pub fn print_line(text: &str) -> io::Result<()> {
    let mut out = StandardOutput::new();
    out.write_line(text)?;
    out.finish()
}

/// Prints one JSON value, indented.
pub fn print_json(value: &Value) -> io::Result<()> {
    print_line(&escape_json(&format!("{value:#}")))
}

/// Prints a note on standard error. A failure to write it cannot be reported anywhere.
pub fn print_message(text: &str) {
    writeln!(io::stderr(), "nightlatch: {text}").ok();
}

/// Prints a warning on standard error about something that was done anyway.
pub fn print_warning(text: &str) {
    print_message(&format!("warning: {text}"));
}

/// Sends warnings of the program to standard error. `RUST_LOG` chooses more or less.
pub fn init_warning_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}
