//! Exports of a filtered list, streamed page by page so that a long one never stands in memory. CSV cells that a spreadsheet
//! would run as a formula are defused; JSON is an array with one record on each line.
use crate::domain::spreadsheet;
use crate::flows::FlowError;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, http::header};
use futures_util::stream;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::Future;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Csv,
    Json,
}

impl Format {
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

/// What narrows the list that is exported, as the audit tells it.
pub fn narrowed(pairs: &[(&str, &str)]) -> serde_json::Value {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(*value)))
        .collect()
}

/// Rows that a page of an export asks for.
pub const PAGE: i64 = 500;

/// One page of records, and the filter of the next one.
pub struct Chunk<F> {
    pub records: Vec<serde_json::Value>,
    pub next: Option<F>,
}

impl<F> Chunk<F> {
    /// A page of a list as records; `next` makes the filter of what follows its last item, when there is more (`older`).
    pub fn of<T>(
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

/// What an export is asked for beside the list's filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    pub format: Format,
}

enum Step<F> {
    Rows(Chunk<F>),
    Fetch(F),
    End,
    Done,
}

/// Streams what `fetch` gives, from `first` on. The first page is read before the answer begins, so that a database that is
/// away is an honest 503; a later failure breaks the download off.
pub async fn stream<F, Fut>(
    name: &'static str,
    format: Format,
    columns: &'static [&'static str],
    first: F,
    fetch: impl Fn(F) -> Fut + 'static,
) -> Result<HttpResponse, FlowError>
where
    F: 'static,
    Fut: Future<Output = Result<Chunk<F>, FlowError>> + 'static,
{
    let start = Step::Rows(fetch(first).await?);
    let opening = match format {
        Format::Csv => csv_line(columns.iter().map(|column| (*column).to_owned())),
        Format::Json => b"[".to_vec(),
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
                            tracing::error!(%error, "an export was broken off");
                            return Some((Err(error), (Step::Done, pending, nothing_yet, fetch)));
                        }
                    },
                    Step::End => {
                        if format == Format::Json {
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

fn write(bytes: &mut Vec<u8>, format: Format, columns: &[&str], record: &serde_json::Value, first: bool) {
    match format {
        Format::Csv => bytes.extend(csv_line(columns.iter().map(|column| cell(record.get(*column))))),
        Format::Json => {
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
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    const COLUMNS: &[&str] = &["name", "n"];

    async fn exported(format: Format, pages: usize) -> String {
        let fetch = move |page: usize| async move {
            let records = vec![serde_json::json!({ "name": format!("=cmd{page}, \"x\""), "n": page })];
            Ok(Chunk {
                records,
                next: (page + 1 < pages).then_some(page + 1),
            })
        };
        let response = stream("things", format, COLUMNS, 0, fetch).await.expect("streams");
        let body = to_bytes(response.into_body())
            .await
            .map_err(|_| "body")
            .expect("readable");
        String::from_utf8(body.to_vec()).expect("utf-8")
    }

    #[actix_web::test]
    async fn csv_quotes_and_guards_formulas() {
        assert_eq!(
            exported(Format::Csv, 2).await,
            "name,n\r\n\"'=cmd0, \"\"x\"\"\",0\r\n\"'=cmd1, \"\"x\"\"\",1\r\n"
        );
    }

    #[actix_web::test]
    async fn json_is_one_array_over_all_pages() {
        let read: serde_json::Value = serde_json::from_str(&exported(Format::Json, 3).await).expect("JSON");
        assert_eq!(read.as_array().map(Vec::len), Some(3));
        assert_eq!(read[2]["n"], 2);
    }
}
