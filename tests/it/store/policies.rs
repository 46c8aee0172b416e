//! Policy revisions and pins.
use super::{Fresh, at, on_both};
use nightlatch::{
    domain::policy::{Key, PolicyDocument, PolicyDraft, Revision, Scope, Value, diff::diff},
    store::{
        StoreError,
        policies::{self, drafts},
    },
};
use uuid::Uuid;

on_both!(
    a_revision_comes_back_as_it_was_written,
    a_save_on_another_base_is_refused,
    two_saves_at_once_make_one_revision,
    a_provisional_revision_is_confirmed_once_and_in_time,
    the_time_alone_decides_which_policy_is_in_force,
    a_withdrawn_revision_can_be_neither_confirmed_nor_withdrawn_again,
    drafts_belong_to_their_author_and_fade,
    pins_are_published_per_instance_and_fade,
);

fn key() -> Key {
    Key::parse("auth.idle_session_timeout").expect("a key")
}

fn revision(number: i64) -> Revision {
    let mut document = PolicyDocument::default();
    document.set(&Scope::Everyone, key(), Value::Number(900 + number));
    document.set(&Scope::Application("wiki".into()), key(), Value::Number(60));
    Revision {
        revision: number,
        at: at(number),
        author: "Ada".into(),
        reason: "because\nof \"it\"".into(),
        kind: "saved".into(),
        changes: diff(&PolicyDocument::default(), &document),
        document,
        confirm_by: None,
        confirmed: false,
    }
}

fn a_revision_comes_back_as_it_was_written(db: &Fresh) {
    assert_eq!(db.read(policies::find_latest), None);
    let first = revision(1);
    assert!(!first.changes.is_empty());
    db.write(|c| policies::insert(c, &first, 0));
    let second = Revision {
        confirm_by: Some(at(60)),
        ..revision(2)
    };
    db.write(|c| policies::insert(c, &second, 1));
    assert_eq!(db.read(policies::find_latest), Some(second.clone()));
    assert_eq!(db.read(|c| policies::find(c, 1)), Some(first.clone()));
    assert_eq!(db.read(|c| policies::find(c, 3)), None);
    assert_eq!(db.read(|c| policies::list(c, None, 9)), [second.clone(), first.clone()]);
    assert_eq!(db.read(|c| policies::list(c, None, 1)), [second]);
    assert_eq!(db.read(|c| policies::list(c, Some(2), 9)), [first]);
}

fn a_save_on_another_base_is_refused(db: &Fresh) {
    const CONFLICT: StoreError = StoreError::Conflict("policy revision");
    assert_eq!(db.refused(|c| policies::insert(c, &revision(2), 1)), CONFLICT);
    db.write(|c| policies::insert(c, &revision(1), 0));
    assert_eq!(db.refused(|c| policies::insert(c, &revision(1), 0)), CONFLICT);
    assert_eq!(db.refused(|c| policies::insert(c, &revision(3), 1)), CONFLICT);
    assert_eq!(db.read(|c| policies::list(c, None, 9)).len(), 1);
}

fn two_saves_at_once_make_one_revision(db: &Fresh) {
    let other = db.other();
    let saved: Vec<_> = std::thread::scope(|scope| {
        let threads = [&db.store, &other, &db.store, &other].map(|store| {
            scope.spawn(move || {
                store.write_now(|c| {
                    policies::insert(c, &revision(1), 0)?;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    Ok::<_, StoreError>(())
                })
            })
        });
        threads.map(|thread| thread.join().expect("no panic")).into()
    });
    assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1, "{saved:?}");
    let conflicts = saved
        .iter()
        .filter(|saved| **saved == Err(StoreError::Conflict("policy revision")))
        .count();
    assert_eq!(conflicts, 3, "{saved:?}");
}

fn a_provisional_revision_is_confirmed_once_and_in_time(db: &Fresh) {
    db.write(|c| policies::insert(c, &revision(1), 0));
    db.write(|c| {
        policies::insert(
            c,
            &Revision {
                confirm_by: Some(at(60)),
                ..revision(2)
            },
            1,
        )
    });
    assert!(!db.write(|c| policies::confirm(c, 1, at(0))), "not provisional");
    let late = nightlatch::domain::time::Timestamp::from_micros(at(60).as_micros() + 1);
    assert!(!db.write(|c| policies::confirm(c, 2, late)));
    assert!(db.write(|c| policies::confirm(c, 2, at(60))), "at the last instant");
    assert!(!db.write(|c| policies::confirm(c, 2, at(60))));
    assert!(db.read(policies::find_latest).expect("a revision").confirmed);
}

