//! What the journal tells, put in order: files, sessions, gaps and losses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::history::journal::Contents;
use crate::history::json::Json;
use crate::history::layout::Stem;
use crate::history::segment::Segment;
use crate::history::watermarks::Watermarks;

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
    pub(crate) sealed_logs: BTreeMap<Stem, u64>,
    /// Logs that were moved to the quarantine.
    pub(crate) quarantined_logs: BTreeSet<Stem>,
    pub(crate) watermarks: Watermarks,
    pub(crate) segments: BTreeMap<String, Segment>,
    pub(crate) expired: BTreeMap<String, Expired>,
    pub(crate) quarantined: Vec<String>,
    pub(crate) sessions: Vec<SessionInfo>,
    pub(crate) gaps: Vec<Gap>,
    /// Sessions without a line of their own that a gap stands for.
    pub(crate) untold: BTreeSet<i64>,
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
            "gap" => {
                self.gaps.push(Gap {
                    from_ns: line.int("from_ns")?,
                    to_ns: Some(line.int("to_ns")?),
                    reason: text("reason")?,
                    session,
                });
                self.untold.extend(line.int("of"));
            }
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
                    self.watermarks.insert(log, line.int("since_ns"), line.int("through_ns"));
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
                let file = line.text("file")?;
                self.segments.remove(file);
                self.quarantined_logs.extend(file.strip_prefix("wal/").and_then(|name| Stem::parse(name, ".arrows")));
                self.quarantined.push(text("as")?);
            }
            _ => {}
        }
        Some(())
    }

    /// The number of the first batch that is not in a log any more, because a log behind it has it. `logs` are those that
    /// are not sealed, each with its first batch, which is not known of one that cannot be read.
    pub(crate) fn end_batch(&self, stem: Stem, logs: &BTreeMap<Stem, Option<u64>>) -> u64 {
        let behind = (Bound::Excluded(stem), Bound::Included(Stem { number: u32::MAX, ..stem }));
        let sealed = self.sealed_logs.range(behind).next().map(|(stem, first)| (*stem, Some(*first)));
        let unsealed = logs.range(behind).next().map(|(stem, first)| (*stem, *first));
        // One that is sealed as far as it could be read counts as that.
        let unread = self.quarantined_logs.range(behind).find(|stem| !self.sealed_logs.contains_key(*stem));
        let nearest = [sealed, unsealed, unread.map(|stem| (*stem, None))].into_iter().flatten().min_by_key(|it| it.0);
        nearest.and_then(|(_, first)| first).unwrap_or(u64::MAX)
    }

    /// When the session behind that of a log began; `start_ns` where none is known.
    pub(crate) fn end_ns(&self, log: Stem, start_ns: i64) -> i64 {
        let starts = self.sessions.iter().filter(|info| info.session != log.session).map(|info| info.start_ns);
        starts.filter(|start_ns| *start_ns > log.session).min().unwrap_or(start_ns)
    }

    /// The losses of one kind that a session has told.
    pub(crate) fn told(&self, session: i64, kind: &str) -> i64 {
        let losses = self.losses.iter().filter(|loss| loss.session == session && loss.kind == kind);
        losses.map(|loss| loss.count).sum()
    }
}
