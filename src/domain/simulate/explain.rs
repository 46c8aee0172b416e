//! Explains which rule ends a session, and when: simulates a sign-in and a pattern of activity
//! under a policy, decision by decision. `explain/provenance` says where each value comes from;
//! `explain/input` parses patterns as people write them.

use crate::policy::effective::Policy;

mod input;
mod messages;
mod past;
mod provenance;
mod requests;
mod scenario;
mod timeline;
mod walk;

pub use input::{ScenarioFault, ScenarioInput, read_entries, read_lines};
pub use past::{PastSession, explain_past};
pub use provenance::{Provenance, provenance};
pub use scenario::{
    Activity, ActivityKind, ActivityPattern, ApplicationEntry, ClientChange, ClientMove, Scenario, ScenarioClient,
};
pub use timeline::{Mark, MarkKind, Segment, Timeline, TimelineEnd};

/// Simulates a scenario under a policy.
pub fn explain(policy: &Policy, scenario: &Scenario) -> Timeline {
    walk::ScenarioWalk::new(policy, scenario).timeline()
}
