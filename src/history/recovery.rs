//! The start of a recorder in a directory where another one may have ended at any moment.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::history::catalogue::{Catalogue, SessionInfo};
use crate::history::contents::{self, Contents};
use crate::history::dropped::Dropped;
use crate::history::files::{is_odd, names, oddity, remove, sync_directory};
use crate::history::journal;
use crate::history::json::quote;
use crate::history::layout::{Layout, Stem, stem_of};
use crate::history::line::Line;
use crate::history::log::Finished;
use crate::history::segment::{Segment, adopt, original_name};
use crate::history::through::{self, State};

/// The names that are tried for a file in the quarantine.
const NAMES: u32 = 1000;

/// What a recorder found at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Nobody has recorded here before.
    pub first: bool,
    /// Logs that are to be sealed.
    pub logs: u64,
    /// Logs that had been sealed and not yet removed.
    pub sealed_logs: u64,
    /// Bytes at the end of logs that were never acknowledged.
    pub torn_bytes: u64,
    /// Damaged files, by their names in the quarantine.
    pub quarantined: Vec<String>,
    /// The stretch in which nothing was watched.
    pub gap: Option<(i64, i64)>,
    /// Lines of the journal that cannot be used.
    pub journal_damaged_lines: u64,
}

/// The work that is left, and the lines that the new session has to write.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    pub(crate) found: Recovered,
    pub(crate) catalogue: Catalogue,
    pub(crate) logs: Vec<Finished>,
    pub(crate) lines: Vec<Line>,
    /// Files that are removed once the lines are written.
    pub(crate) obsolete: Vec<std::path::PathBuf>,
    /// The gaps among the lines.
    pub(crate) gaps: u64,
    /// The files that were moved to the quarantine.
    pub(crate) set_aside: u64,
    /// Logs and sealed files that cannot be read, by their names.
    unread: Vec<String>,
    /// Sessions that there are files of and no line in the journal.
    untold: BTreeSet<i64>,
}

/// Describes a file that was moved to the quarantine.
pub(crate) fn quarantined(file: &str, name: &str, reason: &str) -> Line {
    Line::new("quarantined").text("file", file).text("as", format!("quarantine/{name}").as_str()).text("reason", reason)
}

/// The name that a file gets in the quarantine: its own, or that and a number where something has it already.
pub(crate) fn quarantine_name(layout: &Layout, file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A file of one date has the name of one of another.
    let date = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let date = date.and_then(|name| name.strip_prefix("date=")).map(|date| format!("{date}-")).unwrap_or_default();
    let name = format!("{date}{name}");
    let is_free = |name: &String| layout.quarantine().join(name).symlink_metadata().is_err();
    let names = std::iter::once(name.clone()).chain((1..NAMES).map(|number| format!("{name}.{number}")));
    names.into_iter().find(is_free).unwrap_or(name)
}

/// Moves a damaged file, or what is in its place, to the quarantine. Returns its name there.
pub(crate) fn quarantine(layout: &Layout, file: &Path) -> io::Result<String> {
    let name = quarantine_name(layout, file);
    std::fs::rename(file, layout.quarantine().join(&name))?;
    sync_directory(&layout.quarantine())?;
    if let Some(directory) = file.parent() {
        sync_directory(directory)?;
    }
    Ok(name)
}

/// Looks at a directory whose lock is held, for a session that watches from `start_ns` on.
pub(crate) fn recover(layout: &Layout, start_ns: i64) -> Result<Recovery> {
    let os = || Error::os::<io::Error>("cannot read the recorder's directory");
    let contents = journal::read(&layout.journal()).map_err(os())?;
    let mut made = Recovery { catalogue: Catalogue::new(&contents), ..Recovery::default() };
    made.found.first = contents.lines.is_empty();
    made.found.journal_damaged_lines = contents.damaged;
    made.odd(layout).map_err(os())?;
    for name in names(&layout.wal()).map_err(os())?.iter().filter(|name| name.strip_suffix(".tmp").is_some()) {
        remove(&layout.wal().join(name)).map_err(os())?;
    }
    let through = made.logs(layout, start_ns)?;
    made.segments(layout)?;
    made.find_untold();
    made.tell_unread(start_ns);
    made.last_session(layout, start_ns, through).map_err(os())?;
    made.tell_untold(start_ns);
    made.found.first &= made.logs.is_empty();
    made.found.logs = made.logs.len() as u64;
    Ok(made)
}

