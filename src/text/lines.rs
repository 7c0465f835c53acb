//! The lines of events.
//!
//! A line is put together from fragments, one for each [`Scope`]. A fragment is written again only when the scope has
//! changed since the thread's last event.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::event::changes::{Changes, Previous};
use crate::event::values::Values;
use crate::fields::{Fields, Scope};
use crate::memory::{probe_step, reserve, with_capacity};
use crate::read::Reader;
use crate::read::counters::ReaderCounters;
use crate::read::in_flight::InFlight;
use crate::text::clock::Clock;
use crate::text::{Refusable, add, csv, jsonl};

/// Slots for threads, a power of two. Threads that share a slot only have more written again.
const SLOTS: usize = 256;

/// The bytes at which a portion ends.
pub const PORTION_BYTES: usize = 256 << 10;

/// The scopes whose fragments last longer than an event.
const LASTING: [Scope; 4] = [Scope::Call, Scope::Thread, Scope::Exec, Scope::File];

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines, with a line for each loss.
    JsonLines,
    /// CSV, without its header. A last field has what the others do not tell exactly.
    Csv,
}

impl Format {
    /// Returns the format of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Texts of keys, one after the other.
#[derive(Debug)]
struct Cells {
    text: Vec<u8>,
    /// The end of each in `text`, in the order of [`Values::visit`].
    ends: Vec<u32>,
}

impl Cells {
    fn new(keys: usize) -> Refusable<Self> {
        Ok(Self { text: Vec::new(), ends: with_capacity(keys)? })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Ends the text of a key. There is room for all keys.
    #[inline]
    fn end(&mut self) {
        self.ends.push(self.text.len() as u32);
    }

    /// The text of the keys from `first` to `last`.
    #[inline]
    fn get(&self, first: usize, last: usize) -> &[u8] {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        self.text.get(first.checked_sub(1).map_or(0, end)..end(last)).unwrap_or_default()
    }
}

/// The keys of one scope as text.
#[derive(Debug)]
struct Fragment {
    cells: Cells,
    /// For the last field of CSV.
    exact: Cells,
}

impl Fragment {
    fn new(values: &Values, scope: Scope) -> Refusable<Self> {
        let keys = values.keys(scope).len();
        Ok(Self { cells: Cells::new(keys)?, exact: Cells::new(keys)? })
    }

    /// Writes the wanted keys of the event.
    #[inline]
    fn write(&mut self, scope: Scope, event: &Event<'_>, values: &mut Values, form: &mut Form) -> Refusable {
        let Self { cells, exact } = self;
        cells.clear();
        exact.clear();
        values.visit(scope, event, |key, value| {
            match form.format {
                _ if !form.wanted.contains(key) => {}
                Format::JsonLines => jsonl::cell(&mut cells.text, key, value)?,
                Format::Csv => csv::cell(&mut cells.text, &mut exact.text, &mut form.scratch, key, value)?,
            }
            cells.end();
            exact.end();
            Ok(())
        })
    }
}

/// What the texts of keys look like.
#[derive(Debug)]
struct Form {
    format: Format,
    wanted: Fields,
    /// A field that is being made.
    scratch: Vec<u8>,
}

/// Keys of one scope that follow each other in a line, by their positions in the order of [`Values::visit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    scope: Scope,
    first: usize,
    last: usize,
}

/// What a thread's events have in common.
#[derive(Debug)]
struct Slot {
    last: Previous,
    /// In the order of [`LASTING`].
    fragments: [Fragment; LASTING.len()],
}

/// Writes events as lines. It keeps the fragments of threads.
#[derive(Debug)]
pub struct LineWriter {
    form: Form,
    spans: Vec<Span>,
    clock: Option<Clock>,
    /// The slots; empty before the first event.
    slots: Vec<Option<Box<Slot>>>,
    /// [`Scope::Event`]; `None` before the first event.
    own: Option<Fragment>,
}

impl LineWriter {
    /// Creates a writer of these keys, in this order, of events that have `fields`.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for no key, for a name that is none, and for a key that is not among `fields`.
    pub fn new(format: Format, fields: Fields, names: &[String], clock: Option<Clock>) -> Result<Self> {
        let wanted = Fields::from_names(names)?;
        let mut spans: Vec<Span> = Vec::new();
        for name in names {
            let key = wanted.keys().find(|key| key.as_str() == name);
            let Some(key) = key.filter(|key| fields.contains(*key)) else {
                return Err(Error::Value(format!("the tracer was not asked for the field {name:?}")));
            };
            let scope = key.scope();
            let at = fields.keys().filter(|other| other.scope() == scope).position(|other| other == key);
            let at = at.unwrap_or_default();
            match spans.last_mut() {
                Some(span) if span.scope == scope && span.last + 1 == at => span.last = at,
                _ => spans.push(Span { scope, first: at, last: at }),
            }
        }
        let form = Form { format, wanted, scratch: Vec::new() };
        Ok(Self { form, spans, clock, slots: Vec::new(), own: None })
    }

    /// Appends the line of an event; before it that of a loss, in JSON lines.
    ///
    /// # Errors
    ///
    /// [`crate::memory::OutOfMemory`]; nothing was appended.
    pub fn add(&mut self, text: &mut Vec<u8>, event: &Event<'_>, values: &mut Values) -> Refusable {
        let start = text.len();
        let added = self.try_add(text, event, values);
        if added.is_err() {
            text.truncate(start);
        }
        added
    }

