//! Pages through a real server, mirroring `src/http/pages`.

mod login;
mod sessions_live;
