//! One tracer's life without Python: load, attach, drain, close; and its ledger.

pub mod ledger;

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::cgroup::reports::CgroupReports;
use crate::config::Config;
use crate::error::Result;
use crate::load;
use crate::load::attach::Attached;
use crate::load::coverage::HookCoverage;
use crate::load::loaded::Loaded;
use crate::read::join::ReaderCounters;
use crate::read::residual_filter::ResidualFilter;
use crate::read::{Reader, waiting};
use crate::ring::broker_lease::{BrokerLease, EndReason};
use crate::ring::buffer::Ring;
use crate::ring::control::Control;
use crate::ring::counters::{KernelCounters, Totals};
use crate::ring::drain::Drain;
use crate::ring::queue::Queue;
use crate::session::ledger::Ledger;
use crate::sys::close_on_fork::{CloseOnForkFd, generation};
use crate::sys::fdinfo::missed;
use crate::sys::membarrier::wait_for_programs;

#[derive(Debug)]
struct Running {
    /// Those of entries first: they are detached before the others, so that what began can still end.
    links: Vec<CloseOnForkFd>,
    programs: Vec<OwnedFd>,
    drain: Drain,
}

/// What is left of the kernel's side after the close.
#[derive(Debug, Clone, Copy)]
struct Final {
    totals: Totals,
    missed: Option<u64>,
}

/// A session is attached from its creation to its close.
#[derive(Debug)]
pub struct Session {
    queue: Arc<Queue>,
    control: Arc<Control>,
    counters: Arc<KernelCounters>,
    counts: Arc<ReaderCounters>,
    reports: Arc<CgroupReports>,
    running: Mutex<Option<Running>>,
    last: OnceLock<Final>,
    generation: u64,
    coverage: Vec<HookCoverage>,
    end: EndReason,
}

impl Session {
    /// Loads, attaches and starts the drain thread. Events are seen from here on.
    ///
    /// # Errors
    ///
    /// All of [`crate::error::Error`].
    pub fn open(config: &Config) -> Result<(Self, Reader)> {
        Self::start(load::load(config)?, config, None)
    }

    /// Starts the drain thread of what is attached, which needs no privilege. `broker` is the connection to who keeps it
    /// so, where that is another process.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Os`]: descriptors, memory or threads ran out.
    pub fn start(loaded: Loaded, config: &Config, broker: Option<OwnedFd>) -> Result<(Self, Reader)> {
        let queue = Arc::new(Queue::new(config.queue_bytes)?);
        let counters = Arc::new(KernelCounters::new(&loaded.counters, &loaded.switch, loaded.slots)?);
        let ring = Ring::new(loaded.ring, loaded.ring_bytes)?;
        let Attached { links, programs, coverage } = loaded.attached;
        let end = EndReason::default();
        let connection = broker.map(|socket| BrokerLease::new(socket, Arc::clone(&counters), Arc::clone(&end)));
        let reports = Arc::new(CgroupReports::default());
        let drain = Drain::start(ring, Arc::clone(&queue), Arc::clone(&reports), connection.transpose()?)?;
        let counts = Arc::new(ReaderCounters::default());
        let residual_filter = ResidualFilter::new(config.filters.outcome(), config.filters.paths().to_vec());
        let reader = Reader::new(Arc::clone(&queue), Arc::clone(&counts), residual_filter);
        let session = Self {
            queue,
            control: Arc::clone(drain.control()),
            counters,
            counts,
            reports,
            running: Mutex::new(Some(Running { links, programs, drain })),
            last: OnceLock::new(),
            generation: generation(),
            coverage,
            end,
        };
        Ok((session, reader))
    }

    /// Whether this process is a fork of the one that opened the session. Nothing but dropping it is allowed then.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.generation != generation()
    }

    /// The queue that the reader reads.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What has the drain thread empty the ring.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// See [`waiting`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(&self.queue, &self.counts)
    }

    /// What the reader counts.
    #[must_use]
    pub fn counts(&self) -> &ReaderCounters {
        &self.counts
    }

    /// What the kernel reports of cgroups.
    #[must_use]
    pub fn cgroup_reports(&self) -> Arc<CgroupReports> {
        Arc::clone(&self.reports)
    }

    /// What the session sees: nothing any more, when the broker is gone.
    #[must_use]
    pub fn coverage(&self) -> Vec<HookCoverage> {
        let mut coverage = self.coverage.clone();
        if let Some(end) = self.end.get() {
            for part in coverage.iter_mut().filter(|part| part.hook.is_some()) {
                *part = HookCoverage::absent(part.name, end);
            }
        }
        coverage
    }

    fn lock_running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Detaches, takes what is left out of the ring, and ends the thread. What was drained can still be read.
    pub fn close(&self) {
        let mut running = self.lock_running();
        if let Some(Running { links, programs, drain }) = running.take() {
            for link in links {
                drop(link);
            }
            // A link that is gone does not mean that its program is: one may be running on another CPU, or be about to
            // begin, since the tracepoint has fetched its list already and was interrupted before it got there (the
            // grace period that guards that list is not the one we can wait for). So first the programs are told to
            // count no more, and then we wait for those that may have begun before they could see it. From there on
            // no counter moves and nothing comes into the ring: the last drain takes all there is, and what the ledger
            // says afterwards is final.
            self.counters.close();
            wait_for_programs();
            // Before a broker hears of the end, and lets go of them.
            let missed = missed(&programs);
            drain.finish();
            let last = Final { totals: self.counters.totals(), missed };
            // The first and only set: `running` is taken once.
            let _ = self.last.set(last);
        }
    }

    /// The ledger now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let counts = &*self.counts;
        // Before the kernel's counters: what is decoded was submitted, not the other way round.
        let [decoded, pending, delivered, discarded, filtered, unreported_losses] = [
            &counts.decoded,
            &counts.pending,
            &counts.delivered,
            &counts.discarded,
            &counts.filtered,
            &counts.unreported_losses,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let running = self.lock_running();
        let (totals, missed) = match self.last.get() {
            Some(last) => (last.totals, last.missed),
            None => (self.counters.totals(), running.as_ref().and_then(|running| missed(&running.programs))),
        };
        // Not what the queue was given: a drain thread that gave up has left the rest in the ring.
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
            missed,
            unpaired: counts.unpaired.load(Ordering::Relaxed),
            lost_exits: totals.lost_exits,
            name_faults: counts.name_faults.load(Ordering::Relaxed),
            truncated: counts.truncated.load(Ordering::Relaxed),
            tail_lost: totals.tail_lost + unreported_losses,
            unfollowed: totals.unfollowed,
            lost_cgroups: totals.lost_cgroups + self.reports.dropped(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_forked() {
            // The thread is the parent's, and a lock may have been held at the moment of the fork.
            let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(Running { drain, .. }) = running.take() {
                std::mem::forget(drain);
            }
        } else {
            self.close();
        }
    }
}
