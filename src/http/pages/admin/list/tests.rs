//! Tests of [`super`].

use super::*;

#[test]
fn a_place_reads_back() {
    let (at, id) = (Timestamp::from_micros(1_795_281_600_250_000), Uuid::from_u128(7));
    assert_eq!(read_place(&write_place(at, id)), Some((at, id)));
    for odd in [
        "",
        "1",
        "x.y",
        "1.",
        "99999999999999999999.00000000000000000000000000000007",
    ] {
        assert_eq!(read_place(odd), None, "{odd}");
    }
}

#[test]
fn the_way_back_is_always_a_query_of_the_list() {
    assert_eq!(
        return_address("/admin/sessions", "q=a%0d%0ab&state=ended"),
        "/admin/sessions?q=a%0D%0Ab&state=ended"
    );
    assert_eq!(return_address("/admin/sessions", "//evil.example#x"), "/admin/sessions");
    assert_eq!(return_address("/admin/sessions", ""), "/admin/sessions");
}

#[test]
fn only_the_sizes_offered_are_pages() {
    assert_eq!(
        (limit("25"), limit("100"), limit("100000"), limit("")),
        (25, 100, 50, 50)
    );
}
