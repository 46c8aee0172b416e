//! Database, memory and threads without sockets: what the server and the command line share.

use super::error::StartError;
use crate::{
    clock::Clock,
    config::Config,
    domain::{audit::seal::entry_time, policy::effective::PolicyEnvironment},
    flows::Ctx,
    hashing::Hasher,
    live::{self, LiveState, invalidation},
    mail::Mailer,
    random::{Random, bytes32},
    second_factor::FactorKeys,
    security_log::SecurityLog,
    store::{self, Backend, OpenOptions, Store, StoreError},
};
use data_encoding::HEXLOWER;
use std::{sync::Arc, time::Instant};
use url::Url;

/// Key under which the database keeps the address of the server.
pub(super) const BASE_URL: &str = "base_url";

/// Key under which the database keeps the generated cookie key.
pub(super) const COOKIE_KEY: &str = "cookie_key";

/// Opens the context of flows. `exclusive` is the server; a command that has no public URL uses the
/// address that the server last announced.
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
    learn_database_time(&store, &*clock)?;
    let security_log = open_security_log(&config)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hasher = Hasher::start(config.hash_cost, threads)?;
    let mailer = Mailer::new(&config)?;
    let mut environment = PolicyEnvironment {
        pins: config.pins.clone(),
        dev: config.dev,
        https: config.https(),
    };
    let follows_server = !exclusive && config.public_url.is_none();
    let (seq, policy, tables, announced_url, seal) = store.read_now(move |c| {
        // In this order: a change after the number was read is taken in again.
        let seq = store::changes::latest_seq(c)?;
        let announced_url = store::meta::get(c, BASE_URL)?;
        let announced_https = announced_url.as_ref().is_some_and(|url| url.starts_with("https:"));
        environment.https |= follows_server && announced_https;
        let policy = invalidation::read_policy(c, environment)?;
        Ok::<_, StoreError>((
            seq,
            policy,
            (
                live::applications::ApplicationSnapshot::read(c)?,
                live::sources::SourceSnapshot::read(c)?,
            ),
            announced_url,
            store::audit::seals::find_newest(c)?,
        ))
    })?;
    if follows_server {
        config.public_url = announced_url.and_then(|url| Url::parse(&url).ok());
    }
    let masters = secret_keys(&config, &store, &*random)?;
    let factor_keys = FactorKeys::derive(masters.iter().map(Vec::as_slice)).ok_or(StartError::Key)?;
    let live = Arc::new(LiveState::new(config.session_cache, policy, tables, seq));
    if let Some(seal) = seal {
        live.note_sealed(entry_time(seal.last));
    }
    Ok(Ctx {
        store,
        clock,
        random,
        hasher,
        mailer,
        live,
        config: Arc::new(config),
        security_log,
        factor_keys: Arc::new(factor_keys),
        form: None,
    })
}

/// Returns the configured keys, newest first, or the generated key that all instances share through
/// the database. The first instance generates it.
pub(super) fn secret_keys(config: &Config, store: &Store, random: &dyn Random) -> Result<Vec<Vec<u8>>, StartError> {
    if !config.secret_keys.is_empty() {
        return Ok(config.secret_keys.iter().map(|key| key.expose().to_vec()).collect());
    }
    let kept = match store.read_now(|c| store::meta::get(c, COOKIE_KEY))? {
        Some(kept) => kept,
        None => {
            let fresh = HEXLOWER.encode(&[bytes32(random), bytes32(random)].concat());
            store.write_now(move |c| store::meta::set_once(c, COOKIE_KEY, &fresh))?
        }
    };
    if kept.len() < 64 {
        return Err(StartError::Key);
    }
    Ok(vec![kept.into_bytes()])
}

/// Learns the time from a database that has a clock of its own, before anything is judged.
fn learn_database_time(store: &Store, clock: &dyn Clock) -> Result<(), StoreError> {
    if store.backend() == Backend::Postgres {
        let asked = Instant::now();
        let told = store.read_now(store::meta::now)?;
        clock.learn_database_time(told, asked.elapsed());
    }
    Ok(())
}

fn open_security_log(config: &Config) -> Result<Option<Arc<SecurityLog>>, StartError> {
    let Some(path) = &config.security_log else {
        return Ok(None);
    };
    let log = SecurityLog::open(path).map_err(|error| StartError::SecurityLog {
        path: path.display().to_string(),
        error,
    })?;
    Ok(Some(Arc::new(log)))
}
