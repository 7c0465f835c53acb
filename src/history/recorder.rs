//! A recorder: the threads that write and seal.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::values::Values;
use crate::history::containers::Ids;
use crate::history::log::Log;
use crate::history::prepare::Prepared;
use crate::history::recovery::Recovered;
use crate::history::retention::Bounds;
use crate::history::schema::Converter;
use crate::history::sealer::Sealer;
use crate::history::shared::{Failure, Shared, Status};
use crate::history::writer::{Limits, Writer};
use crate::read::Reader;
use crate::session::Session;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::signals::Blocked;

/// A recorder at work.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    session: Arc<Session>,
    recovered: Recovered,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// `None` once it is closed.
    lock: Mutex<Option<CloseOnForkFd>>,
}

impl Prepared {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when no thread is left. The reader is gone then.
    pub fn start(self, session: Arc<Session>, reader: Reader, values: Values) -> Result<Recorder> {
        let Self { lock, shared, through, options, recovered, logs, metadata } = self;
        let shared = Arc::new(shared);
        let converter = Converter::new(values.fields(), shared.session, options.redacts_argv);
        let log = Log::new(shared.layout.clone(), shared.session, Arc::clone(converter.schema()), metadata);
        let (sender, finished) = channel();
        let age_ns = |age: f64| (age * 1e9) as i64;
        let sealer = Sealer {
            shared: Arc::clone(&shared),
            bounds: Bounds { max_bytes: options.max_bytes, max_age_ns: options.max_age_s.map(age_ns) },
            failed: VecDeque::new(),
            unchecked: shared.segments().into_iter().map(|segment| segment.file).collect(),
        };
        for finished in logs {
            shared.job_sent();
            // The receiver is here.
            let _ = sender.send(finished);
        }
        let limits = Limits {
            sync: Duration::from_secs_f64(options.sync_s),
            segment_bytes: options.segment_bytes,
            segment_s: options.segment_s,
            memory_bytes: usize::try_from(options.memory_bytes).unwrap_or(usize::MAX),
            heartbeat: options.heartbeat,
        };
        let writer =
            Writer::new(Arc::clone(&shared), Arc::clone(&session), (reader, values), (converter, log), through, limits);
        // Python's signal handlers belong to Python's threads.
        let blocked = Blocked::new();
        let sealer = spawn("rawtp-sealer", move || sealer.run(&finished))?;
        let writer = spawn("rawtp-writer", move || writer.run(sender, sealer));
        drop(blocked);
        Ok(Recorder { shared, session, recovered, writer: Mutex::new(Some(writer?)), lock: Mutex::new(Some(lock)) })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(Error::os("cannot start a thread of the recorder"))
}

/// The counts of files in a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Logs that are not sealed.
    pub logs: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// Sealed files.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
}

impl Recorder {
    /// What was found at the start.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The number of this session.
    #[must_use]
    pub fn session(&self) -> i64 {
        self.shared.session
    }

    /// Whether this process is a fork of the one that records.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.session.is_forked()
    }

    /// How the recording goes.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Opens the directory that is recorded into, wherever it is now and whatever has its name.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left; [`Error::Value`] when the recorder is closed.
    pub fn open_directory(&self) -> Result<OwnedFd> {
        let opened = self.shared.open_directory().ok_or_else(|| Error::Value("the recorder is closed".into()))?;
        opened.map_err(Error::os("cannot open the recorder's directory"))
    }

    /// Takes the containers whose first event came since the last call, and once a day all that have events.
    #[must_use]
    pub fn new_containers(&self) -> Vec<Ids> {
        self.shared.new_containers()
    }

    /// Counts the files in the directory.
    #[must_use]
    pub fn files(&self) -> Files {
        let segments = self.shared.segments();
        let (logs, log_bytes) = self.shared.logs();
        Files {
            logs,
            log_bytes,
            segments: segments.len() as u64,
            segment_bytes: segments.iter().map(|segment| segment.bytes).sum(),
        }
    }

    /// Asks the writer to have everything acknowledged, and to seal it if `seals`. Returns a ticket for
    /// [`Recorder::wait_for`].
    #[must_use]
    pub fn ask(&self, seals: bool) -> u64 {
        self.shared.ask(seals)
    }

    /// Has the time since `since_ns` written down as one in which nothing may have been seen, up to the next heartbeat.
    pub fn set_silent(&self, since_ns: i64) {
        self.shared.set_silent(since_ns);
    }

    /// Waits for a ticket. `None` at the timeout.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the log or the journal cannot be written, or with `seals` a log cannot be sealed;
    /// [`Error::Value`] when the recorder has stopped.
    pub fn wait_for(&self, ticket: u64, seals: bool, timeout: Duration) -> Option<Result<()>> {
        let done = self.shared.wait(ticket, seals, timeout)?;
        if done.stopped {
            return Some(Err(Error::Value("the recorder is closed".into())));
        }
        let not_written = done.not_written.map(|failure| failed("cannot write the log", failure));
        let not_sealed = done.not_sealed.map(|failure| failed("cannot seal the log", failure));
        Some(not_written.or(not_sealed).map_or(Ok(()), Err))
    }

    /// Waits until the recorder has stopped. Returns false at the timeout.
    #[must_use]
    pub fn wait_stopped(&self, timeout: Duration) -> bool {
        self.shared.wait_stopped(timeout)
    }

    /// Takes the reason why the writer gave up, if it did.
    #[must_use]
    pub fn take_defect(&self) -> Option<String> {
        self.shared.take_defect()
    }

    /// Closes the session, records what is left and ends the threads.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when events could not be written, or losses could not be told in the journal.
    pub fn close(&self) -> Result<()> {
        // The end of the queue wakes the writer.
        self.session.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It catches its own panics and tells of them.
            let _ = thread.join();
            *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.shared.let_go();
        } else {
            // Another thread closes it.
            while !self.shared.wait_stopped(Duration::from_secs(1)) {}
            return Ok(());
        }
        let status = self.shared.status();
        if status.failing && status.dropped > 0 {
            let text = status.last_error.unwrap_or_default();
            let text = format!("{} events were dropped: {text}", status.dropped);
            return Err(failed("cannot write the log", (None, text)));
        }
        if let Some(failure) = self.shared.untold() {
            return Err(failed("cannot write the journal", failure));
        }
        Ok(())
    }
}

fn failed(context: &'static str, (errno, text): Failure) -> Error {
    let source = errno.map_or_else(|| io::Error::other(text), io::Error::from_raw_os_error);
    Error::os(context)(source)
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.is_forked() {
            let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(writer.take());
        } else {
            // What could not be written is in the status, and nobody is left to be told.
            let _ = self.close();
        }
    }
}
