//! `nightlatch health`: asks the running server whether it is ready, for containers and scripts.

use super::{
    error::{CliError, CommandResult},
    options::GlobalOptions,
    output,
};
use crate::{config::Flags, http::paths, server::reachable_address};
use clap::Args;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// Time for the connection, and again for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Maximum number of bytes of an answer that are read.
const MAX_ANSWER: u64 = 16 * 1024;

#[derive(Args)]
#[command(after_help = "Requests /readyz at the first address in `bind`, over plain http.")]
pub struct HealthCheck {}

impl HealthCheck {
    /// Prints the server's answer. Fails unless it is ready.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let config = options.load_config(Flags::default())?;
        let address = config
            .bind
            .first()
            .map(|address| reachable_address(*address))
            .ok_or_else(|| CliError::refused("no address is configured"))?;
        let answer = ask(address).map_err(|error| CliError::refused(format!("{address} does not answer: {error}")))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.split(' ').nth(1) != Some("200") {
            return Err(CliError::refused(format!(
                "{address} is not ready: {}",
                body.trim_end()
            )));
        }
        output::print_line(body.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the answer, head and body, to a request for `/readyz`.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let path = paths::READYZ;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
