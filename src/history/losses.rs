//! The losses of events: where they happened, and which of them the journal does not have yet.

use crate::event::Event;
use crate::history::dropped::Dropped;
use crate::history::line::Line;

/// The ways to the kernel that have numbers of their own on each CPU (`enum via`).
const VIAS: usize = 3;

/// Losses on one CPU of one kind of call.
#[derive(Debug, Clone, Copy)]
struct Place {
    cpu: u32,
    via: &'static str,
    /// The time of the last event.
    last_ns: i64,
    lost: u64,
    from_ns: i64,
    to_ns: i64,
}

/// The losses of events, and what the journal was told of them.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    places: Vec<Place>,
    /// The events that the journal has as lost in the ring.
    told_ring: u64,
    /// Of them, those without a place, whose place an event may still tell.
    placeless: u64,
    /// The untold losses of the cycle before.
    remainder: u64,
    missed: u64,
    discarded: u64,
    /// The events that found no room, as far as the journal does not have them yet.
    pub(crate) dropped: Option<Dropped>,
    /// The events that found no room in all.
    pub(crate) total_dropped: u64,
    /// Whether lines of losses wait for the journal.
    pub(crate) is_untold: bool,
}

/// The events that are lost so far, by the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) ring: u64,
    pub(crate) missed: u64,
    pub(crate) discarded: u64,
}

/// The times between which losses can have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) session: i64,
    /// The watermarks of the last two cycles.
    pub(crate) earlier_ns: i64,
    pub(crate) before_ns: i64,
    pub(crate) now_ns: i64,
}

fn line(kind: &str, count: u64, from_ns: i64, to_ns: i64) -> Line {
    let line = Line::new("loss").text("kind", kind).int("count", count.cast_signed());
    line.int("from_ns", from_ns).int("to_ns", to_ns)
}

impl Losses {
    /// Whether the journal lacks a loss. A watermark beyond it would call its time watched.
    pub(crate) fn lacks(&self) -> bool {
        self.dropped.is_some() || self.is_untold
    }

    /// Notes an event, and the losses before it.
    pub(crate) fn see(&mut self, event: &Event<'_>) {
        let (record, ts_ns) = (event.enter.record, event.ts_ns());
        let at = record.cpu as usize * VIAS + usize::from(record.via).min(VIAS - 1);
        if at >= self.places.len() {
            let empty = |at: usize| Place {
                cpu: (at / VIAS) as u32,
                via: "",
                last_ns: i64::MIN,
                lost: 0,
                from_ns: 0,
                to_ns: 0,
            };
            let made = self.places.len()..at + 1;
            self.places.extend(made.map(empty));
        }
        let place = &mut self.places[at];
        place.via = event.via();
        let lost = event.lost();
        if lost > 0 {
            if place.lost == 0 {
                place.from_ns = place.last_ns;
            }
            place.lost += u64::from(lost);
            place.to_ns = ts_ns;
        }
        place.last_ns = place.last_ns.max(ts_ns);
    }

    /// Makes lines of the losses that the journal was not told of, and counts their events.
    pub(crate) fn lines(&mut self, totals: Totals, times: &Times, is_closed: bool) -> (Vec<Line>, u64) {
        let Times { session, earlier_ns, before_ns, now_ns } = *times;
        let (mut lines, mut told) = (Vec::new(), 0);
        for place in self.places.iter_mut().filter(|place| place.lost > 0) {
            // Those were told before it was known where they happened.
            let known = place.lost.min(self.placeless);
            self.placeless -= known;
            let count = std::mem::take(&mut place.lost) - known;
            if count > 0 {
                let from_ns = if place.from_ns == i64::MIN { session } else { place.from_ns };
                let line = line("ring", count, from_ns, place.to_ns);
                lines.push(line.int("cpu", i64::from(place.cpu)).text("via", place.via));
                told += count;
            }
        }
        self.told_ring += told;
        // The place of a loss is known with the next event on its CPU, which most often comes at once.
        let remainder = totals.ring.saturating_sub(self.told_ring);
        let settled = if is_closed { remainder } else { remainder.min(self.remainder) };
        if settled > 0 {
            let from_ns = session.max(earlier_ns).min(now_ns);
            lines.push(line("ring", settled, from_ns, now_ns).int("cpu", None).text("via", None));
            self.told_ring += settled;
            self.placeless += settled;
            told += settled;
        }
        self.remainder = remainder - settled;
        for (kind, total, told_before) in
            [("missed", totals.missed, &mut self.missed), ("discarded", totals.discarded, &mut self.discarded)]
        {
            let count = total.saturating_sub(*told_before);
            if count > 0 {
                *told_before = total;
                lines.push(line(kind, count, before_ns, now_ns).int("cpu", None).text("via", None));
                told += count;
            }
        }
        (lines, told)
    }
}
