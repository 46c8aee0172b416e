//! The client of a request: its address, its browser and the ID under which the request is logged.

use crate::{audit::RequestOrigin, network};
use std::net::IpAddr;

/// The client of a request, for decisions and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address, behind trusted proxies.
    pub ip: IpAddr,
    /// Its user agent, cut by `agent::cut`; `None` without the header.
    pub user_agent: Option<String>,
    /// The ID of the request in the log.
    pub request_id: Option<String>,
}

impl Client {
    /// Returns the origin of the request, for records.
    pub fn origin(&self) -> RequestOrigin {
        RequestOrigin {
            ip: Some(network::canonical(self.ip)),
            user_agent: self.user_agent.clone(),
            request_id: self.request_id.clone(),
        }
    }
}
