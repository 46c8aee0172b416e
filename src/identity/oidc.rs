//! OpenID Connect: a provider's metadata and keys, the request for a sign-in, and the checks of
//! everything that a provider sends (OpenID Connect Core 1.0, Back-Channel Logout 1.0, RFC 9207).

mod authorization;
mod claims;
mod discovery;
mod fault;
mod id_token;
mod keys;
mod logout_token;
mod provider;
mod transport;

pub use authorization::{AuthorizationRequest, CallbackQuery, SignInSecrets};
pub use claims::{ClaimNames, ClaimSet};
pub use fault::{FailedCheck, OidcFault};
pub use id_token::{IdTokenExpectation, VerifiedIdToken};
pub use logout_token::LogoutNotice;
pub use provider::{Provider, ProviderRegistration, ProviderSignIn};
