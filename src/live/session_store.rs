//! actix-session's storage over the live sessions. It writes nothing: signing in, rotating and ending are flows that write
//! everything in one transaction; this only hands back the token that they prepared. (An adapter that wrote here, after the
//! handler, could bring a session back that ended meanwhile.)

use super::{Live, sessions::LiveSession};
use crate::domain::secret::digest;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use std::{collections::HashMap, sync::Arc};

/// State entry under which a flow's new token travels to the cookie.
pub const PREPARED_TOKEN: &str = "nightlatch.token";
/// actix-identity's own entry.
const IDENTITY: &str = "actix_identity.user_id";

/// The adapter; one for each worker.
pub struct LiveSessionStore(pub Arc<Live>);

impl SessionStore for LiveSessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        // The gate has judged the session and remembered it just before; what it refused never gets here.
        let session = self.0.sessions.get(&digest(key.as_ref()));
        Ok(session
            .filter(|session| session.ended().is_none())
            .map(|session| state(&session)))
    }

    async fn save(&self, mut state: HashMap<String, String>, _: &Duration) -> Result<SessionKey, SaveError> {
        let token =
            prepared(&mut state).ok_or_else(|| SaveError::Other(anyhow::anyhow!("no flow prepared a session")))?;
        SessionKey::try_from(token).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        match prepared(&mut state) {
            Some(token) => SessionKey::try_from(token).map_err(|error| UpdateError::Other(error.into())),
            None => Ok(key),
        }
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, _: &SessionKey) -> Result<(), anyhow::Error> {
        Ok(())
    }
}

fn state(session: &LiveSession) -> HashMap<String, String> {
    HashMap::from([(IDENTITY.to_owned(), format!("\"{}\"", session.row.account_id.0))])
}

/// actix-session keeps each entry as JSON.
fn prepared(state: &mut HashMap<String, String>) -> Option<String> {
    state
        .remove(PREPARED_TOKEN)
        .and_then(|json| serde_json::from_str(&json).ok())
}
