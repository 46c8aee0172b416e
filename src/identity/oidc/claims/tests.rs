//! Tests of [`super`].

use super::*;
use serde_json::json;

fn names() -> ClaimNames {
    ClaimNames {
        name: "preferred_username".to_owned(),
        display_name: "name".to_owned(),
        email: "email".to_owned(),
        groups: "groups".to_owned(),
    }
}

fn payload(json: Json) -> Payload {
    json.as_object().unwrap().clone()
}

#[test]
fn the_id_token_comes_before_the_userinfo_endpoint() {
    let id_token = payload(json!({ "preferred_username": "ada", "groups": ["staff"], "sid": "s" }));
    let userinfo = payload(json!({ "preferred_username": "eve", "name": "Ada", "groups": ["admins"], "sid": "x" }));
    assert!(needs_userinfo(&names(), &id_token));
    let claims = ClaimSet::read(&names(), &id_token, Some(&userinfo)).unwrap();
    let expected = ClaimSet {
        name: Some("ada".to_owned()),
        display_name: Some("Ada".to_owned()),
        email: None,
        groups: vec!["staff".to_owned()],
        session: Some("s".to_owned()),
    };
    assert_eq!(claims, expected);
}

#[test]
fn an_address_counts_only_if_the_same_answer_says_that_it_is_verified() {
    let read = |id_token: Json, userinfo: Json| {
        let (id_token, userinfo) = (payload(id_token), payload(userinfo));
        ClaimSet::read(&names(), &id_token, Some(&userinfo)).unwrap().email
    };
    let address = "ada@example.org";
    assert_eq!(
        read(json!({ "email": address, "email_verified": true }), json!({})).as_deref(),
        Some(address)
    );
    assert_eq!(
        read(json!({ "email": address, "email_verified": "true" }), json!({})).as_deref(),
        Some(address)
    );
    for verified in [json!(false), json!("false"), json!(1), json!(null)] {
        assert_eq!(
            read(json!({ "email": address, "email_verified": verified }), json!({})),
            None
        );
    }
    assert_eq!(
        read(json!({ "email": address }), json!({ "email_verified": true })),
        None
    );
}

#[test]
fn groups_that_the_provider_left_out_are_a_fault_and_not_an_empty_list() {
    let id_token = payload(json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": {} }));
    let fault = ClaimSet::read(&names(), &id_token, None).unwrap_err();
    assert_eq!(fault.code(), "claim_groups");
}

#[test]
fn groups_may_be_one_name_and_other_values_are_left_out() {
    let read = |groups: Json| {
        let id_token = payload(json!({ "groups": groups }));
        ClaimSet::read(&names(), &id_token, None).unwrap().groups
    };
    assert_eq!(read(json!("staff")), ["staff"]);
    assert_eq!(read(json!(["a", 1, "", { "b": 2 }, "c"])), ["a", "c"]);
    assert_eq!(read(json!(7)), Vec::<String>::new());
}
