//! A TCP proxy in front of PostgreSQL or a directory whose handling of packets the test controls:
//! hold every byte, delay them, cut the connections, accept no new ones.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// The proxy; it ends with the test's process.
pub struct Relay {
    port: u16,
    target: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Connections made so far.
    made: usize,
    /// Connections up to this number are held permanently: nothing passes in either direction.
    held_up_to: usize,
    /// All others are held while this is set.
    frozen: bool,
    /// Every packet of the database is this late.
    delay: Duration,
}

impl Relay {
    /// In front of the server of this URL, which must have a port.
    pub fn before(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Self {
            port,
            target: target.clone(),
            shared: Arc::default(),
        };
        let shared = relay.shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                connect(&shared, socket, &target);
            }
        });
        relay
    }

    /// The same URL, through the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(&self.target, &format!("127.0.0.1:{}", self.port))
    }

    /// Holds the connections that are open now: nothing passes, and they do not close either; new
    /// ones work.
    pub fn hold_open_ones(&self) {
        let mut state = self.state();
        state.held_up_to = state.made;
    }

    /// Nothing passes, on old connections and new ones, until [`Relay::thaw`].
    pub fn freeze(&self) {
        self.state().frozen = true;
    }

    /// Releases held connections, except those of [`Relay::hold_open_ones`].
    pub fn thaw(&self) {
        self.state().frozen = false;
        self.shared.changed.notify_all();
    }

    /// Every packet from the database is so late.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, target: &str) {
    let mut state = shared.state.lock().unwrap();
    // Dropped, and so closed.
    let Ok(server) = TcpStream::connect(target) else {
        return;
    };
    state.made += 1;
    let number = state.made;
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    drop(state);
    let (to, from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    for (from, to, late) in [(from, to, false), (server, client, true)] {
        let shared = shared.clone();
        std::thread::spawn(move || pass(&shared, number, from, to, late));
    }
}

/// Until either side closes.
fn pass(shared: &Shared, number: usize, mut from: TcpStream, mut to: TcpStream, late: bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let state = shared.state.lock().unwrap();
        let held = |state: &mut State| state.frozen || number <= state.held_up_to;
        let state = shared.changed.wait_while(state, held).unwrap();
        let delay = state.delay;
        drop(state);
        if late {
            std::thread::sleep(delay);
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // If a connection is held, the other side does not notice its end either.
    if number > shared.state.lock().unwrap().held_up_to {
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    }
}
