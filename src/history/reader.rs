//! The reader of a recorder's directory. It takes no lock and writes nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::history::catalogue::{Gap, Loss, SessionInfo};
use crate::history::contents;
use crate::history::files::{is_locked, oddity, open_file};
use crate::history::filter::Filter;
use crate::history::follow::Follower;
use crate::history::layout::Layout;
use crate::history::scan::Scan;
use crate::history::schema::projection;
use crate::history::segment::adopt;
use crate::history::snapshot::{Snapshot, Source, take};
use crate::history::through;

/// The counts of what a directory has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "_core.pyi documents each")]
pub struct Stats {
    pub segments: u64,
    pub segment_bytes: u64,
    pub wal_files: u64,
    pub wal_bytes: u64,
    pub events: i64,
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    pub quarantined: u64,
    pub expired: u64,
    pub journal_lines: u64,
    pub journal_damaged_lines: u64,
}

/// A reader of a directory.
#[derive(Debug, Clone)]
pub struct Reader {
    layout: Layout,
}

fn os(error: io::Error) -> Error {
    Error::Os { context: "cannot read the history", source: error }
}

impl Reader {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when nobody has recorded there, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self> {
        let layout = Layout::new(&std::path::absolute(directory).map_err(os)?);
        open_file(&layout.journal()).map_err(os)?;
        fs::read_dir(layout.wal()).map_err(os)?;
        Ok(Self { layout })
    }

    /// A reader that goes on from a position.
    #[must_use]
    pub fn follower(&self) -> Follower {
        Follower::new(self.layout.root())
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        take(&self.layout)
    }

    /// Finds events.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for an unknown column, [`Error::Os`].
    pub fn scan(
        &self,
        columns: Option<&[String]>,
        filter: Filter,
        limit: Option<usize>,
        newest_first: bool,
    ) -> Result<Scan> {
        let schema = projection(columns)?;
        let sources = self.snapshot()?.sources;
        Ok(Scan::new(self.layout.clone(), schema, filter, sources, limit, newest_first))
    }

