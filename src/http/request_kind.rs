//! The kind of a request by its method and address.

use super::paths;
use crate::domain::activity::RequestKind;
use actix_web::http::Method;

/// Returns the kind of request for the gate. A request of the guard refreshes only what its
/// address is for, whatever its headers are.
pub fn request_kind<'a>(method: &Method, path: &'a str) -> RequestKind<'a> {
    let kind = RequestKind {
        path,
        ..RequestKind::default()
    };
    if !path.starts_with(paths::GUARD) {
        return kind;
    }
    let posted = method == Method::POST;
    let (interaction, heartbeat) = (
        posted && path == paths::GUARD_TOUCH,
        posted && path == paths::GUARD_HEARTBEAT,
    );
    RequestKind {
        interaction,
        heartbeat,
        check: !interaction && !heartbeat,
        ..kind
    }
}
