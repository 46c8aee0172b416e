//! Puts the program together: configuration → store, memory, threads, jobs and listening sockets; and takes it apart in order.

use crate::{
    clock::Clock,
    config::{Config, ConfigError},
    domain::{
        duration::humanize,
        policy::{Fault, Key, Pins},
    },
    flows::{self, Ctx, FlowError},
    hashing::Hasher,
    http::{self, session_cookie::CookieKeys},
    jobs::Jobs,
    live::{self, Live, invalidation},
    mail::{MailError, Mailer},
    random::Random,
    security_log::SecurityLog,
    store::{
        self, OpenOptions, Store, StoreError,
        notify::{ListenerHandle, spawn_listener},
    },
};
use actix_web::{HttpResponse, HttpServer, dev::ServerHandle, http::header, middleware, web};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// Why the server does not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}: {error}")]
    Bind { address: SocketAddr, error: std::io::Error },
    #[error("security log {path}: {error}")]
    SecurityLog { path: String, error: std::io::Error },
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("the cookie key in the database is unusable")]
    Key,
    #[error("a pinned setting does not go with the policy that is in force: {0}")]
    Pinned(Fault),
    #[error("metrics: {0}")]
    Metrics(String),
    #[error("{0}")]
    Flow(#[from] FlowError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A built server: sockets are bound, nothing is answered yet.
pub struct Server {
    ctx: Ctx,
    server: actix_web::dev::Server,
    addresses: Vec<SocketAddr>,
    listener: ListenerHandle,
    metrics: Option<actix_web::dev::Server>,
    setup_link: Option<String>,
}

/// Time for requests under way when the server is told to stop.
const SHUTDOWN_SECS: u64 = 10;
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the database keeps the address that people use.
const BASE_URL: &str = "base_url";

/// Store, memory and threads without sockets: what the server and the command line share. A command (not `exclusive`) that was told no
/// public URL sends people to where the server said that it is reached.
pub fn context(
    mut config: Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    exclusive: bool,
) -> Result<Ctx, StartError> {
    let options = OpenOptions {
        migrate: config.migrate,
        pool_size: config.database_connections,
        exclusive,
    };
    let store = Store::open(config.database_url.expose(), options)?;
    let security_log = match &config.security_log {
        None => None,
        Some(path) => Some(Arc::new(SecurityLog::open(path).map_err(|error| {
            StartError::SecurityLog {
                path: path.display().to_string(),
                error,
            }
        })?)),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hasher = Hasher::start(config.hash_cost, threads)?;
    let mailer = Mailer::new(&config)?;
    let (pins, dev) = (config.pins.clone(), config.dev);
    let (seq, policy, applications, reached_at) = store.read_now(move |c| {
        // In this order: what changes after the number was read is taken in again.
        let seq = store::changes::latest_seq(c)?;
        let policy = invalidation::read_policy(c, pins, dev)?;
        let reached_at = store::meta::get(c, BASE_URL)?;
        Ok::<_, StoreError>((seq, policy, live::applications::read(c)?, reached_at))
    })?;
    if !exclusive && config.public_url.is_none() {
        config.public_url = reached_at.and_then(|url| Url::parse(&url).ok());
    }
    let live = Arc::new(Live::new(config.session_cache, policy, applications, seq));
    Ok(Ctx {
        store,
        clock,
        random,
        hasher,
        mailer,
        live,
        config: Arc::new(config),
        security_log,
    })
}

impl Server {
    /// Opens everything; an error leaves nothing running. Must be called inside an actix system.
    pub async fn build(config: Config, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, StartError> {
        let listeners = bind(&config)?;
        let mut config = config;
        config.bind = addresses(&listeners)?;
        let ctx = context(config, clock, random, true)?;
        flows::policy::ensure_first_revision(&ctx).await?;
        check_pins(&ctx)?;
        flows::policy::publish_pins(&ctx).await?;
        let keys = Arc::new(cookie_keys(&ctx)?);
        let base_url = ctx.config.base_url();
        ctx.store.write_now(move |c| store::meta::set(c, BASE_URL, &base_url))?;
        let metrics = ctx
            .config
            .metrics_bind
            .map(|address| serve_metrics(&ctx, address))
            .transpose()?;
        let listener = listen_for_changes(&ctx)?;
        wait_until_fresh(&ctx).await;
        let setup_link = flows::setup::open(&ctx).await?.map(|token| {
            format!(
                "{}{}?token={}",
                ctx.config.base_url(),
                http::paths::SETUP,
                token.expose()
            )
        });
        if flows::setup::lacks_administrator(&ctx).await? {
            tracing::warn!("{}", flows::setup::NO_ADMINISTRATOR);
        }
        announce_idle(&ctx);
        tracing::info!("mail goes to {}", ctx.mailer.describe());
        let addresses = ctx.config.bind.clone();
        let app_ctx = ctx.clone();
        let mut server = HttpServer::new(move || http::app(app_ctx.clone(), keys.clone()))
            .client_request_timeout(HEADERS_TIMEOUT)
            .shutdown_timeout(SHUTDOWN_SECS);
        for listener in listeners {
            server = server.listen(listener)?;
        }
        Ok(Self {
            ctx,
            server: server.run(),
            addresses,
            listener,
            metrics,
            setup_link,
        })
    }

    /// The port of the first address (the one that was given when 0 was asked for).
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The link that creates the first administrator, while there is none.
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGTERM, SIGINT or [`Self::handle`] stop it; then finishes requests, flushes activity and closes.
    pub async fn run_until_stopped(self) -> Result<(), StartError> {
        let jobs = Jobs::start(&self.ctx);
        let metrics = self
            .metrics
            .map(|metrics| (metrics.handle(), actix_web::rt::spawn(metrics)));
        let served = self.server.await;
        if let Some((metrics, _)) = metrics {
            metrics.stop(true).await;
        }
        jobs.stop().await;
        // What was acknowledged as activity is written before the process ends.
        let flushed = flows::access::flush_activity(&self.ctx).await;
        let noted = flows::applications::flush_seen(&self.ctx).await;
        let refused = flows::refusals::write_all(&self.ctx).await;
        let ended = flows::access::write_kept_endings(&self.ctx).await;
        let withdrawn = flows::policy::withdraw_pins(&self.ctx).await;
        drop(self.listener);
        served?;
        flushed?;
        noted?;
        refused?;
        ended?;
        Ok(withdrawn?)
    }
}

/// A pin can make impossible what is stored: told before anything is served, not at the next save.
fn check_pins(ctx: &Ctx) -> Result<(), StartError> {
    let in_force = ctx.in_force();
    let document = in_force.policy.document();
    let without = document.faults(&Pins::default());
    let with = document.faults_since(document, &ctx.config.pins);
    let new = with.into_iter().find(|fault| !without.contains(fault));
    new.map_or(Ok(()), |fault| Err(StartError::Pinned(fault)))
}

/// Prometheus text on an address of its own, for nobody but the operator's collector.
fn serve_metrics(ctx: &Ctx, address: SocketAddr) -> Result<actix_web::dev::Server, StartError> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| StartError::Metrics(error.to_string()))?;
    let (live, store) = (ctx.live.clone(), ctx.store.clone());
    let server = HttpServer::new(move || {
        let (recorder, live, store) = (recorder.clone(), live.clone(), store.clone());
        let headers = middleware::DefaultHeaders::new()
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((header::CACHE_CONTROL, "no-store"));
        actix_web::App::new().wrap(headers).route(
            "/metrics",
            web::get().to(move || {
                metrics::gauge!("nightlatch_sessions_remembered").set(live.sessions.len() as f64);
                metrics::counter!("nightlatch_database_calls_total").absolute(store.calls());
                metrics::gauge!("nightlatch_line_fresh").set(f64::from(u8::from(live.freshness.is_fresh())));
                let text = recorder.render();
                async move {
                    HttpResponse::Ok()
                        .content_type("text/plain; version=0.0.4; charset=utf-8")
                        .body(text)
                }
            }),
        )
    })
    .workers(1)
    .disable_signals()
    .listen(TcpListener::bind(address).map_err(|error| StartError::Bind { address, error })?)?;
    Ok(server.run())
}

fn bind(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    config
        .bind
        .iter()
        .map(|address| {
            TcpListener::bind(address).map_err(|error| StartError::Bind {
                address: *address,
                error,
            })
        })
        .collect()
}

fn addresses(listeners: &[TcpListener]) -> Result<Vec<SocketAddr>, StartError> {
    Ok(listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?)
}

/// The configured keys, or the one that all instances share through the database.
fn cookie_keys(ctx: &Ctx) -> Result<CookieKeys, StartError> {
    if !ctx.config.secret_keys.is_empty() {
        return CookieKeys::new(ctx.config.secret_keys.iter().map(|key| key.expose())).ok_or(StartError::Key);
    }
    let fresh: String = [ctx.random_bytes(), ctx.random_bytes()]
        .concat()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let kept = ctx
        .store
        .write_now(move |c| store::meta::set_once(c, "cookie_key", &fresh))?;
    if kept.len() < 64 {
        return Err(StartError::Key);
    }
    CookieKeys::new(std::iter::once(kept.as_bytes())).ok_or(StartError::Key)
}

fn listen_for_changes(ctx: &Ctx) -> Result<ListenerHandle, StartError> {
    let live = Arc::downgrade(&ctx.live);
    let store = ctx.store.clone();
    Ok(spawn_listener(ctx.config.database_url.expose(), move |event| {
        invalidation::on_event(&live, &store, event)
    })?)
}

/// The first requests need not ask the database; but starting does not depend on it.
async fn wait_until_fresh(ctx: &Ctx) {
    for _ in 0..50 {
        if ctx.live.freshness.is_fresh() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn announce_idle(ctx: &Ctx) {
    let (value, _) =
        ctx.in_force()
            .policy
            .value(Key::AuthIdleSessionTimeout, crate::domain::account::Role::Member, None);
    if ctx.config.dev {
        tracing::warn!("development mode: idle endings are off for everyone");
        return;
    }
    match value {
        crate::domain::policy::Value::Number(-1) => tracing::info!("the policy ends no idle sessions"),
        crate::domain::policy::Value::Number(0) => tracing::info!("sessions end when their window is closed"),
        crate::domain::policy::Value::Number(secs) => tracing::info!("idle sessions end after {}", humanize(secs)),
        other => tracing::error!("the idle timeout is not a number: {other:?}"),
    }
}
