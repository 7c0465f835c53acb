//! The thread that reads the tracer and writes the log.
//!
//! A cycle notes the time T and the position of the ring, reads until the queue has caught up with that position, and
//! commits. Every call that had returned by T had written its records before that position. So T is the watermark of the
//! batch that ends the reading, and no earlier batch may have it: "now" after the reading would cover calls that are
//! still in the ring.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::ClockId;

use crate::columns::builder::BatchBuilder;
use crate::columns::schema::shared as raw_schema;
use crate::error::{Error, Result};
use crate::event::values::Values;
use crate::history::anchor::Whereabouts;
use crate::history::dropped::Dropped;
use crate::history::layout::remove;
use crate::history::line::Line;
use crate::history::log::{Finished, Log};
use crate::history::losses::{Losses, Times, Totals};
use crate::history::schema::Converter;
use crate::history::shared::{Failure, Shared, clock_ns, now_ns};
use crate::history::through::{State, Through};
use crate::memory::probe;
use crate::read::Reader;
use crate::read::in_flight::InFlight;
use crate::session::Session;

/// The rows of a batch in the log, and the bytes of texts after which it ends: more than so many rows have, but for long
/// names.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: usize = 16 << 20;

/// The memory for an event on its way into the log: in the batch, converted, and as the log has it.
const ROW_BYTES: usize = 4096;

/// The bytes after which a cycle commits before it reads on, and those that they take uncompressed.
const COMMIT_BYTES: usize = 8 << 20;
const COMMIT_RAW_BYTES: u64 = 32 << 20;

/// How long the drain thread may gather before it is asked to hurry, and how long a record may be half written.
const GATHER: Duration = Duration::from_millis(3);
const STUCK: Duration = Duration::from_millis(900);

/// The time between two looks at how full the queue is, while events wait for the next cycle.
const LOOK: Duration = Duration::from_millis(20);

/// A larger change of the wall clock against the time since boot is a step.
const STEP_NS: i64 = 10_000_000;

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

