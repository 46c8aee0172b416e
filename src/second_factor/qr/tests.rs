//! Tests of [`super`].

use super::draw;

#[test]
fn a_code_is_a_path_on_white_without_style() {
    let svg = draw("otpauth://totp/Nightlatch:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Nightlatch").unwrap();
    assert!(svg.contains("fill=\"#fff\"") && svg.contains("M4,4h7v1h-7z"), "{svg}");
    assert!(!svg.contains("style") && !svg.contains("href"), "{svg}");
    assert!(draw(&"x".repeat(5000)).is_none());
}
