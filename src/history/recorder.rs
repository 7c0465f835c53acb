//! A recorder: the threads that write and seal, and the lock on their directory.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::values::Values;
use crate::fields::Fields;
use crate::history::anchor::Anchor;
use crate::history::containers::Ids;
use crate::history::files::{remove, sync_directory};
use crate::history::journal::Journal;
use crate::history::json::{Json, parse, quote};
use crate::history::layout::Stem;
use crate::history::line::Line;
use crate::history::log::Log;
use crate::history::recovery::{Recovered, recover};
use crate::history::retention::Bounds;
use crate::history::schema::{Converter, REQUIRED, VERSION};
use crate::history::sealer::Sealer;
use crate::history::shared::{Failure, Shared, Status, now_ns};
use crate::history::through::Through;
use crate::history::writer::{Limits, Writer};
use crate::read::Reader;
use crate::session::Session;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::signals::Blocked;

/// The most of a text of the host's that is read.
const TEXT_BYTES: u64 = 4096;

/// The settings of a recorder.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seconds until an event is acknowledged.
    pub sync_s: f64,
    /// The size at which a log is finished.
    pub segment_bytes: u64,
    /// The age at which a log is finished.
    pub segment_s: f64,
    /// The bytes of all sealed files.
    pub max_bytes: Option<u64>,
    /// The age of the latest event in a sealed file.
    pub max_age_s: Option<f64>,
    /// The bytes that may wait in memory.
    pub memory_bytes: u64,
    /// Whether to leave out arguments of processes.
    pub redacts_argv: bool,
    /// The path by which this process's own calls prove that the hooks live.
    pub heartbeat: Option<Vec<u8>>,
    /// A JSON object for the journal.
    pub info: String,
}

impl Options {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, least: f64, most: f64| {
            let is_within = (least..=most).contains(&value);
            let error = || Error::Value(format!("{name} must be from {least} to {most}, not {value}"));
            is_within.then_some(()).ok_or_else(error)
        };
        within("sync_s", self.sync_s, 0.01, 60.0)?;
        within("segment_s", self.segment_s, 0.1, 86_400.0)?;
        let bytes = |name: &str, value: u64, least: u64, most: u64| {
            let error = || Error::Value(format!("{name} must be from {least} to {most}, not {value}"));
            (least..=most).contains(&value).then_some(()).ok_or_else(error)
        };
        bytes("segment_bytes", self.segment_bytes, 64 << 10, 1 << 30)?;
        bytes("memory_bytes", self.memory_bytes, 1 << 20, 1 << 40)?;
        if self.max_age_s.is_some_and(|age| age.is_nan() || age <= 0.0) {
            return Err(Error::Value("max_age_s must be more than 0".into()));
        }
        if !matches!(parse(&self.info), Some(Json::Object(_))) {
            return Err(Error::Value("session must be a JSON object".into()));
        }
        Ok(())
    }
}

/// A directory that is locked, recovered and described in its journal, before the first event is written.
#[derive(Debug)]
pub struct Prepared {
    lock: CloseOnForkFd,
    shared: Shared,
    through: Through,
    options: Options,
    recovered: Recovered,
    logs: Vec<crate::history::log::Finished>,
    metadata: HashMap<String, String>,
}

/// A text that the kernel or the system has in a file.
fn text_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Locks a directory and recovers what is in it, for a session.
///
/// # Errors
///
/// [`Error::Value`] for options outside their rules and fields without [`REQUIRED`]. [`Error::Os`], with `EAGAIN` when
/// another recorder holds the lock.
pub fn prepare(directory: &Path, session: &Session, fields: Fields, options: Options) -> Result<Prepared> {
    options.check()?;
    if let Some(key) = REQUIRED.into_iter().find(|key| !fields.contains(*key)) {
        return Err(Error::Value(format!("the tracer's fields lack {:?}, which a recorder needs", key.as_str())));
    }
    let os = Error::os::<io::Error>;
    let mut anchor = Anchor::open(&absolute(directory).map_err(os("cannot find the directory"))?)?;
    let layout = anchor.layout();
    layout.create().map_err(os("cannot make the recorder's directory"))?;
    let Some(lock) = anchor.lock()? else {
        let taken = io::Error::from_raw_os_error(libc::EAGAIN);
        return Err(os("another recorder records into this directory")(taken));
    };
    let start_ns = session.watched_since_ns().unwrap_or_else(now_ns);
    let recovery = recover(&layout, start_ns)?;
    let mut name = start_ns.max(0);
    let is_known = |name: i64| {
        let known = recovery.catalogue.sessions.iter().any(|info| info.session == name);
        known || layout.through(name).exists() || layout.log(Stem { session: name, number: 1 }).exists()
    };
    while is_known(name) {
        name += 1;
    }
    let host = text_of("/proc/sys/kernel/hostname");
    let boot_id = text_of("/proc/sys/kernel/random/boot_id");
    let machine_id = session.mounts().host_root().read(b"/etc/machine-id", TEXT_BYTES).unwrap_or_default();
    let machine_id = String::from_utf8(machine_id).unwrap_or_default().trim().to_owned();
    let mut journal = Journal::open(&layout.journal(), name).map_err(os("cannot open the journal"))?;
    let line = Line::new("session")
        .int("start_ns", start_ns)
        .text("host", host.as_str())
        .text("boot_id", boot_id.as_str())
        .text("machine_id", machine_id.as_str())
        .text("kernel", text_of("/proc/sys/kernel/osrelease").as_str())
        .text("version", env!("CARGO_PKG_VERSION"))
        .int("schema", VERSION)
        .raw("fields", list(fields.keys().map(|key| quote(key.as_str()))))
        .raw("coverage", coverage(session))
        .text("info", options.info.as_str());
    // The sealer counts damaged logs.
    let (gaps, quarantined) = (recovery.gaps, recovery.set_aside);
    let lines = recovery.lines.into_iter().chain([line]).collect();
    journal.append(lines).map_err(os("cannot write the journal"))?;
    sync_directory(layout.root()).map_err(os("cannot write the journal"))?;
    let through = Through::create(&layout.through(name)).map_err(os("cannot write into the recorder's directory"))?;
    for file in &recovery.obsolete {
        remove(file).map_err(os("cannot remove an old file"))?;
    }
    sync_directory(&layout.wal()).map_err(os("cannot remove an old file"))?;
    let status = Status { running: true, through_ns: start_ns, gaps, quarantined, ..Status::default() };
    let metadata = [("host", host.clone()), ("boot_id", boot_id), ("machine_id", machine_id)];
    let metadata = metadata.into_iter().map(|(key, value)| (format!("rawtp:{key}"), value)).collect();
    let shared = Shared::new(anchor, host, name, journal, recovery.catalogue.segments, status)?;
    Ok(Prepared { lock, shared, through, options, recovered: recovery.found, logs: recovery.logs, metadata })
}

/// An absolute path, because the process may change its directory.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

fn coverage(session: &Session) -> String {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "null".into(), quote);
    let parts = session.coverage().into_iter().map(|part| {
        let (hook, reason) = (text(&part.hook), text(&part.reason));
        format!("{}:{{\"hook\":{hook},\"reason\":{reason}}}", quote(part.name))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

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

    /// What was found.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
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
