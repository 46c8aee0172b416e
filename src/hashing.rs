//! Password hashing: argon2id on its own few threads, never on a reactor thread, behind a bounded queue.
//! What a password may be is `domain::password`; who may try one is `flows::login`.

use crate::domain::secret::Secret;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};
use tokio::sync::oneshot;

/// Cost of a hash. OWASP's first recommendation for argon2id is the default and the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    pub memory_kib: u32,
    pub iterations: u32,
}

impl HashCost {
    /// The least that is accepted: m = 19456 KiB, t = 2, p = 1.
    pub const FLOOR: Self = Self {
        memory_kib: 19_456,
        iterations: 2,
    };
}

/// The queue is full, or the threads are gone: nothing was hashed. Ask again in about so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at once; try again in {retry_after_secs} s")]
pub struct HashingBusyError {
    pub retry_after_secs: u32,
}

/// How many jobs may wait for each thread: at some 30 ms a hash, about two seconds of work.
const QUEUE_PER_THREAD: usize = 64;

enum Job {
    Hash {
        password: Secret,
        salt: [u8; 16],
        done: oneshot::Sender<String>,
    },
    Verify {
        password: Secret,
        hash: Option<String>,
        done: oneshot::Sender<bool>,
    },
}

/// Hashes and verifies; cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    queue: SyncSender<Job>,
    cost: HashCost,
    /// Passwords that reached a hash since the start: tests and metrics watch it.
    checked: Arc<AtomicUsize>,
}

impl Hasher {
    /// Starts `threads` threads; they end when the last clone is dropped.
    pub fn start(cost: HashCost, threads: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_PER_THREAD * threads);
        let jobs = Arc::new(Mutex::new(jobs));
        let argon = argon2(cost);
        // An account that does not exist is checked against this, so that it takes as long as one that does.
        let decoy: Arc<str> = hash(&argon, "decoy", &[7; 16]).into();
        let checked = Arc::new(AtomicUsize::new(0));
        for number in 0..threads {
            let (argon, jobs, decoy, checked) = (argon.clone(), jobs.clone(), decoy.clone(), checked.clone());
            std::thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || work(&argon, &jobs, &decoy, &checked))?;
        }
        Ok(Self { queue, cost, checked })
    }

    /// argon2id PHC string of `password`.
    pub async fn hash(&self, password: Secret, salt: [u8; 16]) -> Result<String, HashingBusyError> {
        let (done, answer) = oneshot::channel();
        self.enqueue(Job::Hash { password, salt, done })?;
        answer.await.map_err(|_| self.busy())
    }

    /// Whether `password` is the one behind `hash`. Without a hash the decoy is verified, which never matches and takes as long.
    pub async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, HashingBusyError> {
        let (done, answer) = oneshot::channel();
        self.enqueue(Job::Verify { password, hash, done })?;
        answer.await.map_err(|_| self.busy())
    }

    /// Whether a stored hash was made with lower cost than today's, or another algorithm.
    pub fn outdated(&self, stored: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(stored) else {
            return true;
        };
        let Ok(params) = Params::try_from(&parsed) else {
            return true;
        };
        parsed.algorithm.as_str() != Algorithm::Argon2id.as_str()
            || params.m_cost() < self.cost.memory_kib
            || params.t_cost() < self.cost.iterations
    }

    /// How many passwords were checked against a hash (decoy included) since the start.
    pub fn checked(&self) -> usize {
        self.checked.load(Ordering::Relaxed)
    }

    fn enqueue(&self, job: Job) -> Result<(), HashingBusyError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => self.busy(),
        })
    }

    fn busy(&self) -> HashingBusyError {
        HashingBusyError { retry_after_secs: 2 }
    }
}

/// Hashes at once on this thread: for programs that serve nobody else meanwhile.
pub fn hash_now(cost: HashCost, password: &Secret, salt: [u8; 16]) -> String {
    hash(&argon2(cost), password.expose(), &salt)
}

fn work(argon: &Argon2<'static>, jobs: &Mutex<Receiver<Job>>, decoy: &str, checked: &AtomicUsize) {
    // Checking sessions comes first: sign-ins queue, requests of people who are signed in do not.
    if let Err(error) = rustix::process::nice(5) {
        tracing::debug!(%error, "hashing threads keep the normal priority");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(Job::Hash { password, salt, done }) => {
                if !done.is_closed() {
                    // The asker may have gone meanwhile; then nobody needs the answer.
                    done.send(hash(argon, password.expose(), &salt)).ok();
                }
            }
            Ok(Job::Verify { password, hash, done }) => {
                if !done.is_closed() {
                    checked.fetch_add(1, Ordering::Relaxed);
                    let known = hash.is_some();
                    let matches = verify(argon, password.expose(), hash.as_deref().unwrap_or(decoy));
                    done.send(known && matches).ok();
                }
            }
            Err(_) => return,
        }
    }
}

fn argon2(cost: HashCost) -> Argon2<'static> {
    let params = Params::new(cost.memory_kib, cost.iterations, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(argon: &Argon2<'_>, password: &str, salt: &[u8]) -> String {
    let hashed: Result<PasswordHash, _> = argon.hash_password_with_salt(password.as_bytes(), salt);
    // Fails only on a salt or output of impossible length; both are constants here.
    hashed.expect("a 16-byte salt is valid").to_string()
}

fn verify(argon: &Argon2<'_>, password: &str, stored: &str) -> bool {
    match PasswordHash::new(stored) {
        Ok(stored) => argon.verify_password(password.as_bytes(), &stored).is_ok(),
        Err(error) => {
            tracing::error!(%error, "a stored password hash cannot be read");
            false
        }
    }
}
