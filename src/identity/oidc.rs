//! OpenID Connect: a provider's metadata and keys, the request for a sign-in, and the checks of
//! everything that a provider sends (OpenID Connect Core 1.0, Back-Channel Logout 1.0, RFC
//! 9207, RFC 8417, RFC 8936).

mod authorization;
mod claims;
mod discovery;
mod event_stream;
mod fault;
mod id_token;
mod keys;
mod logout_token;
mod probe;
mod provider;
mod security_event;
mod transport;

pub use authorization::{AuthorizationRequest, CallbackQuery, SignInSecrets};
pub use claims::{ClaimNames, ClaimSet};
pub use event_stream::{EventAnswer, EventPoll, EventRefusal};
pub use fault::{FailedCheck, OidcFault};
pub use id_token::{IdTokenExpectation, VerifiedIdToken};
pub use logout_token::LogoutNotice;
pub use probe::{ProviderStep, ProviderStepFault, RegisteredAddresses};
pub use provider::{Provider, ProviderRegistration, ProviderSignIn};
pub use security_event::SecurityEvent;
pub use transport::make_http_client;
