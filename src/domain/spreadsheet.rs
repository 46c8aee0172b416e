//! Tables as text, as spreadsheets write them: encodings, separators, quotes and line ends, and
//! protection of cells from being run as formulas. `account_csv` interprets the cells.

use std::borrow::Cow;

/// One row of a table, and the line of the text on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetRow {
    /// The line number, from 1.
    pub line: usize,
    /// The cells, without their quotes.
    pub cells: Vec<String>,
}

/// The reason why a text is not a table, and its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct NotTabularError {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// What is wrong, for people.
    pub why: &'static str,
}

/// The byte order mark. Some spreadsheets read UTF-8 only after it.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// First characters that make spreadsheets run a cell; some also run the full-width forms.
const RISKY: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Returns whether a cell would be run as a formula, or is one that [`guarded`] made harmless.
fn is_risky(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(RISKY)
}

/// Returns the cell as text, with a quote before content that would be run. [`unguarded`] removes
/// the quote again, whatever the text.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_risky(text) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the original text of a cell that [`guarded`] wrote.
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_risky(text) => text,
        Some(_) | None => cell,
    }
}

/// Formats one record of a CSV file as spreadsheets read it: commas, quotes where needed, CR LF.
pub fn record<'a>(cells: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        if cell.contains([',', ';', '"', '\n', '\r', '\t']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&cell);
        }
    }
    line + "\r\n"
}

/// Reads the rows of a table as programs write it: UTF-8 or UTF-16, with or without a byte order
/// mark, separated by commas, semicolons or tabs, with any line ends. Rows without content are
/// skipped.
pub fn rows(bytes: &[u8]) -> Result<Vec<SheetRow>, NotTabularError> {
    let text = text(bytes)?.replace("\r\n", "\n").replace('\r', "\n");
    let (separator, first, text) = match declared(&text) {
        Some((separator, rest)) => (separator, 2, rest),
        None => (guess_separator(&text), 1, text.as_str()),
    };
    let mut rows = split(text, separator, first)?;
    rows.retain(|row| row.cells.iter().any(|cell| !cell.trim().is_empty()));
    Ok(rows)
}

/// Decodes a file in one of the encodings that spreadsheets write.
pub fn text(bytes: &[u8]) -> Result<String, NotTabularError> {
    let refused = |line, why| Err(NotTabularError { line, why });
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().copied().map(unit);
        char::decode_utf16(units).collect::<Result<String, _>>()
    };
    let text = match bytes {
        [b'P', b'K', 3, 4, ..] => return refused(1, "this is a workbook: save it as CSV first"),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            return match std::str::from_utf8(rest) {
                Ok(text) => Ok(text.to_owned()),
                Err(error) => {
                    let read = rest.get(..error.valid_up_to()).unwrap_or_default();
                    let line = 1 + read.iter().filter(|byte| **byte == b'\n').count();
                    refused(line, "this is not UTF-8: save the file as “CSV UTF-8”")
                }
            };
        }
    };
    text.or_else(|_| {
        refused(
            1,
            "this begins like UTF-16 but is not valid: save the file as “CSV UTF-8”",
        )
    })
}

/// Returns the separator of a first line `sep=;`, which spreadsheets write for each other, and the
/// text after it.
fn declared(text: &str) -> Option<(char, &str)> {
    let (line, rest) = text.split_once('\n')?;
    let mut separator = line.trim_matches('"').strip_prefix("sep=")?.chars();
    match (separator.next(), separator.next()) {
        (Some(separator), None) => Some((separator, rest)),
        (_, _) => None,
    }
}

/// Returns the separator that is most frequent in the first line with content, outside quotes.
fn guess_separator(text: &str) -> char {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let bare: String = line.split('"').step_by(2).collect();
    let count = |separator: char| bare.matches(separator).count();
    // `max_by_key` takes the last of equal ones: the comma.
    [';', '\t', ',']
        .into_iter()
        .max_by_key(|separator| count(*separator))
        .unwrap_or(',')
}

fn split(text: &str, separator: char, first: usize) -> Result<Vec<SheetRow>, NotTabularError> {
    let (mut rows, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun) = (first, first);
    // The line of a quote that is still open.
    let mut quoted: Option<usize> = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted.is_some() => {
                if characters.next_if_eq(&'"').is_some() {
                    cell.push('"');
                } else {
                    quoted = None;
                }
            }
            '"' if cell.is_empty() => quoted = Some(line),
            c if c == separator && quoted.is_none() => cells.push(std::mem::take(&mut cell)),
            '\n' => {
                line += 1;
                if quoted.is_some() {
                    cell.push('\n');
                } else {
                    cells.push(std::mem::take(&mut cell));
                    rows.push(SheetRow {
                        line: begun,
                        cells: std::mem::take(&mut cells),
                    });
                    begun = line;
                }
            }
            c => cell.push(c),
        }
    }
    if let Some(line) = quoted {
        return Err(NotTabularError {
            line,
            why: "a quote begins here that never ends",
        });
    }
    cells.push(cell);
    rows.push(SheetRow { line: begun, cells });
    Ok(rows)
}

#[cfg(test)]
mod tests;
