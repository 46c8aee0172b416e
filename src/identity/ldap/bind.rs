//! Checking a person's password: one bind on a connection of its own, never repeated, because each
//! bind counts at the directory.

use super::{
    connection::Connector,
    error::{DirectoryError, DirectoryStep, describe_result, is_unanswered},
    refusal::{PASSWORD_POLICY, PasswordAnswer, read_answer},
};
use crate::domain::secret::Secret;
use ldap3::controls::RawControl;

/// Binds as a person on a new connection and reads the answer.
pub(super) async fn bind_person(
    connector: &Connector,
    dn: &str,
    password: &Secret,
) -> Result<PasswordAnswer, DirectoryError> {
    let step = DirectoryStep::PasswordBind;
    let connection = connector.open().await?;
    let mut operation = connection.operation();
    operation.with_controls(vec![RawControl {
        ctype: PASSWORD_POLICY.to_owned(),
        crit: false,
        val: None,
    }]);
    let answer = operation.simple_bind(dn, password.expose()).await;
    let answer = answer.map_err(|fault| {
        if is_unanswered(&fault) {
            connector.note_silence(&connection);
        }
        DirectoryError::from_ldap(step, &fault)
    })?;
    // The farewell needs no answer.
    operation.unbind().await.ok();
    match read_answer(&answer) {
        Some(verdict) => Ok(verdict),
        None => Err(DirectoryError::new(step, describe_result(answer.rc, &answer.text))),
    }
}