    /// Whether a recorder records into the directory now.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn is_recording(&self) -> Result<bool> {
        match open_file(&self.layout.lock()) {
            Ok(file) => is_locked(&file).map_err(os),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(os(error)),
        }
    }

    /// The sessions, the earliest first.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let mut sessions = self.snapshot()?.catalogue.sessions;
        let latest = sessions.len().saturating_sub(1);
        for (at, info) in sessions.iter_mut().enumerate() {
            // The state of a session that has not ended, or that ended without a word and has had no successor.
            if at == latest
                && let Some(state) = through::read(&self.layout.through(info.session)).map_err(os)?
            {
                info.through_ns = info.through_ns.max(state.through_ns);
            }
        }
        // The gap behind a session says how far it had come.
        let gaps = self.snapshot()?.catalogue.gaps;
        for at in 0..latest {
            let next = sessions[at + 1].session;
            let gap = gaps.iter().find(|gap| gap.session == Some(next) && matches!(&*gap.reason, "closed" | "died"));
            if let Some(gap) = gap {
                sessions[at].through_ns = sessions[at].through_ns.max(gap.from_ns);
            }
        }
        Ok(sessions)
    }

    /// The stretches of time in which nothing was watched, the earliest first.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn gaps(&self, since_ns: Option<i64>, until_ns: Option<i64>) -> Result<Vec<Gap>> {
        let is_recording = self.is_recording()?;
        let mut gaps = self.snapshot()?.catalogue.gaps;
        if !is_recording && let Some(last) = self.sessions()?.last() {
            gaps.push(Gap { from_ns: last.through_ns, to_ns: None, reason: "stopped".into(), session: None });
        }
        // The clock may have been set back between the two ends.
        let ends = |gap: &Gap| {
            let to_ns = gap.to_ns.unwrap_or(i64::MAX);
            (gap.from_ns.min(to_ns), gap.from_ns.max(to_ns))
        };
        gaps.retain(|gap| {
            let (first, last) = ends(gap);
            since_ns.is_none_or(|since| last >= since) && until_ns.is_none_or(|until| first < until)
        });
        gaps.sort_by_key(|gap| gap.from_ns);
        gaps.dedup();
        Ok(gaps)
    }

    /// The losses, the earliest first.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn losses(&self, since_ns: Option<i64>, until_ns: Option<i64>) -> Result<Vec<Loss>> {
        let mut losses = self.snapshot()?.catalogue.losses;
        losses.retain(|loss| {
            since_ns.is_none_or(|since| loss.to_ns >= since) && until_ns.is_none_or(|until| loss.from_ns < until)
        });
        losses.sort_by_key(|loss| loss.from_ns);
        Ok(losses)
    }

    /// The stretches of time that were watched and whose events are still there.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn coverage(&self) -> Result<Vec<(i64, i64)>> {
        let expired = self.snapshot()?.catalogue.expired;
        let floor = expired.values().map(|expired| expired.last_ns).max().unwrap_or(i64::MIN);
        let mut stretches: Vec<(i64, i64)> = Vec::new();
        let mut sessions: Vec<_> =
            self.sessions()?.into_iter().map(|info| (info.start_ns.max(floor), info.through_ns)).collect();
        sessions.sort_unstable();
        for (start_ns, through_ns) in sessions.into_iter().filter(|(start, through)| start <= through) {
            match stretches.last_mut() {
                Some(last) if start_ns <= last.1 => last.1 = last.1.max(through_ns),
                _ => stretches.push((start_ns, through_ns)),
            }
        }
        Ok(stretches)
    }

    /// Counts what the directory has.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn stats(&self) -> Result<Stats> {
        let Snapshot { catalogue, sources } = self.snapshot()?;
        let segments = || catalogue.segments.values();
        let mut stats = Stats {
            segments: catalogue.segments.len() as u64,
            segment_bytes: segments().map(|segment| segment.bytes).sum(),
            events: segments().map(|segment| segment.rows).sum(),
            first_ns: segments().map(|segment| segment.first_ns).min(),
            last_ns: segments().map(|segment| segment.last_ns).max(),
            quarantined: catalogue.quarantined.len() as u64,
            expired: catalogue.expired.len() as u64,
            journal_lines: catalogue.lines,
            journal_damaged_lines: catalogue.damaged_lines,
            ..Stats::default()
        };
        for source in &sources {
            if let Source::Log { file, .. } = source {
                stats.wal_files += 1;
                stats.wal_bytes += file.metadata().map_err(os)?.len();
            }
        }
        Ok(stats)
    }

    /// Reads everything, and names the damaged files.
    ///
    /// # Errors
    ///
    /// [`Error::Os`].
    pub fn verify(&self) -> Result<Vec<String>> {
        let Snapshot { catalogue, sources } = self.snapshot()?;
        let mut damaged = Vec::new();
        if catalogue.damaged_lines > 0 || (catalogue.sessions.is_empty() && !sources.is_empty()) {
            damaged.push("journal.jsonl".into());
        }
        for source in sources {
            let name = source.name();
            let is_whole = match source {
                Source::Log { stem, file, on_disk, .. } => {
                    match contents::read_file(&file, &self.layout.log(stem), on_disk) {
                        Ok(contents) => contents.damaged.is_empty(),
                        Err(error) if oddity(&error).is_some() => false,
                        Err(error) => return Err(os(error)),
                    }
                }
                Source::Segment { file, known: Some(known) } => match open_file(&self.layout.root().join(&file)) {
                    Ok(file) => known.is_content_of(&file).map_err(os)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound || oddity(&error).is_some() => false,
                    Err(error) => return Err(os(error)),
                },
                Source::Segment { file, known: None } => match adopt(&self.layout, &file) {
                    Err(error @ (Error::Os { .. } | Error::Memory(_))) => return Err(error),
                    adopted => adopted.is_ok(),
                },
                Source::Odd { .. } => false,
            };
            if !is_whole {
                damaged.push(name);
            }
        }
        Ok(damaged)
    }
}
