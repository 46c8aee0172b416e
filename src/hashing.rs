//! Password hashing: argon2id on a few dedicated threads, never on a reactor thread, behind a
//! bounded queue with shares per client and purpose. `domain::password` decides which passwords are
//! accepted; `flows::login` decides who may try one.

mod argon;
mod cost;
mod decoy;
mod shares;

pub use cost::HashCost;
pub use decoy::DecoyCosts;
pub use shares::{HashingClient, HashingPurpose};

use crate::domain::secret::Secret;
use argon::Workspace;
use shares::{QueuePlace, QueueShares};
use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The queue, or the caller's share of it, is full: nothing was hashed. Try again after
/// `retry_after_secs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at once; try again in {retry_after_secs} s")]
pub struct HashingBusyError {
    /// The time to wait, in seconds.
    pub retry_after_secs: u32,
}

/// Maximum number of waiting jobs per thread: with about 30 ms per hash, two seconds of work.
const QUEUE_PER_THREAD: usize = 64;
/// Time without work after which the threads release their memory.
const IDLE: Duration = Duration::from_secs(10);

/// The hash with which a password is compared.
#[derive(Debug, Clone)]
pub enum ComparisonHash {
    /// The PHC string of an account.
    Stored(String),
    /// No account has the name with this key: the check costs as much as for an account, and never
    /// matches.
    Nobody(String),
}

enum Job {
    Hash {
        password: Secret,
        salt: [u8; 16],
        done: oneshot::Sender<String>,
        place: QueuePlace,
    },
    Verify {
        password: Secret,
        candidate: ComparisonHash,
        done: oneshot::Sender<bool>,
        place: QueuePlace,
    },
}

impl Job {
    fn place(&self) -> &QueuePlace {
        match self {
            Self::Hash { place, .. } | Self::Verify { place, .. } => place,
        }
    }

    /// Returns whether no one waits for the answer any longer.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash { done, .. } => done.is_closed(),
            Self::Verify { done, .. } => done.is_closed(),
        }
    }
}

/// Hashes and verifies passwords; cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    queue: SyncSender<Job>,
    cost: HashCost,
    shares: Arc<QueueShares>,
    shared: Arc<HasherState>,
}

/// The state that the threads share with callers.
struct HasherState {
    decoys: RwLock<DecoyCosts>,
    /// Passwords that reached a hash since the start, for tests and metrics.
    checked: AtomicUsize,
    /// Memory that was filled for them, in KiB.
    work: AtomicU64,
    /// The memory of each thread.
    workspaces: Vec<Mutex<Workspace>>,
}

impl Hasher {
    /// Starts `threads` threads; they end when the last clone is dropped.
    pub fn start(cost: HashCost, threads: usize) -> std::io::Result<Self> {
        let capacity = QUEUE_PER_THREAD * threads;
        let (queue, jobs) = sync_channel(capacity);
        let jobs = Arc::new(Mutex::new(jobs));
        let shared = Arc::new(HasherState {
            decoys: RwLock::new(DecoyCosts::all_at(cost)),
            checked: AtomicUsize::new(0),
            work: AtomicU64::new(0),
            workspaces: (0..threads).map(|_| Mutex::default()).collect(),
        });
        for number in 0..threads {
            let (jobs, shared) = (jobs.clone(), shared.clone());
            std::thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || work(cost, number, &jobs, &shared))?;
        }
        Ok(Self {
            queue,
            cost,
            shares: Arc::new(QueueShares::new(capacity)),
            shared,
        })
    }

    /// Returns the argon2id PHC string of `password`.
    pub async fn hash(
        &self,
        client: &HashingClient,
        password: Secret,
        salt: [u8; 16],
    ) -> Result<String, HashingBusyError> {
        let (done, answer) = oneshot::channel();
        self.enqueue(Job::Hash {
            password,
            salt,
            done,
            place: self.place(client)?,
        })?;
        answer.await.map_err(|_| self.busy())
    }

    /// Returns whether `password` matches `candidate`.
    pub async fn verify(
        &self,
        client: &HashingClient,
        password: Secret,
        candidate: ComparisonHash,
    ) -> Result<bool, HashingBusyError> {
        let (done, answer) = oneshot::channel();
        self.enqueue(Job::Verify {
            password,
            candidate,
            done,
            place: self.place(client)?,
        })?;
        answer.await.map_err(|_| self.busy())
    }

    /// Returns whether a stored hash has a lower cost than the configured one, or another
    /// algorithm.
    pub fn outdated(&self, stored: &str) -> bool {
        HashCost::from_hash(stored)
            .is_none_or(|cost| cost.memory_kib < self.cost.memory_kib || cost.iterations < self.cost.iterations)
    }

    /// Returns the configured cost.
    pub fn cost(&self) -> HashCost {
        self.cost
    }

    /// Returns eight digits that represent a name in records: always the same for the same name,
    /// and useless without the installation's key.
    pub fn mark_of(&self, name_key: &str) -> String {
        let decoys = self.shared.decoys.read().unwrap_or_else(PoisonError::into_inner);
        decoys.mark_of(name_key)
    }

    /// Sets the costs of checks for names without an account.
    pub fn set_decoy_costs(&self, costs: DecoyCosts) {
        *self.shared.decoys.write().unwrap_or_else(PoisonError::into_inner) = costs;
    }

    /// Moves one account from the cost of its old hash to that of its new one, so that names
    /// without an account follow at once.
    pub fn move_decoy_cost(&self, old: &str, new: &str) {
        if let (Some(old), Some(new)) = (HashCost::from_hash(old), HashCost::from_hash(new)) {
            let mut decoys = self.shared.decoys.write().unwrap_or_else(PoisonError::into_inner);
            decoys.move_account(old, new);
        }
    }

    /// Returns how many passwords were checked against a hash since the start, including decoys.
    pub fn checked(&self) -> usize {
        self.shared.checked.load(Ordering::Relaxed)
    }

    /// Returns the memory that was filled for those checks since the start, in KiB.
    pub fn work(&self) -> u64 {
        self.shared.work.load(Ordering::Relaxed)
    }

    /// Returns how many passwords are waiting or being hashed.
    pub fn queued(&self) -> usize {
        self.shares.taken_places()
    }

    /// Returns the maximum number of waiting passwords.
    pub fn queue_limit(&self) -> usize {
        self.shares.capacity()
    }

    fn place(&self, client: &HashingClient) -> Result<QueuePlace, HashingBusyError> {
        self.shares.take(client).ok_or_else(|| self.busy())
    }

    fn enqueue(&self, job: Job) -> Result<(), HashingBusyError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => self.busy(),
        })
    }

    fn busy(&self) -> HashingBusyError {
        metrics::counter!("nightlatch_hashing_refused_total").increment(1);
        HashingBusyError { retry_after_secs: 2 }
    }
}

