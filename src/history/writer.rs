//! The thread that reads the tracer and writes the log.
//!
//! A cycle notes the time T and the position of the ring, reads until the queue has caught up with that position, and
//! commits. Every call that had returned by T had written its records before that position. So T is the watermark of the
//! batch that ends the reading, and no earlier batch may have it: "now" after the reading would cover calls that are
//! still in the ring.

mod read;
mod tell;

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::columns::schema::shared as raw_schema;
use crate::error::Error;
use crate::event::values::Values;
use crate::history::anchor::Whereabouts;
use crate::history::dropped::Dropped;
use crate::history::files::remove;
use crate::history::line::Line;
use crate::history::log::{Finished, Log};
use crate::history::losses::Losses;
use crate::history::schema::Converter;
use crate::history::seen::Seen;
use crate::history::shared::{Failure, Shared, clock_offset_ns};
use crate::history::through::Through;
use crate::read::Reader;
use crate::session::Session;
use crate::sys::clock::unix_ns;

/// The bytes after which a cycle commits before it reads on, and those that they take uncompressed.
const COMMIT_BYTES: usize = 8 << 20;
const COMMIT_RAW_BYTES: u64 = 32 << 20;

/// How long the drain thread may gather before it is asked to hurry, and how long a record may be half written.
const GATHER: Duration = Duration::from_millis(3);
const STUCK: Duration = Duration::from_millis(900);

/// The time between two looks at how full the queue is, while events wait for the next cycle.
const LOOK: Duration = Duration::from_millis(20);

/// How often a closed recorder tries to write what it still has.
const LAST_TRIES: u32 = 3;

/// The bounds of a writer.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) sync: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_s: f64,
    pub(crate) memory_bytes: usize,
    pub(crate) heartbeat: Option<Vec<u8>>,
}

/// The thread's state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    session: Arc<Session>,
    reader: Reader,
    values: Values,
    raw_schema: SchemaRef,
    converter: Converter,
    log: Log,
    through: Through,
    through_ns: i64,
    limits: Limits,
    losses: Losses,
    /// The events that wait in memory: what is dropped should they never be written.
    waiting: Option<Dropped>,
    own_pid: u32,
    /// The beginning of the names of the recorder's own files. What a recorder does itself is not recorded: each sealed
    /// log that it removes would be an event in the next.
    roots: [Vec<u8>; 2],
    clock_offset_ns: i64,
    last_ns: i64,
    /// The watermarks of the last two cycles that told losses, the earlier one first.
    told_through_ns: [i64; 2],
    /// Whether the heartbeat does not come back. Then nothing is sure, and the watermark stays where it is.
    is_silent: bool,
    /// Whether the journal has the end of the session.
    is_ended: bool,
}

