//! Prometheus metrics on a separate address, only for the operator's collector.

use super::{
    error::StartError,
    metrics_catalogue::{TIME_BUCKETS, register},
    metrics_hosts::{MetricsHosts, check_host},
    transport,
};
use crate::{
    flows::{Ctx, audit::shipping, overview},
    store::with_patience,
};
use actix_server::ServerBuilder;
use actix_web::{
    App, HttpResponse,
    dev::Server,
    guard,
    http::header,
    middleware::{self, from_fn},
    web,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

/// Time for the database to count rows for one scrape.
const COUNTING_TIMEOUT: Duration = Duration::from_secs(2);
/// How often measured times are added to their buckets, even without a scrape.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Binds the address and returns the server of `/metrics`. Must be called inside an actix system.
pub fn serve_metrics(ctx: &Ctx, address: SocketAddr) -> Result<Server, StartError> {
    let recorder = install_recorder().map_err(|error| StartError::Metrics(error.to_string()))?;
    actix_web::rt::spawn(run_upkeep(recorder.clone()));
    let listener = TcpListener::bind(address).map_err(|error| StartError::Bind { address, error })?;
    let hosts = Arc::new(MetricsHosts::new(listener.local_addr()?.ip(), &ctx.config));
    let measured = ctx.clone();
    let application = move || {
        let (recorder, ctx, hosts) = (recorder.clone(), measured.clone(), hosts.clone());
        let headers = middleware::DefaultHeaders::new()
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((header::CACHE_CONTROL, "no-store"));
        let read = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        let metrics = read.to(move || {
            let (recorder, ctx) = (recorder.clone(), ctx.clone());
            async move {
                measure(&ctx).await;
                HttpResponse::Ok()
                    .content_type("text/plain; version=0.0.4; charset=utf-8")
                    .body(recorder.render())
            }
        });
        App::new()
            .wrap(from_fn(check_host))
            .wrap(headers)
            .app_data(web::Data::from(hosts))
            .route("/metrics", metrics)
    };
    let builder = ServerBuilder::new().workers(1).disable_signals();
    Ok(transport::listen(builder, listener, ctx, application)?.run())
}

fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &TIME_BUCKETS)?
        .install_recorder()?;
    register();
    Ok(recorder)
}

/// Moves measured times into their buckets: otherwise each would be kept until the next scrape.
async fn run_upkeep(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}

/// Measures values at the moment of a scrape.
async fn measure(ctx: &Ctx) {
    measure_rows(ctx).await;
    measure_targets(ctx).await;
    let (live, hasher) = (&ctx.live, &ctx.hasher);
    metrics::gauge!("nightlatch_sessions_remembered").set(live.sessions.len() as f64);
    metrics::gauge!("nightlatch_event_streams").set(live.streams.count() as f64);
    metrics::gauge!("nightlatch_line_fresh").set(f64::from(u8::from(live.freshness.is_fresh())));
    let silence = live.freshness.silence();
    metrics::gauge!("nightlatch_listener_silence_seconds")
        .set(silence.map_or(f64::INFINITY, |time| time.as_secs_f64()));
    metrics::gauge!("nightlatch_hashing_queue").set(hasher.queued() as f64);
    metrics::gauge!("nightlatch_hashing_queue_limit").set(hasher.queue_limit() as f64);
    metrics::counter!("nightlatch_passwords_checked_total").absolute(hasher.checked() as u64);
    metrics::counter!("nightlatch_database_calls_total").absolute(ctx.store.calls());
}

/// Counts rows. Without an answer the previous counts stay.
async fn measure_rows(ctx: &Ctx) {
    let counted = with_patience(COUNTING_TIMEOUT, overview::count_rows(ctx)).await;
    metrics::gauge!("nightlatch_database_up").set(f64::from(u8::from(counted.is_ok())));
    match counted {
        Ok(rows) => {
            metrics::gauge!("nightlatch_sessions_live").set(rows.live_sessions as f64);
            metrics::gauge!("nightlatch_emails", "state" => "queued").set(rows.queued_emails as f64);
            metrics::gauge!("nightlatch_emails", "state" => "given_up").set(rows.given_up_emails as f64);
        }
        Err(error) => tracing::debug!(%error, "rows could not be counted for the metrics"),
    }
}

/// Measures how far the audit was shipped. Without an answer the previous values stay.
async fn measure_targets(ctx: &Ctx) {
    match with_patience(COUNTING_TIMEOUT, shipping::list_targets(ctx)).await {
        Ok(reports) => {
            for report in reports {
                let name = report.target.name.as_str().to_owned();
                for counter in [
                    "nightlatch_audit_shipped_total",
                    "nightlatch_audit_shipping_faults_total",
                ] {
                    metrics::counter!(counter, "target" => name.clone()).increment(0);
                }
                metrics::gauge!("nightlatch_audit_shipping_lag_entries", "target" => name.clone())
                    .set(report.waiting as f64);
                metrics::gauge!("nightlatch_audit_shipping_lag_seconds", "target" => name)
                    .set(report.age.as_micros() as f64 / 1e6);
            }
        }
        Err(error) => tracing::debug!(%error, "the lag of audit targets could not be measured"),
    }
}
