//! The tokens of a session: adding one beside the old token, which stays valid for its overlap;
//! replacing all of them; and marking a rotation as due.

use super::Write;
use crate::{
    domain::{
        account::AccountId,
        factor::Proofs,
        secret::{self, Secret},
        session::{SessionId, SessionToken},
        time::Timestamp,
    },
    store::{StoreError, handovers, sessions},
};
use std::net::IpAddr;

/// A token to be replaced, and the addresses before and after the change.
pub(super) struct TokenRotation<'a> {
    pub(super) session: SessionId,
    pub(super) presented: &'a SessionToken,
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
}

/// Proofs that a live session gains.
pub(super) struct SessionProof<'a> {
    pub(super) session: SessionId,
    /// Digest of the id under which they were given.
    pub(super) token_digest: &'a str,
    /// Where they were given.
    pub(super) ip: IpAddr,
    pub(super) proofs: Proofs,
    /// Whether they confirm the identity for sensitive actions.
    pub(super) is_step_up: bool,
}

/// The outcome of a [`SessionProof`].
pub(super) enum ProvedSession {
    /// The session has ended.
    Ended,
    /// The session continues under this id; `None`: its id was replaced a moment ago.
    Continued(Option<Secret>),
}

impl Write<'_> {
    /// Adds a new token beside the presented one, which stays valid for its overlap. `None`:
    /// another request was first.
    pub(super) fn rotate_token(&mut self, rotation: &TokenRotation<'_>) -> Result<Option<Secret>, StoreError> {
        let TokenRotation {
            session,
            presented,
            from,
            to,
        } = rotation;
        if !sessions::mark_rotated(self.connection, &presented.digest, self.now, *from, *to)? {
            return Ok(None);
        }
        let token = secret::token(self.ctx.random_bytes());
        let row = new_token(&token, &presented.host, &presented.cookie_form, self.now);
        sessions::add_token(self.connection, *session, &row)?;
        self.forget_session(*session);
        Ok(Some(token))
    }

    /// Adds proofs to a session and continues it under a new id. The earlier ids stay valid for
    /// their overlap without these proofs, so that an attacker who knows one does not gain them.
    pub(super) fn prove_session(&mut self, proof: &SessionProof<'_>) -> Result<ProvedSession, StoreError> {
        let Some(session) = sessions::find(self.connection, proof.session)? else {
            return Ok(ProvedSession::Ended);
        };
        let step_up = proof.is_step_up.then_some(self.now);
        if !sessions::add_proofs(self.connection, session.id, proof.proofs, step_up)? {
            return Ok(ProvedSession::Ended);
        }
        let usable = |token: &&SessionToken| token.digest == proof.token_digest && token.killed_at.is_none();
        let token = match session.tokens.iter().find(usable) {
            Some(presented) => self.rotate_token(&TokenRotation {
                session: session.id,
                presented,
                from: session.ip,
                to: proof.ip,
            })?,
            None => None,
        };
        sessions::limit_replaced(self.connection, session.id, session.proofs)?;
        self.forget_session(session.id);
        Ok(ProvedSession::Continued(token))
    }

    /// Gives the session a new token and revokes the old ones immediately.
    pub(super) fn replace_tokens(&mut self, session: SessionId, cookie_form: &str) -> Result<Secret, StoreError> {
        let token = secret::token(self.ctx.random_bytes());
        sessions::revoke_tokens(self.connection, session, self.now, None)?;
        // Otherwise an unused handover code would still become a token.
        handovers::drop_unredeemed(self.connection, session)?;
        let row = new_token(&token, "", cookie_form, self.now);
        sessions::add_token(self.connection, session, &row)?;
        self.forget_session(session);
        Ok(token)
    }

    /// Makes the next response to each browser replace the tokens of the account's live sessions.
    pub(super) fn make_rotation_due(&mut self, account: AccountId) -> Result<(), StoreError> {
        for session in sessions::list_live_of_account(self.connection, account)? {
            let usable = |token: &&SessionToken| token.killed_at.is_none() && token.rotated.is_none();
            for token in session.tokens.iter().filter(usable) {
                sessions::mark_rotation_due(self.connection, &token.digest)?;
            }
            self.forget_session(session.id);
        }
        Ok(())
    }
}

/// Creates a token's row, which contains only the digest of the token.
pub(super) fn new_token(token: &Secret, host: &str, cookie_form: &str, now: Timestamp) -> SessionToken {
    SessionToken {
        digest: secret::digest(token.expose()),
        host: host.to_owned(),
        issued_at: now,
        rotated: None,
        killed_at: None,
        cookie_form: cookie_form.to_owned(),
        rotation_due: false,
        proofs: None,
    }
}
