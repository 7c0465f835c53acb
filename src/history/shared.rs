//! The state that the writer, the sealer and the callers of a recorder share.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};
use crate::history::anchor::{Anchor, Whereabouts};
use crate::history::containers::{Containers, Ids};
use crate::history::journal::Journal;
use crate::history::layout::Layout;
use crate::history::line::Line;
use crate::history::segment::Segment;
use crate::sys::clock::{since_boot_ns, unix_ns};

/// How a recording goes. The counts are those of one recorder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the writer works.
    pub running: bool,
    /// Events that were read from the tracer.
    pub events: u64,
    /// Of them, those in the log and on the disk.
    pub acknowledged: u64,
    /// Of them, those that wait in memory.
    pub in_memory: u64,
    /// Of them, those that found no room anywhere.
    pub dropped: u64,
    /// When something was acknowledged last.
    pub last_ack_ns: Option<i64>,
    /// The time of the latest event.
    pub last_event_ns: Option<i64>,
    /// All calls that had ended by then are recorded, or counted as lost.
    pub through_ns: i64,
    /// Calls of this process that named the heartbeat's path.
    pub heartbeats: u64,
    /// The time of the last one.
    pub last_heartbeat_ns: Option<i64>,
    /// Events that are lost. The journal tells of them as soon as it can be written.
    pub lost: u64,
    /// Gaps that this recorder has written.
    pub gaps: u64,
    /// Files that were sealed.
    pub sealed: u64,
    /// Sealed files that retention has removed.
    pub expired: u64,
    /// Files that were moved to the quarantine.
    pub quarantined: u64,
    /// Failures to write, whether they have passed or not.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<String>,
    /// Whether the last attempt to write the log failed, and events wait or the journal lacks what was dropped.
    pub failing: bool,
    /// Where the directory is now.
    pub whereabouts: Whereabouts,
    /// How many fewer lines the journal gets because too many waited for it to be writable again, and were merged.
    pub merged_lines: u64,
}

/// The errno and the text of a failure to write.
pub(crate) type Failure = (Option<i32>, String);

/// The end of a wait for a ticket.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether the recorder had stopped before.
    pub(crate) stopped: bool,
    pub(crate) not_written: Option<Failure>,
    pub(crate) not_sealed: Option<Failure>,
}

