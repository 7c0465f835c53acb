//! A recorder's directory before the first event: locked, recovered and described in its journal.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fields::Fields;
use crate::history::anchor::Anchor;
use crate::history::files::{remove, sync_directory};
use crate::history::journal::Journal;
use crate::history::json::{Json, parse, quote};
use crate::history::layout::Stem;
use crate::history::line::Line;
use crate::history::log::Finished;
use crate::history::recovery::{Recovered, recover};
use crate::history::schema::{REQUIRED, VERSION};
use crate::history::shared::{Shared, Status};
use crate::history::through::Through;
use crate::session::Session;
use crate::sys::clock::unix_ns;
use crate::sys::close_on_fork::CloseOnForkFd;

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
    pub(super) lock: CloseOnForkFd,
    pub(super) shared: Shared,
    pub(super) through: Through,
    pub(super) options: Options,
    pub(super) recovered: Recovered,
    pub(super) logs: Vec<Finished>,
    pub(super) metadata: HashMap<String, String>,
}

impl Prepared {
    /// What was found.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }
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
    let start_ns = session.watched_since_ns().unwrap_or_else(unix_ns);
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
