//! A tracer as a stream of Arrow's: batches until it is closed.

use std::io::Error as IoError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;

use crate::py::batch::ROWS;
use crate::py::collect::{PAUSE, pause};
use crate::py::feed::{Feed, Next};
use crate::py::source::Source;

/// The reader that an Arrow consumer calls, from any thread, attached to Python or not.
pub(crate) struct Stream<S>(Arc<Feed<S>>);

impl<S: Source> Stream<S> {
    pub(crate) fn new(feed: Arc<Feed<S>>) -> Self {
        Self(feed)
    }

    /// Waits for the next batch; `None` at the end.
    fn wait(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let feed = &*self.0;
        feed.check_process()?;
        let mut has_waited = false;
        let next = feed.next(py, None, || {
            // The consumer keeps each batch as it is: rather few of many rows than many of one.
            if std::mem::replace(&mut has_waited, true) {
                pause(feed, py, Instant::now() + PAUSE)?;
            }
            let batch = feed.read_batch(py, ROWS)?;
            Ok((batch.num_rows() > 0).then_some(batch))
        })?;
        match next {
            Next::Read(batch) => Ok(Some(batch)),
            Next::Timeout | Next::Closed => Ok(None),
        }
    }

    fn next_batch(&self, py: Python<'_>) -> Result<Option<RecordBatch>, String> {
        // The consumer makes an exception of its own out of the text, of a KeyboardInterrupt too: to raise that once more
        // would hit it while it does so.
        self.wait(py).map_err(|error| error.to_string())
    }
}

impl<S: Source> Iterator for Stream<S> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = || Python::try_attach(|py| self.next_batch(py));
        // A panic must not unwind into the consumer, which is C++ or Rust of another compiler.
        let next =
            catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|_| Some(Err("a panic, which is a defect".into())));
        let next = next.unwrap_or_else(|| Err("Python is shutting down".into()));
        next.map_err(|text| ArrowError::IoError(text.clone(), IoError::other(text))).transpose()
    }
}

impl<S: Source> RecordBatchReader for Stream<S> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }
}
