//! What the journal tells, put in order: files, sessions, gaps and losses.

use std::collections::{BTreeMap, HashMap};

use crate::history::journal::Contents;
use crate::history::json::Json;
use crate::history::layout::Stem;
use crate::history::segment::Segment;

/// A session of a recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The time of its start, which names it.
    pub session: i64,
    /// Unix time from which on it watched.
    pub start_ns: i64,
    /// Unix time up to which it watched, as far as the journal tells.
    pub through_ns: i64,
    /// Whether it was closed.
    pub closed: bool,
    /// The host.
    pub host: String,
    /// The kernel's id of its boot.
    pub boot_id: String,
    /// The id of the machine.
    pub machine_id: String,
    /// The JSON object that the recorder was given.
    pub info: String,
}

/// A stretch of time in which nothing was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its beginning.
    pub from_ns: i64,
    /// Its end; `None` when it lasts.
    pub to_ns: Option<i64>,
    /// "closed", "died", "silent", "damaged" or "stopped".
    pub reason: String,
    /// The session after it.
    pub session: Option<i64>,
}

/// Events that were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The earliest time at which they can have happened.
    pub from_ns: i64,
    /// The latest time.
    pub to_ns: i64,
    /// How many.
    pub count: i64,
    /// "ring", "memory", "discarded" or "missed".
    pub kind: String,
    /// The CPU.
    pub cpu: Option<i64>,
    /// How the calls reached the kernel.
    pub via: Option<String>,
    /// The session.
    pub session: i64,
}

/// A sealed file that retention has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

/// The content of a journal, in order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Catalogue {
    pub(crate) lines: u64,
    pub(crate) damaged_lines: u64,
    /// The logs that are sealed, and the first batch of each.
    pub(crate) sealed_logs: HashMap<Stem, u64>,
    pub(crate) segments: BTreeMap<String, Segment>,
    pub(crate) expired: BTreeMap<String, Expired>,
    pub(crate) quarantined: Vec<String>,
    pub(crate) sessions: Vec<SessionInfo>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) losses: Vec<Loss>,
}

impl Catalogue {
    pub(crate) fn new(contents: &Contents) -> Self {
        let mut made = Self { lines: contents.lines.len() as u64, damaged_lines: contents.damaged, ..Self::default() };
        for line in &contents.lines {
            // A line of a later version that lacks something tells nothing.
            let _ = made.add(line);
        }
        made
    }

    fn add(&mut self, line: &Json) -> Option<()> {
        let text = |key| line.text(key).map(str::to_owned);
        let session = line.int("session");
        match line.text("type")? {
            "session" => self.sessions.push(SessionInfo {
                session: session?,
                start_ns: line.int("start_ns")?,
                through_ns: line.int("start_ns")?,
                closed: false,
                host: text("host")?,
                boot_id: text("boot_id")?,
                machine_id: text("machine_id")?,
                info: text("info")?,
            }),
            "through" => {
                let through_ns = line.int("through_ns")?;
                let closed = matches!(line.get("closed"), Some(Json::Bool(true)));
                let of = |info: &&mut SessionInfo| Some(info.session) == session;
                let info = self.sessions.iter_mut().rev().find(of)?;
                (info.through_ns, info.closed) = (through_ns, info.closed || closed);
            }
            "gap" => self.gaps.push(Gap {
                from_ns: line.int("from_ns")?,
                to_ns: Some(line.int("to_ns")?),
                reason: text("reason")?,
                session,
            }),
            "loss" => self.losses.push(Loss {
                from_ns: line.int("from_ns")?,
                to_ns: line.int("to_ns")?,
                count: line.int("count")?,
                kind: text("kind")?,
                cpu: line.int("cpu"),
                via: text("via"),
                session: line.int("of").or(session)?,
            }),
            "sealed" => {
                if let Some(log) = line.text("log").and_then(|log| Stem::parse(log, "")) {
                    self.sealed_logs.insert(log, line.int("first_batch").unwrap_or_default().cast_unsigned());
                }
                let segments = line.list("files").iter().filter_map(Segment::parse);
                self.segments.extend(segments.map(|segment| (segment.file.clone(), segment)));
            }
            "expired" => {
                let expired = Expired { first_ns: line.int("first_ns")?, last_ns: line.int("last_ns")? };
                self.segments.remove(line.text("file")?);
                self.expired.insert(text("file")?, expired);
            }
            "quarantined" => {
                self.segments.remove(line.text("file")?);
                self.quarantined.push(text("as")?);
            }
            _ => {}
        }
        Some(())
    }

    /// The losses of one kind that a session has told.
    pub(crate) fn told(&self, session: i64, kind: &str) -> i64 {
        let losses = self.losses.iter().filter(|loss| loss.session == session && loss.kind == kind);
        losses.map(|loss| loss.count).sum()
    }
}
