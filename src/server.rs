//! The server: builds everything from the configuration, serves, and stops in order.

mod context;
mod error;
mod last_connections;
pub mod maintenance;
mod metrics_catalogue;
mod metrics_endpoint;
mod metrics_hosts;
mod reload;
mod service_manager;
mod signals;
mod stop;
mod transport;
mod watchdog;

pub use context::context;
pub use error::StartError;
pub use service_manager::notify_service_manager;
pub use signals::HarmlessSignals;
pub use watchdog::reachable_address;

use crate::{
    clock::Clock,
    config::{Config, ConfigError},
    domain::{
        account::Role,
        duration::humanize,
        policy::{Key, Pins, Value},
    },
    flows::{self, Ctx},
    http::{self, session_cookie::CookieKeys},
    jobs::Jobs,
    live::invalidation,
    random::Random,
    store::{
        self,
        notify::{ListenerHandle, spawn_listener},
    },
};
use actix_server::ServerBuilder;
use actix_web::dev::ServerHandle;
use context::BASE_URL;
use last_connections::ListeningSockets;
use metrics_endpoint::serve_metrics;
use signals::Signals;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use watchdog::send_watchdog_signals;

/// A built server: its sockets are bound, nothing is answered yet.
pub struct Server {
    ctx: Ctx,
    server: actix_web::dev::Server,
    addresses: Vec<SocketAddr>,
    listener: ListenerHandle,
    metrics: Option<actix_web::dev::Server>,
    setup_link: Option<String>,
    sockets: ListeningSockets,
}

/// Time for requests in progress when the server is told to stop.
const SHUTDOWN_SECS: u64 = 10;

impl Server {
    /// Opens the sockets and the database and prepares all else; nothing is answered yet. After an
    /// error nothing keeps running. Must be called inside an actix system.
    pub async fn build(config: Config, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, StartError> {
        let listeners = bind(&config)?;
        let mut config = config;
        config.bind = addresses(&listeners)?;
        let ctx = context(config, clock, random, true)?;
        flows::policy::ensure_first_revision(&ctx).await?;
        flows::sources::adopt_configured(&ctx).await?;
        flows::decoys::refresh(&ctx).await?;
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
        let setup_link = open_setup(&ctx).await?;
        if flows::setup::lacks_administrator(&ctx).await? {
            tracing::warn!("{}", flows::setup::NO_ADMINISTRATOR);
        }
        log_idle_timeout(&ctx);
        tracing::info!("mail goes to {}", ctx.mailer.describe());
        let addresses = ctx.config.bind.clone();
        let app_ctx = ctx.clone();
        let sockets = ListeningSockets::of(&listeners)?;
        let application = move || http::app(app_ctx.clone(), keys.clone());
        let mut server = ServerBuilder::new().disable_signals().shutdown_timeout(SHUTDOWN_SECS);
        for listener in listeners {
            server = transport::listen(server, listener, &ctx, application.clone())?;
        }
        Ok(Self {
            ctx,
            server: server.run(),
            addresses,
            listener,
            metrics,
            setup_link,
            sockets,
        })
    }

    /// Returns the port of the first address: the assigned one where 0 was configured.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Returns the bound addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the link that creates the first administrator, while there is no account.
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// Returns the context of the server's flows.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Returns a handle that stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until a signal stops it; see [`Self::run_until_stopped`]. On SIGHUP, `load`
    /// reads the configuration again.
    pub async fn run_with_signals(
        self,
        harmless: HarmlessSignals,
        load: impl Fn() -> Result<Config, ConfigError> + 'static,
    ) -> Result<(), StartError> {
        let signals = Signals::install(harmless)?;
        let (ctx, handle) = (self.ctx.clone(), self.handle());
        let watched = self
            .addresses
            .first()
            .map(|address| actix_web::rt::spawn(send_watchdog_signals(*address)));
        let (server, sockets) = self.without_sockets();
        let obeying = actix_web::rt::spawn(signals.obey(ctx, handle, sockets, load));
        let stopped = server.run_until_stopped().await;
        obeying.abort();
        if let Some(watched) = watched {
            watched.abort();
        }
        stopped
    }

    /// Separates the duplicated socket handles: an address stays open while one of its handles is.
    fn without_sockets(mut self) -> (Self, ListeningSockets) {
        let sockets = std::mem::take(&mut self.sockets);
        (self, sockets)
    }

    /// Serves until [`Self::handle`] stops it; then finishes requests, writes the data in memory
    /// and closes. If the database does not answer, it gives up after some seconds and returns what
    /// could not be written.
    pub async fn run_until_stopped(self) -> Result<(), StartError> {
        drop(self.sockets);
        let jobs = Jobs::start(&self.ctx);
        let metrics = self
            .metrics
            .map(|metrics| (metrics.handle(), actix_web::rt::spawn(metrics)));
        let served = self.server.await;
        if let Some((metrics, _)) = metrics {
            metrics.stop(true).await;
        }
        stop::write_and_close(&self.ctx, jobs, self.listener).await?;
        Ok(served?)
    }
}

/// Opens setup on a new installation and returns its link.
async fn open_setup(ctx: &Ctx) -> Result<Option<String>, StartError> {
    let (base_url, path) = (ctx.config.base_url(), http::paths::SETUP);
    let token = flows::setup::open(ctx).await?;
    Ok(token.map(|token| format!("{base_url}{path}?token={}", token.expose())))
}

/// Refuses to start if pinned values contradict the stored policy; otherwise only the next save
/// would report it.
fn check_pins(ctx: &Ctx) -> Result<(), StartError> {
    let in_force = ctx.in_force();
    let document = in_force.policy.document();
    let without = document.faults(&Pins::default());
    let with = document.faults_since(document, &ctx.config.pins);
    let new = with.into_iter().find(|fault| !without.contains(fault));
    new.map_or(Ok(()), |fault| Err(StartError::Pinned(fault)))
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

/// Returns the keys that sign and seal cookies.
fn cookie_keys(ctx: &Ctx) -> Result<CookieKeys, StartError> {
    let keys = context::secret_keys(&ctx.config, &ctx.store, ctx.random.as_ref())?;
    CookieKeys::new(keys.iter().map(Vec::as_slice)).ok_or(StartError::Key)
}

fn listen_for_changes(ctx: &Ctx) -> Result<ListenerHandle, StartError> {
    let live = Arc::downgrade(&ctx.live);
    let (store, clock) = (ctx.store.clone(), ctx.clock.clone());
    Ok(spawn_listener(ctx.config.database_url.expose(), move |event| {
        invalidation::on_event(&live, &store, &*clock, event)
    })?)
}

/// Waits up to half a second for change notifications, so that the first requests need not ask the
/// database. Starting does not depend on it.
async fn wait_until_fresh(ctx: &Ctx) {
    for _ in 0..50 {
        if ctx.live.freshness.is_fresh() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Logs when inactive sessions end.
fn log_idle_timeout(ctx: &Ctx) {
    let in_force = ctx.in_force();
    let (value, _) = in_force.policy.value(Key::AuthIdleSessionTimeout, Role::Member, None);
    if ctx.config.dev {
        tracing::warn!("development mode: no session ends for inactivity");
        return;
    }
    match value {
        Value::Number(-1) => tracing::info!("the policy ends no inactive sessions"),
        Value::Number(0) => tracing::info!("sessions end when their window is closed"),
        Value::Number(secs) => tracing::info!("inactive sessions end after {}", humanize(secs)),
        other => tracing::error!("the idle timeout is not a number: {other:?}"),
    }
}
