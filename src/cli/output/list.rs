//! Lists that are printed as JSON or as a table.

use super::{
    format::escape_json,
    stream::{StandardOutput, print_line},
    table::Table,
};
use serde_json::Value;
use std::io;

/// A JSON array that is written while its items are read, one per line.
pub struct JsonArray {
    out: StandardOutput,
    has_items: bool,
}

impl JsonArray {
    /// Starts an array on standard output.
    pub fn new() -> Self {
        Self {
            out: StandardOutput::new(),
            has_items: false,
        }
    }

    /// Writes an item.
    pub fn add(&mut self, item: &Value) -> io::Result<()> {
        self.out.write_bytes(if self.has_items { b",\n  " } else { b"[\n  " })?;
        self.has_items = true;
        self.out.write_bytes(escape_json(&item.to_string()).as_bytes())
    }

    /// Closes the array.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_line(if self.has_items { "\n]" } else { "[]" })?;
        self.out.finish()
    }
}

/// A list: for scripts, written while it is read; for people, printed as a table at the end.
pub enum ListPrinter {
    /// Each item as JSON.
    Json(JsonArray),
    /// Each item as a row.
    Table(Table),
}

impl ListPrinter {
    /// Creates a list: JSON, or a table with these headings.
    pub fn new(json: bool, headings: &[&str]) -> Self {
        if json {
            Self::Json(JsonArray::new())
        } else {
            Self::Table(Table::new(headings))
        }
    }

    /// Adds an item; only the form that is printed is made.
    pub fn add<const N: usize>(
        &mut self,
        to_json: impl FnOnce() -> Value,
        to_row: impl FnOnce() -> [String; N],
    ) -> io::Result<()> {
        match self {
            Self::Json(array) => array.add(&to_json())?,
            Self::Table(table) => table.add_row(to_row()),
        }
        Ok(())
    }

    /// Prints the rest of the list. `none` takes the place of an empty table.
    pub fn finish(self, none: &str) -> io::Result<()> {
        match self {
            Self::Json(array) => array.finish(),
            Self::Table(table) if table.is_empty() => print_line(none),
            Self::Table(table) => {
                let mut out = StandardOutput::new();
                out.write_table(&table)?;
                out.finish()
            }
        }
    }
}
