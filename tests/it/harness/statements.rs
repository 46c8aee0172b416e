//! The words of every statement that a database of the tests is asked, without the values.

use super::server::TestDatabase;
use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use std::sync::Mutex;

/// A part of the address of the database that is listened to; other tests of the process have theirs.
static WATCHED: Mutex<String> = Mutex::new(String::new());
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Listens to one database, until dropped; only to connections that are made from now on.
pub struct Statements(());

impl Statements {
    pub fn of(database: &TestDatabase) -> Self {
        set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
        let url = database.url();
        url.rsplit_once(':').unwrap().1.clone_into(&mut WATCHED.lock().unwrap());
        Self(())
    }

    /// Those since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *ASKED.lock().unwrap())
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        WATCHED.lock().unwrap().clear();
    }
}

#[derive(Default)]
struct Recorder {
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => url.clone_into(&mut self.url),
            InstrumentationEvent::StartQuery { query, .. } => {
                let watched = WATCHED.lock().unwrap();
                let text = query.to_string();
                let words = text.split(" -- binds").next().unwrap_or_default();
                let asks = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
                // What sets up a connection or asks whether it lives belongs to no act.
                if !watched.is_empty()
                    && self.url.contains(watched.as_str())
                    && asks.iter().any(|verb| words.starts_with(verb))
                    && words != "SELECT 1"
                {
                    ASKED.lock().unwrap().push(words.to_owned());
                }
            }
            _ => {}
        }
    }
}
