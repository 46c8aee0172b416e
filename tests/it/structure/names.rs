//! Names of types: nouns that make sense away from their module, each used once.

use super::source::{files, is_test};
use std::collections::BTreeMap;
use syn::Item;

/// Names that several types may share, because the module is part of the idea.
const SHARED_ON_PURPOSE: &[&str] = &["Error"];

/// Participles, question words, prepositions and other words that mean nothing without their
/// module.
const NO_NAMES: &[&str] = &[
    "Accepts",
    "Act",
    "Above",
    "Affected",
    "Around",
    "Arrive",
    "Asked",
    "At",
    "Before",
    "Below",
    "Beside",
    "Between",
    "Bound",
    "Built",
    "By",
    "Checked",
    "Chosen",
    "Compared",
    "Confirmed",
    "Counted",
    "Desk",
    "Door",
    "Drawn",
    "Effect",
    "Elsewhere",
    "Ended",
    "Ending",
    "Entering",
    "Explained",
    "Exported",
    "Found",
    "Gone",
    "Good",
    "Granted",
    "Handling",
    "Held",
    "How",
    "Imported",
    "Incoming",
    "Judged",
    "Kept",
    "Known",
    "Leading",
    "Left",
    "Letter",
    "Locked",
    "Look",
    "Loosened",
    "Made",
    "Matching",
    "Meant",
    "Missed",
    "Moved",
    "Nothing",
    "Now",
    "Of",
    "On",
    "Open",
    "Opened",
    "Outcome",
    "Over",
    "Owned",
    "Passage",
    "Passed",
    "Planned",
    "Pooled",
    "Prepared",
    "Provable",
    "Reading",
    "Refused",
    "Released",
    "Removed",
    "Roster",
    "Said",
    "Seen",
    "Sent",
    "Shared",
    "Shortened",
    "Shown",
    "Since",
    "Standing",
    "Stopped",
    "Supposed",
    "Taken",
    "Through",
    "Together",
    "Told",
    "Traveller",
    "Tried",
    "Typed",
    "Typing",
    "Under",
    "Verified",
    "Walked",
    "Wanted",
    "What",
    "When",
    "Where",
    "Who",
    "Whom",
    "Whose",
    "Why",
    "Within",
    "Without",
    "Would",
    "Written",
];

/// Every type with the files that define one of that name.
fn types() -> BTreeMap<String, Vec<&'static str>> {
    let mut types: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in files() {
        for item in file.items() {
            let (name, attributes) = match item {
                Item::Struct(item) => (&item.ident, &item.attrs),
                Item::Enum(item) => (&item.ident, &item.attrs),
                Item::Trait(item) => (&item.ident, &item.attrs),
                Item::Type(item) => (&item.ident, &item.attrs),
                _ => continue,
            };
            if !is_test(attributes) {
                types.entry(name.to_string()).or_default().push(&file.name);
            }
        }
    }
    types
}

#[test]
fn no_two_types_share_a_name() {
    let mut wrong = String::new();
    for (name, files) in types() {
        let allowed = SHARED_ON_PURPOSE.contains(&name.as_str());
        if files.len() > 1 && !allowed {
            wrong.push_str(&format!("{name}: {}\n", files.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "types that share a name:\n{wrong}");
}

#[test]
fn types_are_named_by_nouns() {
    let mut wrong = String::new();
    for (name, files) in types() {
        if NO_NAMES.contains(&name.as_str()) {
            wrong.push_str(&format!("{name}: {}\n", files.join(", ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "types whose name says nothing away from their module:\n{wrong}"
    );
}
