//! Tests of [`super`].

use super::*;

#[test]
fn every_file_is_found_under_its_hashed_url() {
    for (name, asset) in ASSETS.iter() {
        let file = asset.url.strip_prefix("/static/").expect("under /static/");
        let (found, exact) = find(file).expect("found");
        assert!(exact && found.hash == asset.hash, "{name}");
    }
}

#[test]
fn lines_that_are_only_a_comment_are_left_out_of_scripts() {
    let script = b"// what it does\n\"use strict\"; // stays\n  // why\n  act(\"//\");";
    assert_eq!(
        remove_comment_lines(script),
        b"\"use strict\"; // stays\n  act(\"//\");"
    );
}

#[test]
fn an_older_hash_still_answers_but_is_not_kept() {
    let (_, exact) = find("app.0000000000000000.css").expect("found");
    assert!(!exact);
    assert!(find("app.x.css").is_none());
    assert!(find("../Cargo.toml").is_none());
}