impl Recovery {
    /// Moves to the quarantine what is no regular file and has the name of one, so that nothing stumbles over it.
    fn odd(&mut self, layout: &Layout) -> io::Result<()> {
        let is_ours = |name: &&String| [".arrows", ".through", ".tmp"].iter().any(|end| name.ends_with(end));
        let of_wal = names(&layout.wal())?;
        let mut files: Vec<_> = of_wal.iter().filter(is_ours).map(|name| format!("wal/{name}")).collect();
        let segments = layout.segments()?;
        // The sealer checks those that the journal knows, and tells of the gap.
        files.extend(segments.into_iter().filter(|file| !self.catalogue.segments.contains_key(file)));
        for file in files {
            let path = layout.root().join(&file);
            if is_odd(&path) {
                self.set_aside(layout, &file, &path, "it is not a regular file")?;
                self.unread.push(file);
            }
        }
        Ok(())
    }

    /// Moves a file to the quarantine, and tells of it.
    fn set_aside(&mut self, layout: &Layout, file: &str, path: &Path, reason: &str) -> io::Result<()> {
        let name = quarantine(layout, path)?;
        self.catalogue.quarantined_logs.extend(log_of(file));
        self.lines.push(quarantined(file, &name, reason));
        self.found.quarantined.push(format!("quarantine/{name}"));
        self.set_aside += 1;
        Ok(())
    }

    /// Looks at the logs. Returns the last watermark of the latest session that has one.
    fn logs(&mut self, layout: &Layout, start_ns: i64) -> Result<Option<(i64, i64)>> {
        let os = || Error::os::<io::Error>("cannot read a log");
        let mut through: Option<(i64, i64)> = None;
        // Those behind come first, because they say where a log ends.
        let mut behind = BTreeMap::new();
        for stem in layout.logs().map_err(os())?.into_iter().rev() {
            let path = layout.log(stem);
            if self.catalogue.sealed_logs.contains_key(&stem) {
                self.found.sealed_logs += 1;
                self.obsolete.push(path);
                continue;
            }
            let state = through::read(&layout.through(stem.session)).map_err(os())?.unwrap_or_default();
            let on_disk = on_disk(&state, stem);
            let mut contents = match contents::read(&path, on_disk) {
                Ok(contents) => contents,
                Err(error) => {
                    let reason = oddity(&error).ok_or_else(|| os()(error))?;
                    let file = format!("wal/{stem}.arrows");
                    self.set_aside(layout, &file, &path, &format!("it {reason}")).map_err(os())?;
                    self.unread.push(file);
                    continue;
                }
            };
            let end_batch = self.catalogue.end_batch(stem, &behind);
            contents.end_at(end_batch);
            self.found.torn_bytes += contents.torn_bytes;
            if let Some(through_ns) = contents.through_ns {
                through = through.max(Some((stem.session, through_ns)));
            }
            if contents.len() == 0 && contents.damaged.is_empty() {
                self.obsolete.push(path);
                continue;
            }
            // One without a beginning does not say which its first batch was.
            behind.insert(stem, contents.has_schema().then_some(contents.first_batch));
            self.catalogue.watermarks.insert(stem, contents.since_ns, contents.through_ns);
            if !contents.damaged.is_empty() {
                self.found.quarantined.push(format!("quarantine/{}", quarantine_name(layout, &path)));
            }
            // Known once those before it are.
            let between_ns = (0, 0);
            self.logs.push(Finished { stem, end_batch, on_disk, between_ns });
        }
        self.logs.reverse();
        for log in &mut self.logs {
            log.between_ns = self.catalogue.watermarks.stretch(log.stem, self.catalogue.end_ns(log.stem, start_ns));
        }
        Ok(through)
    }

