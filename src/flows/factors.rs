//! Second factors: the second step of a sign-in, passkey sign-in, proving a factor within a
//! session, enrolling and managing factors, and what administrators can do about them.
//!
//! Attempts reserve their place in the counters before anything is checked. Every write checks
//! again that account, password, policy and factor are still in the state in which the attempt
//! started.

mod administration;
mod enrolment;
mod enrolment_refusal;
mod listing;
mod maintenance;
mod passkey_names;
mod proving;
mod removal;
mod repetition;
mod settlement;
mod sign_in;

pub use super::{
    mailed_links::EnrolmentLinkOutcome,
    pending_sign_in::{FactorDue, FactorMethods},
};
pub use administration::{
    FactorReset, ResetKind, find_enrolment_link, make_enrolment_link, reset_factors, send_enrolment_link,
};
pub use enrolment::{
    AppConfirmation, AppEnrolment, FactorOwner, PasskeyEnrolment, PasskeyOptions, confirm_app, find_enrolment_refusals,
    finish_passkey, start_app, start_passkey,
};
pub use enrolment_refusal::{EnrolmentRefusal, EnrolmentRefusals};
pub use listing::{EnrolledView, PasskeyView, TrustedBrowserView, list_factors, passkeys_exist};
pub use maintenance::{forget_old, note_requirements};
pub use proving::{ProofOutcome, ProvingSession, passkey_options, prove_with_code, prove_with_passkey};
pub use removal::{
    RemovableFactor, RemovalImpact, RemovalOutcome, RenameOutcome, make_recovery_codes, removal_impact, remove_app,
    remove_passkey, rename_passkey, untrust_browser,
};
pub use repetition::repeat_confirmation;
pub use settlement::{CompletedSignIn, FactorStepOutcome, PendingStep};
pub use sign_in::{
    CodeStep, PasskeySignIn, PasskeyStep, PendingView, SecondStepOptions, SignInOptions, abandon_pending, find_pending,
    has_passkeys_here, pending_passkey_options, sign_in_options, sign_in_with_code, sign_in_with_passkey,
    sign_in_with_pending_passkey,
};
