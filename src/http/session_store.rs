//! The storage of actix-session, over the live sessions. It writes nothing: signing in, rotating
//! and ending are flows that write everything in one transaction; this only returns the token that
//! they prepared. (An adapter that wrote here, after the handler, could revive a session that has
//! ended.)

use crate::{
    domain::secret::digest,
    live::{LiveState, sessions::LiveSession},
};
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use std::{collections::HashMap, sync::Arc};

/// The state entry that carries a flow's new token to the cookie.
pub const PREPARED_TOKEN: &str = "nightlatch.token";
/// The state entry of actix-identity.
const IDENTITY: &str = "actix_identity.user_id";

/// The adapter, one per worker.
pub struct LiveSessionStore(pub Arc<LiveState>);

impl SessionStore for LiveSessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        // The gate has just judged the session and stored it in memory. Refused sessions never get
        // here.
        let session = self.0.sessions.get(&digest(key.as_ref()));
        Ok(session
            .filter(|session| session.ended().is_none())
            .map(|session| state(&session)))
    }

    async fn save(&self, mut state: HashMap<String, String>, _: &Duration) -> Result<SessionKey, SaveError> {
        let token = take_prepared_token(&mut state)
            .ok_or_else(|| SaveError::Other(anyhow::anyhow!("no flow prepared a session")))?;
        SessionKey::try_from(token).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        match take_prepared_token(&mut state) {
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

/// Takes out the token that a flow prepared. actix-session stores each entry as JSON.
fn take_prepared_token(state: &mut HashMap<String, String>) -> Option<String> {
    state
        .remove(PREPARED_TOKEN)
        .and_then(|json| serde_json::from_str(&json).ok())
}
