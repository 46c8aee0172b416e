//! Where a request comes from: address, browser, and the request's own id.

use super::{client_ip::client_ip, judged::RequestId};
use crate::{
    domain::{agent, client::Client},
    flows::Ctx,
};
use actix_web::{HttpMessage, HttpRequest, dev::ServiceRequest, http::header};

/// Reads where a request comes from.
pub fn read_client(req: &ServiceRequest, ctx: &Ctx) -> Client {
    let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone());
    read_request_client(req.request(), ctx, request_id)
}

/// Does the same for a request that passed no middleware.
pub fn read_request_client(req: &HttpRequest, ctx: &Ctx, request_id: Option<String>) -> Client {
    let user_agent = req
        .headers()
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .map(|text| agent::cut(&text).to_owned());
    Client {
        ip: client_ip(req.peer_addr(), req.headers(), &ctx.config),
        user_agent,
        request_id,
    }
}
