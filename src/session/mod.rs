//! The life of one tracer without Python: load, attach, drain, close.
//!
//! * `ledger`: accounts for every matched call

pub mod ledger;

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::cgroup::reports::CgroupReports;
use crate::config::Config;
use crate::error::Result;
use crate::fields;
use crate::lineage::processes::Processes;
use crate::load;
use crate::load::attach::Attached;
use crate::load::coverage::HookCoverage;
use crate::load::loaded::Loaded;
use crate::mounts::host_root::HostRoot;
use crate::mounts::snapshots::Snapshots;
use crate::read::counters::ReaderCounters;
use crate::read::residual_filter::{ResidualFilter, walk_once};
use crate::read::{Reader, waiting};
use crate::ring::broker_lease::{BrokerLease, EndReason};
use crate::ring::buffer::Ring;
use crate::ring::control::Control;
use crate::ring::counters::{KernelCounters, Totals};
use crate::ring::drain::{Drain, Reports};
use crate::ring::queue::Queue;
use crate::session::ledger::Ledger;
use crate::sys::clock::unix_ns;
use crate::sys::close_on_fork::{CloseOnForkFd, generation};
use crate::sys::fdinfo::missed;
use crate::sys::membarrier::wait_for_programs;

#[derive(Debug)]
struct Running {
    /// First those of entries. They are detached before the others, so that calls in flight can still end.
    links: Vec<CloseOnForkFd>,
    programs: Vec<OwnedFd>,
    drain: Drain,
}

/// The kernel's counts after the close.
#[derive(Debug, Clone, Copy)]
struct Final {
    totals: Totals,
    missed: Option<u64>,
}

/// A tracer that is attached from its creation to its close.
#[derive(Debug)]
pub struct Session {
    queue: Arc<Queue>,
    control: Arc<Control>,
    counters: Arc<KernelCounters>,
    reader_counters: Arc<ReaderCounters>,
    reports: Arc<CgroupReports>,
    mounts: Arc<Snapshots>,
    processes: Option<Arc<Processes>>,
    running: Mutex<Option<Running>>,
    last: OnceLock<Final>,
    generation: u64,
    coverage: Vec<HookCoverage>,
    end: EndReason,
    /// Unix time at which the programs were attached.
    started_ns: i64,
}

impl Session {
    /// Loads the programs, attaches them and starts the drain thread. Events are seen from here on.
    ///
    /// # Errors
    ///
    /// All of [`crate::error::Error`].
    pub fn open(config: &Config) -> Result<(Self, Reader)> {
        Self::start(load::load(config)?, config, None)
    }

    /// Starts the drain thread for attached programs, which needs no privilege. `broker` is the connection to the
    /// process that keeps them attached, if that is another one.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`] when descriptors, memory or threads run out.
    pub fn start(loaded: Loaded, config: &Config, broker: Option<OwnedFd>) -> Result<(Self, Reader)> {
        let (host_root, has_lineage) = (config.host_root.clone(), config.fields.any(&fields::LINEAGE));
        let session = Self::drain(loaded, config.queue_bytes, broker, has_lineage, host_root)?;
        walk_once(config.filters.paths(), &config.host_root);
        let residual_filter = ResidualFilter::new(config.filters.outcome(), config.filters.paths().to_vec())
            .without_harmless(config.leaves_out())
            .informing(&session.counters, &session.mounts);
        let reader = Reader::new(Arc::clone(&session.queue), Arc::clone(&session.reader_counters), residual_filter);
        Ok((session, reader))
    }

    /// Starts the drain thread alone. The caller reads the queue. `has_lineage` tells whether the programs report what
    /// processes run.
    ///
    /// # Errors
    ///
    /// Those of [`Session::start`].
    pub fn drain(
        loaded: Loaded,
        queue_bytes: usize,
        broker: Option<OwnedFd>,
        has_lineage: bool,
        host_root: HostRoot,
    ) -> Result<Self> {
        let started_ns = unix_ns();
        let queue = Arc::new(Queue::new(queue_bytes)?);
        let counters = Arc::new(KernelCounters::new(&loaded.counters, &loaded.live, loaded.slots)?);
        let ring = Ring::new(loaded.ring, loaded.ring_bytes)?;
        let Attached { links, programs, coverage } = loaded.attached;
        let end = EndReason::default();
        let lease = broker.map(|socket| BrokerLease::new(socket, Arc::clone(&counters), Arc::clone(&end)));
        let reports = Arc::new(CgroupReports::default());
        let mounts = Snapshots::new(host_root);
        let processes = has_lineage.then(|| {
            let counters = Arc::clone(&counters);
            Arc::new(Processes::new(move || counters.lost_processes()))
        });
        let reporting =
            Reports { cgroups: Arc::clone(&reports), mounts: Arc::clone(&mounts), processes: processes.clone() };
        let drain = Drain::start(ring, Arc::clone(&queue), reporting, lease.transpose()?)?;
        if let Some(processes) = &processes {
            processes.scan();
        }
        Ok(Self {
            queue,
            control: Arc::clone(drain.control()),
            counters,
            reader_counters: Arc::default(),
            reports,
            mounts,
            processes,
            running: Mutex::new(Some(Running { links, programs, drain })),
            last: OnceLock::new(),
            generation: generation(),
            coverage,
            end,
            started_ns,
        })
    }

