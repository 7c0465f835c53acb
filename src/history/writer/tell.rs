//! What the writing thread tells beside the events: losses, gaps and steps of the clock in the journal, and how far the
//! recorder has come in its state.

use std::io;
use std::sync::atomic::Ordering;

use crate::history::dropped::Dropped;
use crate::history::line::Line;
use crate::history::losses::{Times, Totals};
use crate::history::shared::{Failure, clock_offset_ns};
use crate::history::through::State;
use crate::history::writer::Writer;
use crate::sys::clock::unix_ns;

/// A larger change of the wall clock against the time since boot is a step.
const STEP_NS: i64 = 10_000_000;

impl Writer {
    /// Writes losses into the journal, as far as it does not have them yet. Returns the failure to do so.
    pub(super) fn tell_losses(&mut self, now_ns: i64) -> Option<Failure> {
        let ledger = self.session.ledger();
        let session = self.shared.session;
        // They happened after the cycle before. Losses of the ring wait for one cycle more to be told.
        let [earlier_ns, before_ns] = self.told_through_ns.map(|through_ns| through_ns.min(now_ns));
        let totals = Totals {
            ring: ledger.lost_ring,
            missed: ledger.missed.unwrap_or_default(),
            // Before the close what nobody has read yet is not lost.
            discarded: self.session.reader_counters().discarded.load(Ordering::Relaxed),
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
    pub(super) fn tell_dropped(&mut self) -> io::Result<()> {
        let Some(dropped) = self.losses.dropped else { return Ok(()) };
        self.shared.append(vec![dropped.line()])?;
        self.losses.dropped = None;
        Ok(())
    }

    /// Writes down since when the heartbeat has not come back, once.
    pub(super) fn tell_silence(&mut self, now_ns: i64) {
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
    pub(super) fn tell_gap(&self, from_ns: i64, to_ns: i64) -> bool {
        let gap = Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", "silent");
        self.shared.update(|status| status.gaps += 1);
        self.shared.note(vec![gap]).is_ok()
    }

    /// Writes down that the wall clock was set.
    pub(super) fn tell_clock(&mut self) {
        let offset_ns = clock_offset_ns();
        let step_ns = offset_ns - self.clock_offset_ns;
        if step_ns.abs() > STEP_NS {
            let now_ns = unix_ns();
            let line = Line::new("clock").int("before_ns", now_ns - step_ns).int("after_ns", now_ns);
            // The next cycle writes it otherwise.
            let _ = self.shared.note(vec![line]);
        }
        self.clock_offset_ns = offset_ns;
    }

    pub(super) fn write_state(&mut self) {
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
}
