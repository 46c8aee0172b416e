//! Tests of [`super`].

use super::*;
use actix_web::test::TestRequest;

#[test]
fn an_accept_is_read_as_it_is_meant() {
    let html = |accept: &str| {
        let request = TestRequest::default()
            .insert_header(("accept", accept))
            .to_http_request();
        accepts(&request, &["text/html", "text/*"])
    };
    for accept in [
        "text/html",
        "TEXT/HTML",
        "a/b, text/html;q=0.1",
        "text/*",
        "text/html ; level=1; q=0.5",
        ", text/html,",
    ] {
        assert!(html(accept), "{accept}");
    }
    for accept in [
        "",
        "text/html;q=0",
        "text/html; Q=0.0",
        "text/html-sandboxed",
        "*/*",
        "application/json",
    ] {
        assert!(!html(accept), "{accept}");
    }
}
