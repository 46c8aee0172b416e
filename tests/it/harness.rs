//! The test harness: real servers, browsers, databases, proxies and mail servers.
//!
//! # A tour
//!
//! A test of a page starts a server, signs a user in, and reads what they see. The server has a
//! database, a port and a clock of its own; time passes only when the test says so.
//!
//! ```ignore
//! for on in [On::Sqlite, On::Postgres] {
//!     let server = TestServer::on(on).env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org").start();
//!     server.policy(&[("auth.idle_session_timeout", "15m")]);
//!     let ada = server.admin("ada");                        // a client that keeps cookies, signed in
//!     let page = ada.get("/admin/sessions").expect(200).page();
//!     assert_eq!(page.heading(), "Sessions");
//!     assert_eq!(page.row("ada").cell("IP address"), "127.0.0.1");
//!
//!     let form = page.form("/admin/sessions/end");          // as a browser would send it
//!     ada.submit(&form, &[("what", "selected")]);
//!     server.advance(15 * 60);
//!     assert_eq!(ada.get("/").expect(303).location(), "/login?reason=idle");
//!     assert_eq!(server.events().last().unwrap(), "session.ended idle");
//! }
//! ```
//!
//! | to | use |
//! |---|---|
//! | start a server in this process, or several on one database | [`server::TestServer`] |
//! | make accounts and clients | `server.account`, `server.member`, `server.admin`, `server.signed_in`, `server.anyone` |
//! | change policy, pass time, run a flow | `server.policy`, `server.advance`, `server.run` |
//! | see what was recorded, which emails were written | `server.events`, `server.audit`, `server.emails`, `server.deliver` |
//! | wait for what happens in the background | [`server::eventually`] |
//! | send requests as a browser does | [`client::Client`]: `get`, `post`, `submit`, `upload`, `confirm` |
//! | read a page | [`page::Page`]: `heading`, `messages`, `row(…).cell(…)`, `form(…).field(…)`, `fault` |
//! | look at pages in a real browser | [`chromium`] |
//! | run the program and its commands as processes | [`program`] |
//! | break or lock PostgreSQL | [`postgres::Database`] |
//! | kill PostgreSQL, or take its connections | [`cluster::Cluster`] |
//! | hold, delay or cut the packets of PostgreSQL or a directory | [`relay::Relay`] |
//! | put nginx, Caddy or HAProxy in front | [`chain::Chain`], with [`upstream`] as the application |
//! | put nginx in front of several instances | [`balancer::Balancer`] |
//! | put a small proxy of our own in front | [`gateway::Gateway`] |
//! | run a real OpenID Connect provider, or one that lies | [`real_provider`], [`forged_provider`] |
//! | bind sessions to the key of a device | [`device::SoftDevice`] |
//! | send security events of a provider | [`transmitter::Transmitter`] |
//! | ask an LDAP directory, freeze or kill it, or one that never stops | [`slapd::Slapd`], [`forged_directory`] |
//! | ask a domain controller of Active Directory (Samba) | [`samba::Samba`] |
//! | answer LDAP requests like Active Directory where Samba does not | [`active_directory::ActiveDirectory`] |
//! | receive emails, or refuse them | [`smtp`] |
//! | receive the shipped audit, or run rsyslog | [`collector`] |
//! | compare the statements that a database is asked | [`statements::Statements`] |
//! | read the log | [`trace::Trace`] |
//! | read a YAML file of the repository | [`yaml`] |

pub mod active_directory;
pub mod authenticator;
pub mod balancer;
pub mod chain;
pub mod chromium;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod device;
pub mod forged_directory;
pub mod forged_provider;
pub mod gateway;
pub mod held_write;
pub mod page;
pub mod passkey;
pub mod postgres;
pub mod program;
pub mod real_provider;
pub mod relay;
pub mod samba;
pub mod server;
pub mod slapd;
pub mod smtp;
pub mod statements;
pub mod template;
pub mod trace;
pub mod transmitter;
pub mod upstream;
pub mod yaml;
