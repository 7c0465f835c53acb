//! Reading: the events of a cycle become batches of the log.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::columns::builder::BatchBuilder;
use crate::error::{Error, Result};
use crate::history::seen::Seen;
use crate::history::writer::Writer;
use crate::memory::probe;
use crate::read::in_flight::InFlight;

/// The rows of a batch in the log, and the bytes of texts after which it ends: more than so many rows have, but for long
/// names. With four times as many rows most columns are longer than a small block of LZ4, and `lz4_flex` clears the memory
/// of a large one for each: a seventh of the writer's CPU time for 2 % of the log's size.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;

/// The memory for an event on its way into the log: in the batch, converted, and as the log has it.
const ROW_BYTES: usize = 4096;

impl Writer {
    /// Reads a batch. `None` when nothing is queued but heartbeats. Returns whether nothing was left in the queue.
    pub(super) fn read(&mut self, seen: &mut Seen) -> Result<(Option<RecordBatch>, bool)> {
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

    pub(super) fn note_seen(&self, seen: &Seen) {
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
}
