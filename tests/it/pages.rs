//! Pages through a real server, mirroring `src/http/pages`; and what attackers of all of them try.

mod admin;
mod bounce;
mod busy;
mod closed;
mod csrf;
mod doubt;
mod forward_auth;
mod handover;
mod headers;
mod home;
mod host;
pub mod kit;
mod late;
mod letters;
mod locks;
mod login;
mod password;
mod refusals;
mod reset;
mod routes;
mod secrets;
mod seen;
mod sessions_live;
mod setup;
mod step_up;
mod uniform;
mod wire;
