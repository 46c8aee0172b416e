//! Tests of [`super`].

use super::*;
use actix_web::body::to_bytes;

const COLUMNS: &[&str] = &["name", "n"];

async fn exported(format: ListFormat, pages: usize) -> String {
    let fetch = move |page: usize| async move {
        let records = vec![serde_json::json!({ "name": format!("=cmd{page}, \"x\""), "n": page })];
        Ok(ExportChunk {
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
        exported(ListFormat::Csv, 2).await,
        "\u{feff}name,n\r\n\"'=cmd0, \"\"x\"\"\",0\r\n\"'=cmd1, \"\"x\"\"\",1\r\n"
    );
}

#[actix_web::test]
async fn json_is_one_array_over_all_pages() {
    let read: serde_json::Value = serde_json::from_str(&exported(ListFormat::Json, 3).await).expect("JSON");
    assert_eq!(read.as_array().map(Vec::len), Some(3));
    assert_eq!(read[2]["n"], 2);
}
