//! Tests of [`super`].

use super::*;

#[test]
fn forms_that_change_something_get_the_token_and_handlers_do_not_see_it() {
    let html = "<form method=\"post\" action=\"/a\"><b></form><form action=\"/q\"></form>";
    let page = with_token(html, "1.x");
    let field = "<input type=\"hidden\" name=\"form_token\" value=\"1.x\">";
    assert_eq!(page.matches(field).count(), 1, "{page}");
    assert_eq!(page.replace(field, ""), html);
    for (form, seen) in [
        ("form_token=1.x&a=b", "a=b"),
        ("a=b&form_token=1.x", "a=b"),
        ("a=form_token&form_tokens=1", "a=form_token&form_tokens=1"),
        ("form_token=", ""),
        ("", ""),
    ] {
        assert_eq!(without_token(form.as_bytes()).as_ref(), seen.as_bytes(), "{form}");
    }
}
