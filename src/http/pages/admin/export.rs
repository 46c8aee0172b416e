//! Exports of a filtered list, streamed page by page so that a long one is never in memory as a
//! whole. CSV cells that a spreadsheet would run as a formula are defused; JSON is an array with
//! one record on each line.
use crate::{domain::spreadsheet, flows::FlowError};
use actix_web::{HttpResponse, http::header, web::Bytes};
use futures_util::stream;
use serde::Deserialize;
use std::{borrow::Cow, collections::VecDeque, future::Future};

/// The file format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListFormat {
    #[default]
    Csv,
    Json,
}

impl ListFormat {
    /// Returns the format’s name in addresses and file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// Returns the filter of an exported list as the audit records it.
pub fn narrowed(pairs: &[(&str, &str)]) -> serde_json::Value {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(*value)))
        .collect()
}

/// Number of rows that are read for one page of an export.
pub const PAGE: i64 = 500;

/// One page of records, and the filter of the next one.
pub struct ExportChunk<F> {
    pub records: Vec<serde_json::Value>,
    pub next: Option<F>,
}

impl<F> ExportChunk<F> {
    /// Creates a page of a list as records; `next` makes the filter of what follows its last item,
    /// if there is more (`older`).
    pub fn from_query<T>(
        items: &[T],
        older: bool,
        record: impl Fn(&T) -> serde_json::Value,
        next: impl FnOnce(&T) -> F,
    ) -> Self {
        Self {
            records: items.iter().map(record).collect(),
            next: items.last().filter(|_| older).map(next),
        }
    }
}

/// The query of an export besides the list's filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ExportQuery {
    pub format: ListFormat,
}

enum Step<F> {
    Rows(ExportChunk<F>),
    Fetch(F),
    End,
    Done,
}

/// Streams the pages of `fetch`, starting with `first`. The first page is read before the response
/// begins, so that a missing database is a 503; a later failure interrupts the download.
pub async fn stream<F, Fut>(
    name: &'static str,
    format: ListFormat,
    columns: &'static [&'static str],
    first: F,
    fetch: impl Fn(F) -> Fut + 'static,
) -> Result<HttpResponse, FlowError>
where
    F: 'static,
    Fut: Future<Output = Result<ExportChunk<F>, FlowError>> + 'static,
{
    let start = Step::Rows(fetch(first).await?);
    let opening = match format {
        ListFormat::Csv => {
            let head = csv_line(columns.iter().map(|column| (*column).to_owned()));
            [spreadsheet::BYTE_ORDER_MARK.as_bytes(), &head].concat()
        }
        ListFormat::Json => b"[".to_vec(),
    };
    let state = (start, VecDeque::from([opening]), true, fetch);
    let body = stream::unfold(
        state,
        move |(mut step, mut pending, mut nothing_yet, fetch)| async move {
            loop {
                if let Some(bytes) = pending.pop_front() {
                    return Some((Ok(Bytes::from(bytes)), (step, pending, nothing_yet, fetch)));
                }
                step = match step {
                    Step::Rows(chunk) => {
                        let mut bytes = Vec::new();
                        for record in &chunk.records {
                            write(&mut bytes, format, columns, record, nothing_yet);
                            nothing_yet = false;
                        }
                        if !bytes.is_empty() {
                            pending.push_back(bytes);
                        }
                        chunk.next.map_or(Step::End, Step::Fetch)
                    }
                    Step::Fetch(filter) => match fetch(filter).await {
                        Ok(chunk) => Step::Rows(chunk),
                        Err(error) => {
                            tracing::error!(%error, "an export was interrupted");
                            return Some((Err(error), (Step::Done, pending, nothing_yet, fetch)));
                        }
                    },
                    Step::End => {
                        if format == ListFormat::Json {
                            pending.push_back(b"\n]\n".to_vec());
                        }
                        Step::Done
                    }
                    Step::Done => return None,
                };
            }
        },
    );
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"nightlatch-{name}.{}\"", format.as_str()),
        ))
        .streaming(Box::pin(body)))
}

fn write(bytes: &mut Vec<u8>, format: ListFormat, columns: &[&str], record: &serde_json::Value, first: bool) {
    match format {
        ListFormat::Csv => bytes.extend(csv_line(columns.iter().map(|column| cell(record.get(*column))))),
        ListFormat::Json => {
            bytes.extend_from_slice(if first { b"\n" } else { b",\n" });
            bytes.extend(record.to_string().into_bytes());
        }
    }
}

fn cell(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => spreadsheet::guarded(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

fn csv_line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    spreadsheet::record(cells.map(Cow::Owned)).into_bytes()
}

#[cfg(test)]
mod tests;