    #[inline]
    fn try_add(&mut self, text: &mut Vec<u8>, event: &Event<'_>, values: &mut Values) -> Refusable {
        let Self { form, spans, clock, slots, own } = self;
        if slots.is_empty() {
            reserve(slots, SLOTS)?;
            slots.resize_with(SLOTS, || None);
        }
        let own = match own {
            Some(own) => own,
            None => own.insert(Fragment::new(values, Scope::Event)?),
        };
        let at = event.enter.record.tid as usize % SLOTS;
        // It is out of its slot while it changes: a failure must not leave half of two events there.
        let (mut slot, changes) = match slots[at].take() {
            Some(mut slot) => {
                let changes = slot.last.update(event);
                (slot, changes)
            }
            None => (Self::slot(event, values)?, Changes::ALL),
        };
        for (scope, fragment) in LASTING.into_iter().zip(&mut slot.fragments) {
            if changes.contains(scope) {
                fragment.write(scope, event, values, form)?;
            }
        }
        own.write(Scope::Event, event, values, form)?;
        join(text, form, spans, clock.as_mut(), event, own, &slot.fragments)?;
        slots[at] = Some(slot);
        Ok(())
    }

    #[cold]
    fn slot(event: &Event<'_>, values: &Values) -> Refusable<Box<Slot>> {
        // A slot stays, so that its memory must not come from the reserve.
        probe_step()?;
        let [call, thread, exec, file] = LASTING.map(|scope| Fragment::new(values, scope));
        let fragments = [call?, thread?, exec?, file?];
        Ok(Box::new(Slot { last: Previous::new(event, !values.keys(Scope::File).is_empty()), fragments }))
    }
}

/// Appends the line that the fragments make.
#[inline]
fn join(
    text: &mut Vec<u8>,
    form: &mut Form,
    spans: &[Span],
    clock: Option<&mut Clock>,
    event: &Event<'_>,
    own: &Fragment,
    lasting: &[Fragment; LASTING.len()],
) -> Refusable {
    let fragment = |scope| match scope {
        Scope::Event => own,
        Scope::Call => &lasting[0],
        Scope::Thread => &lasting[1],
        Scope::Exec => &lasting[2],
        Scope::File => &lasting[3],
    };
    match form.format {
        Format::JsonLines => {
            if event.lost() > 0 {
                jsonl::lost(text, event.lost(), event)?;
            }
            jsonl::begin(text, event, clock)?;
        }
        Format::Csv => csv::begin(text, event, clock)?,
    }
    // Spans are parts of the fragments, and none comes twice.
    reserve(text, lasting.iter().fold(own.cells.text.len(), |bytes, one| bytes + one.cells.text.len()))?;
    for Span { scope, first, last } in spans {
        text.extend_from_slice(fragment(*scope).cells.get(*first, *last));
    }
    if form.format == Format::JsonLines {
        return jsonl::end(text);
    }
    form.scratch.clear();
    for Span { scope, first, last } in spans {
        let exact = &fragment(*scope).exact;
        if exact.text.is_empty() {
            continue;
        }
        for at in *first..=*last {
            let one = exact.get(at, at);
            if !one.is_empty() {
                let comma: &[u8] = if form.scratch.is_empty() { b"" } else { b"," };
                add(&mut form.scratch, comma)?;
                add(&mut form.scratch, one)?;
            }
        }
    }
    csv::end(text, &form.scratch)
}

/// Lines of a portion of events.
#[derive(Debug, Default)]
pub struct Portion {
    /// The lines.
    pub text: Vec<u8>,
    /// The number of events.
    pub events: usize,
    /// The number of events that were lost before these.
    pub lost: u64,
    /// Whether there was no memory for the next event.
    is_refused: bool,
}

impl Portion {
    /// Forgets the lines, and keeps their memory.
    pub fn clear(&mut self) {
        self.text.clear();
        (self.events, self.lost, self.is_refused) = (0, 0, false);
    }

    /// Whether it takes no more events.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_refused || self.text.len() >= PORTION_BYTES
    }

    /// Adds the events that can be read now, up to `max_events` in all, or until the portion is full or memory runs out.
    /// They count as delivered; see [`ReaderCounters::take_back`].
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is none for a single event, and [`Error::Malformed`]. The events before the error
    /// count as delivered, too.
    pub fn fill(
        &mut self,
        writer: &mut LineWriter,
        reader: &mut Reader,
        values: &mut Values,
        counters: &ReaderCounters,
        max_events: usize,
    ) -> Result<()> {
        let mut in_flight = InFlight::new(counters);
        let took = self.take(writer, reader, values, &mut in_flight, max_events);
        in_flight.deliver();
        took
    }

    fn take(
        &mut self,
        writer: &mut LineWriter,
        reader: &mut Reader,
        values: &mut Values,
        in_flight: &mut InFlight<'_>,
        max_events: usize,
    ) -> Result<()> {
        while self.events < max_events && !self.is_full() {
            let added = reader.next(|event| {
                in_flight.events += 1;
                writer.add(&mut self.text, event, values).inspect_err(|_| in_flight.events -= 1)?;
                Ok(event.lost())
            });
            match added {
                Ok(Some(lost)) => {
                    self.events += 1;
                    self.lost += u64::from(lost);
                }
                Ok(None) => break,
                // The event can be read again, and the lines before it are a portion.
                Err(Error::Memory(_)) if self.events > 0 => {
                    self.is_refused = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
