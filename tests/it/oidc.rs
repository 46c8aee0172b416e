//! OpenID Connect: the checks of what a provider sends, and signing in with a real provider.

mod callback;
mod checks;
mod closing;
mod confirmation;
mod conversation;
mod dry_run;
mod events;
mod faults;
pub mod kit;
mod lock_screen;
mod overtaken;
mod parallel;
mod sign_in;
mod sign_out;