/// The state of requests. A ticket is done once the number of the same name has reached it.
#[derive(Debug, Default)]
struct Progress {
    asked: u64,
    done: u64,
    /// Whether the log is to be finished with the next cycle.
    finishes: bool,
    /// Since when the hooks may have seen nothing, until the writer has taken it.
    silent_since_ns: Option<i64>,
    /// Logs that were handed to the sealer, and those that it is done with.
    jobs: u64,
    jobs_done: u64,
    /// The latest failure of those that could not be sealed.
    unsealed: Option<Failure>,
    untold: Option<Failure>,
    stopped: bool,
    /// The errno and the text of the last cycle's failure.
    failure: Option<Failure>,
    /// Why the writer gave up.
    defect: Option<String>,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct Shared {
    /// `None` once the recorder is closed.
    anchor: Mutex<Option<Anchor>>,
    /// The name that the directory was opened by.
    pub(crate) directory: PathBuf,
    /// The paths in the directory, for as long as it is held.
    pub(crate) layout: Layout,
    pub(crate) host: String,
    pub(crate) session: i64,
    /// `None` once the recorder has stopped.
    journal: Mutex<Option<Journal>>,
    status: Mutex<Status>,
    segments: Mutex<BTreeMap<String, Segment>>,
    progress: Mutex<Progress>,
    containers: Mutex<Containers>,
    changed: Condvar,
    wake: EventFd,
    /// The ids of the writer's and the sealer's thread.
    own_threads: [AtomicU32; 2],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock less the time since boot.
pub(crate) fn clock_offset_ns() -> i64 {
    unix_ns() - since_boot_ns().cast_signed()
}

impl Shared {
    pub(crate) fn new(
        anchor: Anchor,
        host: String,
        session: i64,
        journal: Journal,
        segments: BTreeMap<String, Segment>,
        status: Status,
    ) -> Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            directory: anchor.name().to_owned(),
            layout: anchor.layout(),
            anchor: Mutex::new(Some(anchor)),
            host,
            session,
            journal: Mutex::new(Some(journal)),
            status: Mutex::new(status),
            segments: Mutex::new(segments),
            progress: Mutex::default(),
            containers: Mutex::new(Containers::new()),
            changed: Condvar::new(),
            wake: EventFd::from_value_and_flags(0, flags).map_err(Error::os("cannot make an eventfd"))?,
            own_threads: Default::default(),
        })
    }

    /// Notes the calling thread as one of the recorder's own.
    pub(crate) fn add_own_thread(&self) {
        // SAFETY: it takes nothing.
        let tid = unsafe { libc::gettid() }.cast_unsigned();
        let _ = self
            .own_threads
            .iter()
            .find(|slot| slot.compare_exchange(0, tid, Ordering::Relaxed, Ordering::Relaxed).is_ok());
    }

    /// Whether it is one of the recorder's own threads, by its id in the host's pid namespace.
    pub(crate) fn is_own_thread(&self, tid: u32) -> bool {
        self.own_threads.iter().any(|slot| slot.load(Ordering::Relaxed) == tid)
    }

    fn in_journal(&self, write: impl FnOnce(&mut Journal) -> io::Result<()>) -> io::Result<()> {
        let mut journal = lock(&self.journal);
        let Some(journal) = journal.as_mut() else { return Err(io::Error::other("the journal is closed")) };
        let written = write(journal);
        let merged_lines = journal.merged_lines;
        self.update(|status| status.merged_lines = merged_lines);
        written
    }

    /// Counts the logs and their bytes.
    pub(crate) fn logs(&self) -> (u64, u64) {
        let anchor = lock(&self.anchor);
        // The descriptor's number may be another file's by now.
        let layout = if anchor.is_some() { self.layout.clone() } else { Layout::new(&self.directory) };
        let logs = layout.logs().unwrap_or_default();
        let bytes = logs.iter().map(|stem| std::fs::metadata(layout.log(*stem)).map_or(0, |metadata| metadata.len()));
        (logs.len() as u64, bytes.sum())
    }

    /// Opens the directory once more. `None` when it was let go.
    pub(crate) fn open_directory(&self) -> Option<io::Result<OwnedFd>> {
        lock(&self.anchor).as_ref().map(Anchor::reopen)
    }

    /// Notes the containers of these events.
    pub(crate) fn see_containers(&self, batch: &RecordBatch) {
        lock(&self.containers).see(batch);
    }

    /// Takes the containers that are new.
    pub(crate) fn new_containers(&self) -> Vec<Ids> {
        lock(&self.containers).take()
    }

    /// Lets the directory go. The threads have ended.
    pub(crate) fn let_go(&self) {
        *lock(&self.anchor) = None;
    }

    /// Looks where the directory is now. The journal tells of a change, as far as it still can.
    pub(crate) fn look(&self) -> Whereabouts {
        let now = match lock(&self.journal).as_ref() {
            Some(journal) if journal.is_removed() => Whereabouts::Removed,
            _ => lock(&self.anchor).as_ref().map_or(Whereabouts::Removed, Anchor::whereabouts),
        };
        let mut before = now;
        self.update(|status| before = std::mem::replace(&mut status.whereabouts, now));
        if before != now {
            // It waits for a journal that can be written.
            let _ = self.note(vec![Line::new("directory").text("is", now.as_str())]);
        }
        now
    }

    /// Writes lines to the disk. After an error they are not kept.
    pub(crate) fn append(&self, lines: Vec<Line>) -> io::Result<()> {
        self.in_journal(|journal| journal.append(lines))
    }

    /// Writes lines to the disk, with those that wait. After an error they wait, too.
    pub(crate) fn note(&self, lines: Vec<Line>) -> io::Result<()> {
        self.in_journal(|journal| {
            for line in lines {
                journal.note(line);
            }
            journal.flush()
        })
    }

    pub(crate) fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut lock(&self.status));
    }

    pub(crate) fn note_error(&self, text: &str) {
        self.update(|status| {
            status.errors += 1;
            status.last_error = Some(text.to_owned());
        });
    }

    pub(crate) fn segments(&self) -> Vec<Segment> {
        lock(&self.segments).values().cloned().collect()
    }

    pub(crate) fn add_segments(&self, added: Vec<Segment>) {
        lock(&self.segments).extend(added.into_iter().map(|segment| (segment.file.clone(), segment)));
    }

    pub(crate) fn remove_segment(&self, file: &str) {
        lock(&self.segments).remove(file);
    }

    /// The descriptor that the writer waits for.
    pub(crate) fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Asks for a cycle of the writer. Returns the ticket.
    pub(crate) fn ask(&self, finishes: bool) -> u64 {
        let mut progress = lock(&self.progress);
        progress.asked += 1;
        progress.finishes |= finishes;
        let ticket = progress.asked;
        // One more than there are threads cannot overflow it.
        let _ = self.wake.write(1);
        ticket
    }

    /// Takes the requests that the next cycle is for: the latest ticket, and whether the log is to be finished.
    pub(crate) fn requests(&self) -> (u64, bool) {
        let _ = self.wake.read();
        let mut progress = lock(&self.progress);
        (progress.asked, std::mem::take(&mut progress.finishes))
    }

    /// Notes that the hooks may see nothing since a time.
    pub(crate) fn set_silent(&self, since_ns: i64) {
        lock(&self.progress).silent_since_ns = Some(since_ns);
    }

    pub(crate) fn take_silent(&self) -> Option<i64> {
        lock(&self.progress).silent_since_ns.take()
    }

    pub(crate) fn has_requests(&self) -> bool {
        let progress = lock(&self.progress);
        progress.asked > progress.done
    }

    /// Notes that the requests up to a ticket are done, or have failed.
    pub(crate) fn done(&self, ticket: u64, failure: Option<Failure>) {
        let mut progress = lock(&self.progress);
        progress.done = progress.done.max(ticket);
        progress.failure = failure;
        self.changed.notify_all();
    }

    pub(crate) fn job_sent(&self) {
        lock(&self.progress).jobs += 1;
    }

    pub(crate) fn job_done(&self) {
        lock(&self.progress).jobs_done += 1;
        self.changed.notify_all();
    }

    /// Notes that lines of the journal could not be written before the end.
    pub(crate) fn set_untold(&self, failure: Failure) {
        lock(&self.progress).untold = Some(failure);
    }

    /// Why lines of the journal could not be written before the end.
    pub(crate) fn untold(&self) -> Option<Failure> {
        lock(&self.progress).untold.clone()
    }

    pub(crate) fn set_unsealed(&self, failure: Option<Failure>) {
        lock(&self.progress).unsealed = failure;
    }

    pub(crate) fn stopped(&self, defect: Option<String>) {
        *lock(&self.journal) = None;
        self.update(|status| status.running = false);
        let mut progress = lock(&self.progress);
        progress.stopped = true;
        progress.defect = defect;
        self.changed.notify_all();
    }

    /// Waits until a ticket is done, and with `seals` until the sealer has nothing to do. Returns `None` at the deadline.
    pub(crate) fn wait(&self, ticket: u64, seals: bool, timeout: Duration) -> Option<Done> {
        let deadline = Instant::now() + timeout;
        let mut progress = lock(&self.progress);
        loop {
            let is_done = progress.done >= ticket && (!seals || progress.jobs_done >= progress.jobs);
            if is_done || progress.stopped {
                return Some(Done {
                    stopped: progress.stopped && !is_done,
                    not_written: progress.failure.clone(),
                    not_sealed: progress.unsealed.clone().filter(|_| seals),
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            progress = self.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the writer has stopped. Returns false at the deadline.
    pub(crate) fn wait_stopped(&self, timeout: Duration) -> bool {
        let progress = lock(&self.progress);
        let waited = self.changed.wait_timeout_while(progress, timeout, |progress| !progress.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Takes the reason why the writer gave up.
    pub(crate) fn take_defect(&self) -> Option<String> {
        lock(&self.progress).defect.take()
    }
}