/// Revision 1, and 2 on top of it until `at(60)`.
fn provisional(db: &Fresh) {
    let second = Revision {
        confirm_by: Some(at(60)),
        ..revision(2)
    };
    db.write(|c| {
        policies::insert(c, &revision(1), 0)?;
        policies::insert(c, &second, 1)
    });
}

fn the_time_alone_decides_which_policy_is_in_force(db: &Fresh) {
    assert!(db.read(|c| Ok(policies::find_state(c, at(0))?.is_none())));
    provisional(db);
    let standing = |now| {
        db.read(move |c| {
            let standing = policies::find_state(c, now)?.expect("a revision");
            Ok((
                standing.in_force.revision,
                standing.lapsed.map(|lapsed| lapsed.revision),
            ))
        })
    };
    assert_eq!(standing(at(60)), (2, None), "the last instant");
    assert_eq!(standing(at(61)), (1, Some(2)));
    db.write(|c| policies::confirm(c, 2, at(60)));
    assert_eq!(standing(at(61)), (2, None), "confirmed");
}

fn a_withdrawn_revision_can_be_neither_confirmed_nor_withdrawn_again(db: &Fresh) {
    provisional(db);
    db.write(|c| policies::withdraw(c, 2));
    assert!(!db.write(|c| policies::confirm(c, 2, at(0))));
    assert_eq!(
        db.refused(|c| policies::withdraw(c, 2)),
        StoreError::Conflict("policy revision")
    );
    assert_eq!(
        db.refused(|c| policies::withdraw(c, 1)),
        StoreError::Conflict("policy revision"),
        "never provisional"
    );
}

fn drafts_belong_to_their_author_and_fade(db: &Fresh) {
    let (ada, bob) = (db.with_account("ada").id, db.with_account("bob").id);
    let draft = |secs: i64, author| PolicyDraft {
        id: Uuid::from_u128(u128::try_from(secs).expect("positive")),
        author,
        at: at(secs),
        base: 1,
        about: serde_json::json!({ "kind": "restored", "restored_from": 3 }),
        reason: "because".into(),
        changes: revision(1).changes,
        notes: vec!["line 4: ignored".into()],
    };
    let (first, second) = (draft(1, ada), draft(2, ada));
    db.write(|c| {
        drafts::save(c, &first)?;
        drafts::save(c, &second)
    });
    assert_eq!(db.read(|c| drafts::find(c, ada, first.id)), Some(first.clone()));
    assert_eq!(db.read(|c| drafts::find(c, bob, first.id)), None);
    assert!(!db.write(|c| drafts::delete(c, bob, first.id)));
    assert_eq!(db.read(|c| drafts::list(c, ada, 9)), [second.clone(), first.clone()]);
    assert_eq!(db.read(|c| drafts::list(c, bob, 9)), []);
    let changed = PolicyDraft {
        base: 7,
        ..second.clone()
    };
    db.write(|c| drafts::save(c, &changed));
    assert_eq!(db.read(|c| drafts::find(c, ada, second.id)), Some(changed.clone()));
    assert_eq!(db.write(|c| drafts::purge(c, at(2), 10)), 1);
    assert_eq!(db.read(|c| drafts::list(c, ada, 9)), [changed]);
    assert!(db.write(|c| drafts::delete(c, ada, second.id)));
}

fn pins_are_published_per_instance_and_fade(db: &Fresh) {
    let pinned = [(key(), Value::Number(300))].into();
    db.write(|c| {
        policies::publish_pins(c, "a", &pinned, at(10))?;
        policies::publish_pins(c, "b", &Default::default(), at(20))
    });
    assert_eq!(
        db.read(|c| policies::list_pins(c, at(10))),
        [("a".to_owned(), pinned.clone()), ("b".to_owned(), [].into())]
    );
    assert_eq!(db.read(|c| policies::list_pins(c, at(11))).len(), 1);
    db.write(|c| policies::publish_pins(c, "a", &pinned, at(30)));
    assert_eq!(db.read(|c| policies::list_pins(c, at(30))), [("a".to_owned(), pinned)]);
    db.write(|c| policies::withdraw_pins(c, "a"));
    assert_eq!(db.read(|c| policies::list_pins(c, at(0))).len(), 1);
}
