//! The one error type. It says what to do; `exceptions` chooses the Python class by the variant alone.

use std::io;

use crate::memory::OutOfMemory;

/// What can go wrong between the caller's arguments and the first event.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument outside its rule.
    #[error("{0}")]
    Value(String),
    /// The kernel refuses this process, whatever it would load.
    #[error("{0}")]
    Permission(String),
    /// The kernel lacks something that there is no way around.
    #[error("{0}")]
    UnsupportedKernel(String),
    /// The kernel refused a program; the verifier's reasons are attached.
    #[error("{message}")]
    Load {
        /// One sentence.
        message: String,
        /// What the verifier printed, or "".
        verifier_log: String,
    },
    /// A system call of our own failed.
    #[error("{context}: {source}")]
    Os {
        /// What was being done.
        context: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// There was no memory for it. What was there before is unchanged.
    #[error("out of memory: cannot {0}")]
    Memory(&'static str),
    /// What another process has handed over is not what a tracer needs.
    #[error("what was handed over is not a tracer's: {0}")]
    HandedOver(String),
    /// A record in the ring or a chunk cannot be one that our programs wrote.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Columns that do not fit together, which no events make.
    #[error("cannot make columns: {0}")]
    Columns(String),
}

/// What is wrong with a record, or with where it lies. By itself, since [`Error`] is more than a reader of records should
/// hand from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed record: {0}")]
pub struct Malformed(pub &'static str);

impl From<OutOfMemory> for Error {
    /// Of what is done again and again. The rest says what it was, by [`Error::memory`].
    fn from(_: OutOfMemory) -> Self {
        Self::Memory("read events")
    }
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on a refused allocation: what cannot be done for it.
    pub fn memory(context: &'static str) -> impl FnOnce(OutOfMemory) -> Self {
        move |OutOfMemory| Self::Memory(context)
    }

    /// For `map_err` on a failed system call.
    pub fn os<E: Into<io::Error>>(context: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Os { context, source: source.into() }
    }
}
