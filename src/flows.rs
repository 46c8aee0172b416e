//! The use cases, one per file. A flow reads the facts, lets the domain decide, and makes one
//! write: the action, its audit events, its emails and its notifications to other instances are
//! committed together or not at all.
//!
//! Private modules hold what several flows share: the transactions ([`write`]), attempts at a
//! password ([`attempts`], [`password_check`]) or a second factor ([`factor_checks`],
//! [`factor_assertions`], [`factor_rules`], [`pending_sign_in`]), opening and ending sessions
//! ([`session_opening`], [`session_ends`], [`held_ends`]), expiring accounts ([`expiry`]),
//! results of forms ([`form_submissions`], [`performed_form`]), accounts of sources
//! ([`external_accounts`], [`provider_sessions`]), turns of jobs about sources ([`source_turns`]),
//! asking directories ([`directories`]), and emails ([`emails`], [`notifications`],
//! [`factor_emails`], [`mailed_links`]).

pub mod access;
pub mod accounts;
pub mod applications;
mod attempts;
pub mod audit;
pub mod bind_limits;
mod context;
pub mod decoys;
pub mod devices;
mod directories;
pub mod email_change;
mod emails;
mod expiry;
pub mod explain;
mod external_accounts;
mod factor_assertions;
mod factor_checks;
mod factor_emails;
mod factor_rules;
pub mod factors;
mod form_submissions;
mod held_ends;
pub mod lockouts;
pub mod login;
pub mod logout;
pub mod mail;
mod mailed_links;
pub mod notices;
mod notifications;
pub mod overview;
pub mod password_change;
mod password_check;
pub mod password_reset;
mod patience;
mod pending_sign_in;
mod performed_form;
pub mod policy;
pub mod posture;
pub mod preview;
mod provider_sessions;
pub mod providers;
pub mod refusals;
pub mod refused_requests;
pub mod replay;
pub mod restore;
pub mod retention;
pub mod security_events;
mod session_ends;
mod session_opening;
mod session_tokens;
pub mod sessions;
pub mod setup;
pub mod source_sessions;
pub mod source_sync;
pub mod source_test;
mod source_turns;
pub mod sources;
pub mod step_up;
mod typed_name;
mod write;

pub use crate::domain::audit::Initiator;
pub use context::{Ctx, FlowError};
pub use form_submissions::{
    FormOutcome, FormSubmission, KeptForm, abandon_form, begin_form, fetch_form, find_form, forget_old_forms,
};
pub use patience::answer_in_time;
use write::{Read, Write};

/// Maximum number of rows of one kind that a job removes in one run, so that other work does not
/// wait long.
const PURGED: i64 = 1_000;