/// Hashes on the current thread, for programs that serve no one else meanwhile.
pub fn hash_now(cost: HashCost, password: &Secret, salt: [u8; 16]) -> String {
    Workspace::default().hash(cost, password.expose(), &salt)
}

/// Runs the loop of the thread with that number.
fn work(cost: HashCost, number: usize, jobs: &Mutex<Receiver<Job>>, shared: &HasherState) {
    // Session checks have priority: sign-ins wait in the queue, requests of signed-in users do not.
    if let Err(error) = rustix::process::nice(5) {
        tracing::debug!(%error, "the hashing threads keep normal priority");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(IDLE);
        match job {
            Ok(job) => shared.run_job(job, cost, number),
            // The other threads wait for this one, so it releases the workspaces of all.
            Err(RecvTimeoutError::Timeout) => shared.release_workspaces(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl HasherState {
    /// Performs a job, unless the caller has gone in the meantime.
    fn run_job(&self, job: Job, cost: HashCost, number: usize) {
        let Some(workspace) = self.workspaces.get(number) else {
            return;
        };
        if job.is_abandoned() {
            return;
        }
        metrics::histogram!("nightlatch_password_wait_seconds").record(job.place().age());
        let mut workspace = workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let hashed = || metrics::histogram!("nightlatch_password_hash_seconds").record(began.elapsed());
        match job {
            Job::Hash {
                password,
                salt,
                done,
                place,
            } => {
                let hash = workspace.hash(cost, password.expose(), &salt);
                hashed();
                drop(place);
                done.send(hash).ok();
            }
            Job::Verify {
                password,
                candidate,
                done,
                place,
            } => {
                let matches = self.verify(&password, candidate, &mut workspace);
                hashed();
                drop(place);
                done.send(matches).ok();
            }
        }
    }

    /// Releases the memory of idle threads.
    fn release_workspaces(&self) {
        let mut released = false;
        for workspace in &self.workspaces {
            if let Ok(mut workspace) = workspace.try_lock() {
                released |= workspace.release();
            }
        }
        if released {
            trim_free_memory();
        }
    }

    fn verify(&self, password: &Secret, candidate: ComparisonHash, workspace: &mut Workspace) -> bool {
        let (stored, is_stored) = match candidate {
            ComparisonHash::Stored(stored) => (stored, true),
            ComparisonHash::Nobody(name_key) => {
                let decoys = self.decoys.read().unwrap_or_else(PoisonError::into_inner);
                (decoys.hash_for(&name_key), false)
            }
        };
        self.checked.fetch_add(1, Ordering::Relaxed);
        let work = HashCost::from_hash(&stored).map_or(0, HashCost::work);
        self.work.fetch_add(work, Ordering::Relaxed);
        workspace.verify(password.expose(), &stored) && is_stored
    }
}

/// Gives free memory back to the system. After the first release glibc keeps blocks of this size in
/// its arenas: a sign-in now and then would leave one in each of them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim_free_memory() {
    // SAFETY: it takes no pointer, and any thread may call it at any time (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators return free memory themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim_free_memory() {}