    /// Looks for sealed files that the journal does not know, and for removed ones that are still there.
    fn segments(&mut self, layout: &Layout) -> Result<()> {
        let os = || Error::os::<io::Error>("cannot read the recorder's directory");
        let logs: HashSet<_> = self.logs.iter().map(|finished| finished.stem).collect();
        for file in layout.segments().map_err(os())? {
            let path = layout.root().join(&file);
            if self.catalogue.expired.contains_key(&file) {
                self.obsolete.push(path);
            } else if !self.catalogue.segments.contains_key(&file)
                && stem_of(&file).is_none_or(|stem| !logs.contains(&stem))
            {
                match adopt(layout, &file).and_then(|segment| self.is_new(segment)) {
                    Ok(segment) => {
                        let files = format!("[{}]", segment.to_json());
                        self.lines.push(Line::new("sealed").text("log", None).raw("files", files));
                        self.catalogue.segments.insert(file, segment);
                    }
                    Err(error @ (Error::Os { .. } | Error::Memory(_))) => return Err(error),
                    Err(error) => {
                        if !self.is_copy(layout, &file) {
                            self.unread.push(file.clone());
                        }
                        self.set_aside(layout, &file, &path, &error.to_string()).map_err(os())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a file that is not read is whole, and there is another one with its events.
    fn is_copy(&self, layout: &Layout, file: &str) -> bool {
        let is_other = |name: &String| {
            let is_known = self.catalogue.segments.contains_key(name) || self.catalogue.expired.contains_key(name);
            name != file && (is_known || stem_of(name).is_some() && layout.root().join(name).exists())
        };
        original_name(layout, file).is_some_and(|name| is_other(&name))
    }

    /// Finds the sessions whose lines the journal has lost. A session writes its first one before it makes a file.
    fn find_untold(&mut self) {
        let stem = |file: &String| log_of(file).or_else(|| stem_of(file));
        let of_files = self.catalogue.segments.keys().chain(&self.unread).filter_map(stem);
        let stems = of_files.chain(self.logs.iter().map(|finished| finished.stem));
        let mut sessions: BTreeSet<_> = stems.map(|stem| stem.session).collect();
        for info in &self.catalogue.sessions {
            sessions.remove(&info.session);
        }
        self.untold = sessions.difference(&self.catalogue.untold).copied().collect();
    }

    /// Tells that gaps and losses of a session are not known.
    fn tell_untold(&mut self, start_ns: i64) {
        for session in std::mem::take(&mut self.untold) {
            let end_ns = self.catalogue.end_ns(Stem { session, number: 0 }, start_ns);
            // What follows its last watermark is told already.
            let watermark_ns = self.found.gap.map(|(from_ns, _)| from_ns).filter(|from_ns| *from_ns > session);
            self.tell_damaged(session, watermark_ns.map_or(end_ns, |at_ns| at_ns.min(end_ns)), Some(session));
        }
    }

    /// `of`: the session without a line of its own that the gap stands for.
    fn tell_damaged(&mut self, from_ns: i64, to_ns: i64, of: Option<i64>) {
        let line = Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", "damaged");
        self.lines.push(if of.is_some() { line.int("of", of) } else { line });
        self.gaps += 1;
    }

    /// Tells of the time of which nothing is known, because the files with its events cannot be read.
    fn tell_unread(&mut self, start_ns: i64) {
        for file in std::mem::take(&mut self.unread) {
            let Some(stem) = log_of(&file).or_else(|| stem_of(&file)) else { continue };
            if self.untold.contains(&stem.session) {
                continue;
            }
            let end_ns = self.catalogue.end_ns(stem, start_ns);
            let date = file.split('/').find_map(|part| part.strip_prefix("date="));
            let (from_ns, to_ns) = match date {
                Some(date) => self.catalogue.watermarks.stretch_of_date(stem, date, end_ns),
                None => self.catalogue.watermarks.stretch(stem, end_ns),
            };
            self.tell_damaged(from_ns, to_ns, None);
        }
    }

    /// Refuses a copy of a file that is known, whose events would be there twice.
    fn is_new(&self, segment: Segment) -> Result<Segment> {
        let is_same = |known: &&Segment| (known.sum, known.bytes) == (segment.sum, segment.bytes);
        match self.catalogue.segments.values().find(is_same) {
            Some(known) => Err(Error::Damaged(format!("{} is a copy of {}", segment.file, known.file))),
            None => Ok(segment),
        }
    }

    /// Finds out up to when the session before watched, and what it lost without telling.
    fn last_session(&mut self, layout: &Layout, start_ns: i64, through: Option<(i64, i64)>) -> io::Result<()> {
        let mut states = Vec::new();
        for name in names(&layout.wal())? {
            let session = name.strip_suffix(".through").and_then(|name| name.parse::<i64>().ok());
            let Some(session) = session else { continue };
            let path = layout.through(session);
            if !path.ends_with(&name) {
                continue;
            }
            states.extend(through::read(&path)?.map(|state| (session, state)));
            // As long as there are logs it tells how much of them was on the disk.
            if self.logs.iter().all(|finished| finished.stem.session != session) {
                self.obsolete.push(path);
            }
        }
        for (session, state) in &states {
            let untold = state.lost_ring - self.catalogue.told(*session, "ring");
            if untold > 0 {
                let from_ns = self.info(*session).map_or(state.through_ns, |info| info.start_ns);
                let line = Line::new("loss").text("kind", "ring").int("count", untold).int("cpu", None);
                let line = line.text("via", None).int("from_ns", from_ns).int("to_ns", state.through_ns);
                self.lines.push(line.int("of", *session));
            }
            let untold = state.dropped - self.catalogue.told(*session, "memory");
            if untold > 0 {
                let (from_ns, to_ns) = (state.dropped_from_ns, state.dropped_to_ns);
                let dropped = Dropped { count: untold.cast_unsigned(), from_ns, to_ns };
                self.lines.push(dropped.line().int("of", *session));
            }
        }
        // The latest by the order of the journal: the clock may have been set back.
        let of_journal = self.catalogue.sessions.last();
        let latest = of_journal.map(|info| info.session).or(through.map(|(session, _)| session));
        let Some(latest) = latest else { return Ok(()) };
        let of_log = through.filter(|(session, _)| *session == latest).map(|(_, through_ns)| through_ns);
        let of_state = states.iter().find(|(session, _)| *session == latest).map(|(_, state)| state.through_ns);
        let known = [of_journal.map(|info| info.through_ns), of_log, of_state];
        let Some(from_ns) = known.into_iter().flatten().max() else { return Ok(()) };
        let closed = of_journal.is_some_and(|info| info.closed);
        let reason = if closed { "closed" } else { "died" };
        self.lines.push(
            Line::new("gap").int("from_ns", from_ns).int("to_ns", start_ns).text("reason", reason).int("after", latest),
        );
        self.gaps += 1;
        self.found.gap = Some((from_ns, start_ns));
        Ok(())
    }

    fn info(&self, session: i64) -> Option<&SessionInfo> {
        self.catalogue.sessions.iter().find(|info| info.session == session)
    }
}

/// The bytes of a log that are known to have been on the disk.
pub(crate) fn on_disk(state: &State, stem: Stem) -> u64 {
    match state.log.cmp(&stem.number.into()) {
        Ordering::Equal => state.log_bytes.cast_unsigned(),
        // It was finished, so at least its beginning was.
        Ordering::Greater => 1,
        Ordering::Less => 0,
    }
}

/// The stem of a log by its name, relative to the root.
fn log_of(file: &str) -> Option<Stem> {
    Stem::parse(file.strip_prefix("wal/")?, ".arrows")
}

/// The line of a sealed log.
pub(crate) fn sealed(stem: Stem, log: &Contents, segments: &[Segment]) -> Line {
    let files: Vec<_> = segments.iter().map(Segment::to_json).collect();
    Line::new("sealed")
        .raw("log", quote(&stem.to_string()))
        .int("first_batch", log.first_batch.cast_signed())
        .int("since_ns", log.since_ns)
        .int("through_ns", log.through_ns)
        .raw("files", format!("[{}]", files.join(",")))
}
