//! Tests of [`super`].

use super::*;
use crate::domain::factor::FactorDuty;

fn observed(state: WatchedState, duty: Option<Duty>) -> Observation {
    Observation {
        state,
        duty,
        next: None,
    }
}

#[test]
fn events_are_what_changed_since_the_page_was_told() {
    use WatchedState::{Ended, Live, Warned};
    let factor = Some(Duty::Factor(FactorDuty::Prove));
    for (known, seen, policy, events) in [
        ((Live, None), (Live, None), false, vec![]),
        ((Live, None), (Warned, None), false, vec!["warned"]),
        ((Warned, None), (Warned, None), false, vec![]),
        ((Warned, None), (Live, None), false, vec!["resumed"]),
        ((Live, None), (Live, None), true, vec!["policy"]),
        ((Live, None), (Live, factor), true, vec!["duty", "policy"]),
        ((Live, factor), (Live, None), false, vec!["duty"]),
        ((Live, None), (Ended, None), true, vec!["ended"]),
        ((Warned, factor), (Ended, None), false, vec!["ended"]),
    ] {
        let text = describe_changes(&observed(known.0, known.1), &observed(seen.0, seen.1), policy);
        let expected: String = events
            .iter()
            .map(|name| format!("event: {name}\ndata: {{}}\n\n"))
            .collect();
        assert_eq!(text, expected, "{known:?} {seen:?}");
    }
}
