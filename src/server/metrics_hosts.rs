//! The host names under which the metrics endpoint answers, so that a web page cannot read the
//! metrics by DNS rebinding.

use crate::{config::Config, http::log_once};
use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web,
};
use std::net::IpAddr;

/// The host names under which the endpoint answers.
pub struct MetricsHosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl MetricsHosts {
    /// Collects the names for an endpoint bound to this address.
    pub fn new(bound: IpAddr, config: &Config) -> Self {
        let public = config.public_url.as_ref().and_then(url::Url::host_str);
        let names = config.metrics_hosts.iter().map(String::as_str).chain(public);
        Self {
            bound,
            names: names.map(str::to_ascii_lowercase).collect(),
        }
    }

    /// Returns whether a request names one of them. The port is ignored, because containers map it.
    fn include(&self, head: &RequestHead) -> bool {
        let mut lines = head.headers().get_all(header::HOST);
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return false;
        };
        let name = line.to_str().ok().and_then(|text| name_of(&text.to_ascii_lowercase()));
        name.is_some_and(|name| self.include_name(&name))
    }

    fn include_name(&self, name: &str) -> bool {
        let is_local = self.bound.is_loopback() || self.bound.is_unspecified();
        match name.parse::<IpAddr>() {
            Ok(ip) => ip == self.bound || self.bound.is_unspecified() || (self.bound.is_loopback() && ip.is_loopback()),
            Err(_) => (name == "localhost" && is_local) || self.names.iter().any(|own| own == name),
        }
    }
}

/// `[::1]:9100` → `::1`, `prometheus-target:9100` → `prometheus-target`.
fn name_of(host: &str) -> Option<String> {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    Some(name.to_owned())
}

/// Refuses every other host, and logs how to allow a name.
pub async fn check_host(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let is_own = req
        .app_data::<web::Data<MetricsHosts>>()
        .is_some_and(|hosts| hosts.include(req.head()));
    if is_own {
        return Ok(next.call(req).await?.map_into_boxed_body());
    }
    log_once::warn(
        "a request for metrics named a host that is not the endpoint's own: add the name by which the collector \
             reaches it to \
         NIGHTLATCH_METRICS_HOSTS",
    );
    let refusal = HttpResponse::MisdirectedRequest()
        .content_type("text/plain; charset=utf-8")
        .body("This endpoint does not answer to that host name.\n");
    Ok(req.into_response(refusal))
}

#[cfg(test)]
mod tests;
