//! Every SQL statement that a test's database receives, without values.

use super::server::TestDatabase;
use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use std::sync::Mutex;

/// Part of the address of the database that is recorded.
static WATCHED: Mutex<String> = Mutex::new(String::new());
static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records the statements of one database until dropped, on connections that are opened from now
/// on.
pub struct Statements(());

impl Statements {
    pub fn of(database: &TestDatabase) -> Self {
        set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
        let url = database.url();
        url.rsplit_once(':').unwrap().1.clone_into(&mut WATCHED.lock().unwrap());
        Self(())
    }

    /// Returns the statements since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *STATEMENTS.lock().unwrap())
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
                // Statements that set up or check a connection are not counted.
                if !watched.is_empty()
                    && self.url.contains(watched.as_str())
                    && asks.iter().any(|verb| words.starts_with(verb))
                    && words != "SELECT 1"
                {
                    STATEMENTS.lock().unwrap().push(words.to_owned());
                }
            }
            _ => {}
        }
    }
}