/// Waits until one of two descriptors is readable. Returns which of them are.
fn ready(fds: [&dyn AsFd; 2], timeout: Duration) -> [bool; 2] {
    let mut polled = fds.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    // Rounded up: a rest below a millisecond must not become a busy loop.
    let timeout = PollTimeout::try_from(timeout + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    // All signals are blocked, and after any other error the cycle looks at everything.
    let _ = poll(&mut polled, timeout);
    polled.map(|fd| fd.any().unwrap_or(false))
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        session: Arc<Session>,
        (reader, values): (Reader, Values),
        (converter, log): (Converter, Log),
        through: Through,
        limits: Limits,
    ) -> Self {
        let through_ns = shared.status().through_ns;
        let roots = [shared.layout.root(), &shared.directory];
        let roots = roots.map(|root| [root.as_os_str().as_encoded_bytes(), b"/"].concat());
        Self {
            roots,
            raw_schema: raw_schema(values.fields()),
            shared,
            session,
            reader,
            values,
            converter,
            log,
            through,
            through_ns,
            limits,
            losses: Losses::default(),
            waiting: None,
            own_pid: std::process::id(),
            clock_offset_ns: clock_offset_ns(),
            last_ns: through_ns,
            told_through_ns: [through_ns; 2],
            is_silent: false,
            is_ended: false,
        }
    }

    /// Works until the session is closed, and then ends the sealer.
    pub(crate) fn run(mut self, sender: Sender<Finished>, sealer: JoinHandle<()>) {
        self.shared.add_own_thread();
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(&sender)));
        let failure = self.session.queue().take_failure().map(|failure| format!("the drain thread gave up: {failure}"));
        let defect = match worked {
            Ok(()) => failure,
            Err(_) => Some("the writer panicked, which is a defect".into()),
        };
        drop(sender);
        // It catches its own panics and tells of them.
        let _ = sealer.join();
        // Sealing may have made room.
        match self.shared.note(Vec::new()).and_then(|()| self.tell_dropped()) {
            Ok(()) if self.is_ended => {
                let _ = remove(&self.shared.layout.through(self.shared.session));
            }
            // The next recorder reads the state.
            Ok(()) => {}
            Err(error) => {
                let text = format!("cannot write the journal: {error}");
                self.shared.note_error(&text);
                self.shared.set_untold((error.raw_os_error(), text));
            }
        }
        self.shared.stopped(defect);
    }

    fn work(&mut self, sender: &Sender<Finished>) {
        let mut last_cycle: Option<Instant> = None;
        loop {
            self.wait(last_cycle);
            last_cycle = Some(Instant::now());
            let (ticket, finishes) = self.shared.requests();
            let is_closed = self.session.queue().is_closed();
            let failure = self.cycle(sender);
            if finishes || self.log.is_due(self.limits.segment_bytes, self.limits.segment_s) {
                self.finish_log(sender);
            }
            self.shared.done(ticket, failure);
            if is_closed {
                return self.end(sender);
            }
        }
    }

    /// Waits until the next cycle is due: after the time of a cycle, earlier when the queue fills or somebody asks.
    fn wait(&self, last_cycle: Option<Instant>) {
        let due = last_cycle.map_or_else(Instant::now, |last| last + self.limits.sync);
        let queue = self.session.queue();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.is_closed() || self.shared.has_requests() || queue.is_filling() {
                return;
            }
            let wake = self.shared.wake().as_fd();
            // While events wait, their descriptor is readable, and only the wake-up is worth waiting for.
            let [has_events, _] = ready([queue, &wake], Duration::ZERO);
            let is_woken =
                if has_events { ready([&wake, &wake], left.min(LOOK))[0] } else { ready([queue, &wake], left)[1] };
            // The cycle makes the descriptor unreadable.
            if is_woken {
                return;
            }
        }
    }

    /// Reads everything that had happened, and has it acknowledged. Returns the failure to do so.
    fn cycle(&mut self, sender: &Sender<Finished>) -> Option<Failure> {
        let (mut failure, mut dropped, mut unread) = (None, None, None);
        let until_ns = unix_ns();
        let position = self.session.control().written();
        let mut heartbeats = 0;
        self.tell_silence(until_ns);
        let mut is_sure = self.catch_up(position) && !self.is_silent;
        let mut last_event_ns = self.last_ns;
        loop {
            // Looked at before the read: what was queued by then is part of it.
            let queue = self.session.queue();
            let (closed, complete) = (queue.is_closed(), queue.has_reached(position));
            let mut seen = Seen::default();
            let (batch, is_drained) = match self.read(&mut seen) {
                Ok(read) => read,
                Err(error) => {
                    // Without memory the events stay to be read. A malformed record is skipped, and counted.
                    let text = format!("cannot read events: {error}");
                    self.shared.note_error(&text);
                    if matches!(error, Error::Memory(_)) {
                        unread = Some((Some(libc::ENOMEM), text));
                    }
                    // There may be events behind it.
                    is_sure = false;
                    thread::sleep(LOOK);
                    (None, true)
                }
            };
            let is_last = is_drained && (complete || closed);
            last_event_ns = seen.last_ns.map_or(last_event_ns, |last| last_event_ns.max(last));
            let through_ns = if is_last && is_sure && !self.losses.lacks() { until_ns } else { self.through_ns };
            self.note_seen(&seen);
            heartbeats += seen.heartbeats;
            if let Some(batch) = batch {
                self.shared.see_containers(&batch);
                dropped = self.push(&batch, through_ns, &seen, sender).or(dropped);
            }
            let is_much = self.log.waiting().1 >= COMMIT_BYTES || self.log.waiting_raw() >= COMMIT_RAW_BYTES;
            if is_last || failure.is_none() && is_much {
                failure = self.commit(sender);
            }
            if is_last {
                break;
            }
            // What is sealed at once has a bound, whatever a cycle reads.
            if self.log.is_due(self.limits.segment_bytes, self.limits.segment_s) {
                self.finish_log(sender);
            }
            if is_drained {
                is_sure &= self.catch_up(position);
            }
        }
        self.last_ns = last_event_ns;
        if self.is_silent && heartbeats > 0 {
            self.is_silent = false;
            self.tell_gap(self.through_ns, until_ns);
        }
        let untold = self.tell_losses(until_ns);
        self.losses.is_untold = untold.is_some();
        if failure.is_none() && is_sure && untold.is_none() {
            self.through_ns = until_ns;
        }
        self.told_through_ns = [self.told_through_ns[1], self.through_ns];
        if failure.is_none() && dropped.is_none() && untold.is_none() && self.waiting.is_none() {
            self.shared.update(|status| status.failing = false);
        }
        self.tell_clock();
        self.write_state();
        failure.or(dropped).or(unread).or(untold)
    }

    /// Waits until the queue has what the ring had up to a position, or is full. Returns false when that was given up.
    fn catch_up(&self, position: u64) -> bool {
        let queue = self.session.queue();
        let start = Instant::now();
        if !queue.wait_for(position, GATHER, || false) {
            self.session.control().flush(position);
            if !queue.wait_for(position, 2 * STUCK, || false) {
                return false;
            }
        }
        // A reader that waits for too long is let go although the record is still being written.
        start.elapsed() < STUCK
    }

    /// Adds a batch to the log. Where memory holds no more and the log takes nothing, it is counted as lost, and that
    /// failure is returned.
    fn push(
        &mut self,
        batch: &RecordBatch,
        through_ns: i64,
        seen: &Seen,
        sender: &Sender<Finished>,
    ) -> Option<Failure> {
        let pushed = self.log.push(batch, through_ns);
        let failure = match &pushed {
            Err(error) => {
                let text = format!("cannot write a batch: {error}");
                self.shared.note_error(&text);
                Some((None, text))
            }
            // A batch can be larger than all of the memory that may wait.
            Ok(()) if self.log.waiting().1 > self.limits.memory_bytes => self.commit(sender),
            Ok(()) => None,
        };
        let (from_ns, to_ns) = (seen.first_ns.unwrap_or(self.last_ns), seen.last_ns.unwrap_or(self.last_ns));
        let events = Dropped { count: batch.num_rows() as u64, from_ns, to_ns };
        let (waiting, bytes) = self.log.waiting();
        if pushed.is_ok() && bytes <= self.limits.memory_bytes {
            // With a commit before, nothing waits.
            self.waiting = (waiting > 0).then(|| events.merge(self.waiting));
            return None;
        }
        if pushed.is_ok() {
            self.log.drop_latest();
        }
        self.count_dropped(events);
        failure
    }

    /// Counts events as lost for want of room.
    fn count_dropped(&mut self, events: Dropped) {
        self.losses.dropped = Some(events.merge(self.losses.dropped));
        self.losses.total_dropped += events.count;
        self.shared.update(|status| {
            status.dropped += events.count;
            status.lost += events.count;
            status.in_memory = self.log.waiting().0;
        });
    }

    fn commit(&mut self, sender: &Sender<Finished>) -> Option<Failure> {
        if self.shared.look() == Whereabouts::Removed {
            let text = "the recorder's directory was removed";
            self.shared.note_error(text);
            self.shared.update(|status| {
                status.in_memory = self.log.waiting().0;
                status.failing = true;
            });
            return Some((Some(libc::ENOENT), text.into()));
        }
        if self.log.waiting().0 == 0 {
            return None;
        }
        let (committed, given_up) = self.log.commit();
        if let Some(finished) = given_up {
            self.send(finished, sender);
        }
        let (waiting, _) = self.log.waiting();
        match committed {
            Ok(rows) => {
                self.waiting = None;
                self.shared.update(|status| {
                    status.acknowledged += rows;
                    status.in_memory = waiting;
                    status.failing = false;
                    if rows > 0 {
                        status.last_ack_ns = Some(unix_ns());
                    }
                });
                None
            }
            Err(error) => {
                let text = format!("cannot write the log: {error}");
                self.shared.note_error(&text);
                self.shared.update(|status| {
                    status.in_memory = waiting;
                    status.failing = true;
                });
                Some((error.raw_os_error(), text))
            }
        }
    }

    fn finish_log(&mut self, sender: &Sender<Finished>) {
        if let Some(finished) = self.log.finish() {
            self.send(finished, sender);
        }
    }

    fn send(&self, finished: Finished, sender: &Sender<Finished>) {
        self.shared.job_sent();
        // Without the sealer the log stays for the next recorder.
        let _ = sender.send(finished);
    }

    /// Writes the end of the session.
    fn end(&mut self, sender: &Sender<Finished>) {
        for _ in 0..LAST_TRIES {
            if self.log.waiting().0 == 0 || self.commit(sender).is_none() {
                break;
            }
            thread::sleep(self.limits.sync.min(Duration::from_millis(500)));
        }
        if let Some(waiting) = self.waiting.take() {
            self.count_dropped(waiting);
            self.shared.update(|status| status.in_memory = 0);
        }
        if self.tell_dropped().is_err() {
            // The very end tries again. Should it fail too, the next recorder tells of them. The state still has the
            // bytes of the log that are on the disk.
            self.write_state();
        }
        self.finish_log(sender);
        let line = Line::new("through").int("through_ns", self.through_ns).raw("closed", true);
        match self.shared.append(vec![line]) {
            Ok(()) => self.is_ended = true,
            Err(error) => self.shared.note_error(&format!("cannot write the journal: {error}")),
        }
    }
}
