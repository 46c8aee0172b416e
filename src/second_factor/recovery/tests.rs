//! Tests of [`super`].

use super::{CODES, generate, normalize};
use crate::random::OsRandom;
use std::collections::BTreeSet;

#[test]
fn codes_differ_and_are_read_as_people_type_them() {
    let codes = generate(&OsRandom);
    let distinct: BTreeSet<&str> = codes.iter().map(|code| code.expose()).collect();
    assert_eq!(distinct.len(), CODES);
    for code in distinct {
        assert_eq!(code.len(), 19);
        let plain = normalize(code).unwrap();
        assert_eq!(normalize(&code.to_lowercase().replace('-', " ")).as_ref(), Some(&plain));
        assert_eq!(
            normalize(&code.replace('0', "o").replace('1', "l")).as_ref(),
            Some(&plain)
        );
    }
    for wrong in [
        "",
        "123456",
        "0000-0000-0000-000",
        "0000-0000-0000-00000",
        "0000-0000-0000-000U",
        "０000-0000-0000-0000",
    ] {
        assert_eq!(normalize(wrong), None, "{wrong}");
    }
}
