//! Messages to the service manager: started, alive, reloading, stopping.

use crate::harness::program::Program;
use std::{os::unix::net::UnixDatagram, path::Path, time::Duration};

/// The socket of a service manager, and what it has received.
struct ServiceManager(UnixDatagram);

impl ServiceManager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    /// Waits for a message with this line.
    fn expect(&self, line: &str) {
        let mut buffer = [0; 1024];
        loop {
            let length = self
                .0
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("{line} never came: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|received| received == line) {
                return;
            }
        }
    }
}

#[test]
fn systemd_hears_when_the_server_started_that_it_lives_and_that_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = ServiceManager::at(&path);
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let server = Program::spawn(dir.path(), &environment);
    manager.expect("READY=1");
    assert!(server.answers());
    for _ in 0..3 {
        manager.expect("WATCHDOG=1");
    }
    server.signal(libc::SIGTERM);
    manager.expect("STOPPING=1");
    assert!(server.wait().success());
}
