//! Tables: plain text without borders or colors, on a terminal and in a pipe.

use super::format::escape_text;
use comfy_table::{ContentArrangement, presets};

/// Rows of cells, with or without a line of headings. Columns align by displayed width.
pub struct Table {
    table: comfy_table::Table,
    columns: usize,
}

impl Table {
    /// Creates a table with headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Self::without_headings(headings.len());
        table.table.set_header(headings.iter().copied());
        table
    }

    /// Creates a table of names and values.
    pub fn without_headings(columns: usize) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        Self { table, columns }
    }

    /// Adds a row. Its cells may have any characters.
    pub fn add_row<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells.iter().map(|cell| escape_text(cell)));
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns the lines of the table: columns two blanks apart, without trailing blanks.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let mut table = self.table.clone();
        for index in 0..self.columns {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
            }
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.into_iter()
    }
}

#[cfg(test)]
mod tests;
