//! All that comes in a while, as one batch.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use pyo3::prelude::*;

use crate::columns::Columns;
use crate::reading::Reading;
use crate::tracer::Tracer;

/// How long what came waits for more.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Leaves what comes in the queue until `end`, as long as that is not filling: many events cost less than one many times.
pub(crate) fn pause(tracer: &Tracer, py: Python<'_>, end: Instant) -> PyResult<()> {
    let queue = tracer.session.queue();
    while Instant::now() < end && !queue.is_filling() && !queue.is_closed() {
        py.detach(|| thread::sleep(PAUSE / 50));
        py.check_signals()?;
    }
    Ok(())
}

/// Takes all that comes until `end` or the close, or `most` of it when those come sooner. What was taken by the time of an
/// exception, Ctrl-C above all, is counted as discarded.
pub(crate) fn gather(tracer: &Tracer, py: Python<'_>, end: Option<Instant>, most: usize) -> PyResult<RecordBatch> {
    tracer.check_process()?;
    let mut columns = Columns::new(&tracer.turns.take(py)?.values, 0);
    let gathered = fill(&mut columns, tracer, py, end, most);
    let rows = columns.rows() as u64;
    let made = gathered.and_then(|()| Ok(py.detach(|| columns.finish(Arc::clone(&tracer.schema)))?));
    if made.is_err() {
        // Only who has the turn may count.
        let _turn = tracer.turns.take(py)?;
        tracer.session.counts().take_back(rows);
    }
    made
}

fn fill(columns: &mut Columns, tracer: &Tracer, py: Python<'_>, end: Option<Instant>, most: usize) -> PyResult<()> {
    loop {
        // Both looked at before the read: what was queued by then is part of it.
        let closed = tracer.session.queue().is_closed();
        let over = end.is_some_and(|end| Instant::now() >= end);
        {
            let mut turn = tracer.turns.take(py)?;
            let Reading { reader, values, .. } = &mut *turn;
            py.detach(|| columns.fill(reader, values, tracer.session.counts(), most))?;
        }
        if closed && columns.rows() == 0 {
            tracer.failure()?;
        }
        if closed || over || columns.rows() >= most || columns.is_full() {
            return Ok(());
        }
        tracer.wait(py, end)?;
        let pause_end = Instant::now() + PAUSE;
        pause(tracer, py, end.map_or(pause_end, |end| end.min(pause_end)))?;
    }
}
