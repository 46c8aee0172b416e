//! Signing in, confirming and signing out at an OpenID Connect provider. `identity::oidc` speaks
//! with the provider and checks what it sends; this module decides what follows here.

mod again;
mod interrupted;
mod outcome;
mod proving;
mod registration;
mod settlement;
mod sign_in;
mod sign_out;
mod states;

pub use outcome::{PendingProviderSignIn, ProviderRefusal, ProviderSignInOutcome};
pub use proving::{ProviderConfirmation, ProviderProofOutcome, confirm};
pub use registration::{ProviderButton, buttons, find_automatic, find_confirming_source};
pub use sign_in::{CallbackRequest, SignInRequest, SignInStart, complete, start};
pub use sign_out::{
    BackChannelOutcome, ProviderSignOutPage, accept_sign_out, find_sign_out, forget_old, has_sign_out_page,
};
