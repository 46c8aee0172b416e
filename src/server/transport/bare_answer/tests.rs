//! Tests of [`super`].

use super::*;

fn completed(text: &str) -> Option<String> {
    add_headers(text.as_bytes(), &|| "id-1".to_owned()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_refusal_of_the_library_gets_the_security_headers() {
    let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n";
    let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: 1\r\n\r\nhi";
    for text in [bare.to_owned(), format!("{before}{bare}")] {
        let completed = completed(&text).unwrap();
        for line in [
            "content-security-policy: default-src",
            "x-content-type-options: nosniff",
            "x-request-id: id-1",
        ] {
            assert_eq!(completed.matches(&format!("\r\n{line}")).count(), 1, "{completed}");
        }
        assert!(
            completed.ends_with("\r\n\r\n") && completed.starts_with(text.trim_end()),
            "{completed}"
        );
    }
}

#[test]
fn every_other_answer_stays_as_it_is() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx-request-id: 1\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "text\r\n\r\n",
    ] {
        assert_eq!(completed(text), None, "{text:?}");
    }
}
