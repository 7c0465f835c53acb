//! The one error type. Its text says what to do. The extension chooses the Python class by the variant alone.

use std::io;

use crate::memory::OutOfMemory;

/// An error between the caller's arguments and the first event.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument outside its rule.
    #[error("{0}")]
    Value(String),
    /// The kernel refuses this process, whatever programs it would load.
    #[error("{0}")]
    Permission(String),
    /// The kernel lacks something that rawtp cannot do without.
    #[error("{0}")]
    UnsupportedKernel(String),
    /// The kernel refused a program. The verifier's log is attached.
    #[error("{message}")]
    Load {
        /// One sentence.
        message: String,
        /// The verifier's output, or "".
        verifier_log: String,
    },
    /// No hook of the kind that was asked for is possible here.
    #[error("{0}")]
    NoHook(String),
    /// A system call of this process failed.
    #[error("{context}: {source}")]
    Os {
        /// The operation that failed.
        context: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// There was no memory for an operation. Everything is as it was before.
    #[error("out of memory: cannot {0}")]
    Memory(&'static str),
    /// The descriptors from another process are not those of a tracer.
    #[error("what was handed over is not a tracer's: {0}")]
    HandedOver(String),
    /// A record in the ring or a chunk cannot be one that our programs wrote.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A recorded file is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The columns do not fit together. No events make such columns.
    #[error("cannot make columns: {0}")]
    Columns(String),
}

/// The defect of a record, or of its position. It is a type of its own because [`Error`] is too large for a reader of
/// records to pass from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed record: {0}")]
pub struct Malformed(pub &'static str);

impl From<OutOfMemory> for Error {
    /// Converts the errors of repeated operations. All others name the operation by [`Error::memory`].
    fn from(_: OutOfMemory) -> Self {
        Self::Memory("read events")
    }
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes a function for `map_err` on a refused allocation. `context` says what cannot be done without the memory.
    pub fn memory(context: &'static str) -> impl FnOnce(OutOfMemory) -> Self {
        move |OutOfMemory| Self::Memory(context)
    }

    /// The errno of a failed system call.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        if let Self::Os { source, .. } = self { source.raw_os_error() } else { None }
    }

    /// Makes a function for `map_err` on a failed system call.
    pub fn os<E: Into<io::Error>>(context: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Os { context, source: source.into() }
    }
}