    /// Whether this process is a fork of the one that opened the session. A fork may only drop it.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.generation != generation()
    }

    /// Returns the Unix time from which on all events are still to be read. `None` when some were read already.
    #[must_use]
    pub fn watched_since_ns(&self) -> Option<i64> {
        let read = &*self.reader_counters;
        let is_untouched = read.decoded.load(Ordering::Relaxed) == 0;
        is_untouched.then_some(self.started_ns)
    }

    /// The queue that the reader reads.
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// The controls of the drain thread.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// See [`waiting`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(&self.queue, &self.reader_counters)
    }

    /// The reader's counters.
    #[must_use]
    pub fn reader_counters(&self) -> &Arc<ReaderCounters> {
        &self.reader_counters
    }

    /// The kernel's reports about cgroups.
    #[must_use]
    pub fn cgroup_reports(&self) -> Arc<CgroupReports> {
        Arc::clone(&self.reports)
    }

    /// What processes run, if the fields ask for it.
    #[must_use]
    pub fn processes(&self) -> Option<Arc<Processes>> {
        self.processes.clone()
    }

    /// Returns what the session sees. That is nothing once the broker is gone.
    #[must_use]
    pub fn coverage(&self) -> Vec<HookCoverage> {
        let mut coverage = self.coverage.clone();
        if let Some(end) = self.end.get() {
            for hook_coverage in coverage.iter_mut().filter(|hook_coverage| hook_coverage.hook.is_some()) {
                *hook_coverage = HookCoverage::absent(hook_coverage.name, end);
            }
        }
        coverage
    }

    /// The mounts of the namespaces in which events happened.
    #[must_use]
    pub fn mounts(&self) -> Arc<Snapshots> {
        Arc::clone(&self.mounts)
    }

    fn lock_running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Detaches the programs, drains the ring and ends the thread. Drained records can still be read.
    pub fn close(&self) {
        let mut running = self.lock_running();
        if let Some(Running { links, programs, drain }) = running.take() {
            for link in links {
                drop(link);
            }
            // Removing a link does not end its program. The program may be running on another CPU. It may also be about
            // to begin: the tracepoint has already fetched its list of programs and was interrupted before it got to
            // this one. The grace period that guards the list is not the one we can wait for. So first the programs are
            // told to stop counting, and then we wait for those that may have begun before they could see it. From
            // there on no counter moves and nothing comes into the ring. The last drain empties it, and the ledger is
            // final.
            self.counters.close();
            wait_for_programs();
            // Must precede `finish`, at which a broker learns of the end and closes the programs.
            let missed = missed(&programs);
            drain.finish();
            self.mounts.close();
            let last = Final { totals: self.counters.totals(), missed };
            // This is the only set: `running` is taken once.
            let _ = self.last.set(last);
        }
    }

    /// Returns the ledger as it is now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let read = &*self.reader_counters;
        // The reader's counters are read before the kernel's, because a decoded record was submitted earlier.
        let [decoded, pending, delivered, discarded, filtered, unreported_losses] =
            [&read.decoded, &read.pending, &read.delivered, &read.discarded, &read.filtered, &read.unreported_losses]
                .map(|counter| counter.load(Ordering::Relaxed));
        let running = self.lock_running();
        let (totals, missed) = match self.last.get() {
            Some(last) => (last.totals, last.missed),
            None => (self.counters.totals(), running.as_ref().and_then(|running| missed(&running.programs))),
        };
        // The queue's count is not used: a drain thread that gave up has left records in the ring.
        let waiting = totals.submitted.saturating_sub(decoded);
        let (pending, buffered, discarded) =
            if running.is_some() { (pending, waiting, discarded) } else { (0, 0, discarded + pending + waiting) };
        Ledger {
            matched: totals.matched,
            filtered: totals.filtered + filtered,
            lost_ring: totals.lost_ring,
            lost_state: 0,
            pending,
            buffered,
            delivered,
            discarded,
            missed: missed.map(|missed| missed + totals.missed),
            unpaired: read.unpaired.load(Ordering::Relaxed),
            lost_exits: totals.lost_exits,
            name_faults: read.name_faults.load(Ordering::Relaxed),
            truncated: read.truncated.load(Ordering::Relaxed),
            tail_lost: totals.tail_lost + unreported_losses,
            unfollowed: totals.unfollowed,
            lost_cgroups: totals.lost_cgroups + self.reports.dropped(),
            lost_processes: totals.lost_processes + self.processes.as_ref().map_or(0, |processes| processes.dropped()),
            lost_truths: totals.lost_truths + read.lost_truths.load(Ordering::Relaxed),
            lost_mounts: self.mounts.dropped(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_forked() {
            // The thread is the parent's, and somebody may have held a lock during the fork.
            let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(Running { drain, .. }) = running.take() {
                std::mem::forget(drain);
            }
        } else {
            self.close();
        }
    }
}