/// The latest events that were read, and the heartbeats among them.
#[derive(Debug, Default)]
struct Seen {
    events: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    heartbeats: u64,
    last_heartbeat_ns: Option<i64>,
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

fn clock_offset_ns() -> i64 {
    now_ns() - clock_ns(ClockId::CLOCK_BOOTTIME)
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
        let until_ns = now_ns();
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

    /// Reads a batch. `None` when nothing is queued but heartbeats. Returns whether nothing was left in the queue.
    fn read(&mut self, seen: &mut Seen) -> Result<(Option<RecordBatch>, bool)> {
        let Self { reader, values, losses, limits, own_pid, roots, shared, .. } = self;
        let rows = reader.waiting().min(BATCH_ROWS);
        // Arrow ends the process when it gets no memory. Events that are not read yet can wait.
        probe(rows * ROW_BYTES).map_err(Error::memory("read events"))?;
        let mut builder = BatchBuilder::shared(values, rows)?;
        let mut in_flight = InFlight::new(self.session.reader_counters());
        let mut is_drained = false;
        while builder.rows() < BATCH_ROWS && builder.text_bytes() < BATCH_BYTES && !builder.is_full() {
            let read = reader.next(|event| {
                let record = event.enter.record;
                let own = event.filename().filter(|_| record.pid == *own_pid);
                if record.pid == *own_pid && shared.is_own_thread(record.tid) {
                    // Not worth recording.
                } else if own.is_some_and(|name| limits.heartbeat.as_deref() == Some(name.bytes)) {
                    seen.heartbeats += 1;
                    seen.last_heartbeat_ns = Some(event.ts_ns());
                } else if own.is_none_or(|name| !roots.iter().any(|root| name.bytes.starts_with(root))) {
                    builder.push(event, values)?;
                    seen.events += 1;
                    seen.first_ns = Some(seen.first_ns.map_or(event.ts_ns(), |first| first.min(event.ts_ns())));
                    seen.last_ns = seen.last_ns.max(Some(event.ts_ns()));
                }
                losses.see(event);
                in_flight.events += 1;
                Ok(())
            });
            match read {
                Ok(Some(())) => {}
                Ok(None) => {
                    is_drained = true;
                    break;
                }
                Err(_) if builder.rows() > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if builder.rows() == 0 {
            in_flight.deliver();
            return Ok((None, is_drained));
        }
        let batch = builder.finish(Arc::clone(&self.raw_schema))?;
        let converted = self.converter.convert(&batch)?;
        in_flight.deliver();
        Ok((Some(converted), is_drained))
    }

    fn note_seen(&self, seen: &Seen) {
        if seen.events + seen.heartbeats == 0 {
            return;
        }
        self.shared.update(|status| {
            status.events += seen.events;
            status.last_event_ns = status.last_event_ns.max(seen.last_ns);
            status.heartbeats += seen.heartbeats;
            status.last_heartbeat_ns = status.last_heartbeat_ns.max(seen.last_heartbeat_ns);
        });
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
                        status.last_ack_ns = Some(now_ns());
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

    /// Writes losses into the journal, as far as it does not have them yet. Returns the failure to do so.
    fn tell_losses(&mut self, now_ns: i64) -> Option<Failure> {
        let ledger = self.session.ledger();
        let session = self.shared.session;
        // They happened after the cycle before. Losses of the ring wait for one cycle more to be told.
        let [earlier_ns, before_ns] = self.told_through_ns.map(|through_ns| through_ns.min(now_ns));
        let totals = Totals {
            ring: ledger.lost_ring,
            missed: ledger.missed.unwrap_or_default(),
            // Before the close what nobody has read yet is not lost.
            discarded: self.session.reader_counters().discarded.load(std::sync::atomic::Ordering::Relaxed),
        };
        let times = Times { session, earlier_ns, before_ns, now_ns };
        let (lines, told) = self.losses.lines(totals, &times, self.session.queue().is_closed());
        if told > 0 {
            self.shared.update(|status| status.lost += told);
        }
        let error = self.shared.note(lines).and_then(|()| self.tell_dropped()).err()?;
        let text = format!("cannot write the journal: {error}");
        self.shared.note_error(&text);
        Some((error.raw_os_error(), text))
    }

    /// Writes the events that found no room into the journal. Those that it does not take are one loss with those to come:
    /// as lines of their own, one a cycle, they could be more than the journal has wait.
    fn tell_dropped(&mut self) -> io::Result<()> {
        let Some(dropped) = self.losses.dropped else { return Ok(()) };
        self.shared.append(vec![dropped.line()])?;
        self.losses.dropped = None;
        Ok(())
    }

    /// Writes down since when the heartbeat has not come back, once.
    fn tell_silence(&mut self, now_ns: i64) {
        let Some(since_ns) = self.shared.take_silent().filter(|_| !self.is_silent) else { return };
        self.is_silent = true;
        let since_ns = since_ns.max(self.shared.session).min(now_ns);
        let is_told = self.tell_gap(since_ns, now_ns);
        // What waits in memory is not recorded yet, and what was dropped is no gap.
        if is_told && self.log.waiting().0 == 0 && !self.losses.lacks() {
            self.through_ns = self.through_ns.max(now_ns);
        }
    }

    /// Writes a gap down. Returns whether the journal has it by now: the next cycle writes it otherwise.
    fn tell_gap(&self, from_ns: i64, to_ns: i64) -> bool {
        let gap = Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", "silent");
        self.shared.update(|status| status.gaps += 1);
        self.shared.note(vec![gap]).is_ok()
    }

    /// Writes down that the wall clock was set.
    fn tell_clock(&mut self) {
        let offset_ns = clock_offset_ns();
        let step_ns = offset_ns - self.clock_offset_ns;
        if step_ns.abs() > STEP_NS {
            let now_ns = now_ns();
            let line = Line::new("clock").int("before_ns", now_ns - step_ns).int("after_ns", now_ns);
            // The next cycle writes it otherwise.
            let _ = self.shared.note(vec![line]);
        }
        self.clock_offset_ns = offset_ns;
    }

    fn write_state(&mut self) {
        let (log, log_bytes) = self.log.position();
        // Should a line of the journal be damaged, the next recorder tells of its events as of the whole session.
        let whole = Dropped { count: 0, from_ns: self.shared.session, to_ns: self.through_ns };
        let dropped = self.losses.dropped.unwrap_or(whole);
        let state = State {
            through_ns: self.through_ns,
            log: log.into(),
            log_bytes: log_bytes.cast_signed(),
            lost_ring: self.session.ledger().lost_ring.cast_signed(),
            dropped: self.losses.total_dropped.cast_signed(),
            dropped_from_ns: dropped.from_ns,
            dropped_to_ns: dropped.to_ns,
        };
        let path = self.shared.layout.through(self.shared.session);
        if let Err(error) = self.through.keep(&path).and_then(|()| self.through.write(&state)) {
            self.shared.note_error(&format!("cannot write the state: {error}"));
        }
        self.shared.update(|status| status.through_ns = self.through_ns);
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
