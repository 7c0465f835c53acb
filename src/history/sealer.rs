//! The thread that seals finished logs, removes what is too old, and looks for damage.
//!
//! It runs at nice 19, beside the writer: sealing in the thread that reads the ring has lost events there.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

use crate::error::{Error, Result};
use crate::history::contents;
use crate::history::files::{oddity, open_file, remove, sync_directory};
use crate::history::layout::{Stem, stem_of};
use crate::history::line::Line;
use crate::history::log::{self, Finished};
use crate::history::recovery::{quarantine, quarantine_name, quarantined, sealed};
use crate::history::retention::{Bounds, too_many};
use crate::history::segment::{Segment, seal};
use crate::history::shared::{Failure, Shared};
use crate::memory::probe;
use crate::sys::clock::unix_ns;

/// The time between two looks at what can be done without being asked.
const IDLE: Duration = Duration::from_secs(1);

/// The time after which a log that could not be sealed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The time between the checks of one sealed file.
const CHECK_EVERY: Duration = Duration::from_secs(86_400);

/// The memory that sealing takes, in multiples of the log's size.
const SEALING: usize = 10;

/// The reason of a file that does not exist.
const GONE: &str = "the file is gone";

/// The thread's state.
pub(crate) struct Sealer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) bounds: Bounds,
    /// Logs that could not be sealed, and why.
    pub(crate) failed: VecDeque<(Finished, Failure)>,
    /// Sealed files that were not checked since the start.
    pub(crate) unchecked: VecDeque<String>,
}

impl Sealer {
    /// Works until nobody can send any more.
    pub(crate) fn run(mut self, finished: &Receiver<Finished>) {
        // The lowest priority there is. Without it the work is done all the same.
        // SAFETY: numbers only; 0 is the calling thread.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
        self.shared.add_own_thread();
        let (mut next_try, mut last_check) = (Instant::now(), Instant::now());
        loop {
            let wait = if self.unchecked.is_empty() { IDLE } else { IDLE / 100 };
            match finished.recv_timeout(wait) {
                Ok(finished) => {
                    self.seal(finished);
                    self.shared.job_done();
                }
                Err(RecvTimeoutError::Timeout) => {
                    if next_try.elapsed() >= AGAIN {
                        next_try = Instant::now();
                        self.try_again();
                    }
                    self.check_one();
                    if last_check.elapsed() >= CHECK_EVERY {
                        last_check = Instant::now();
                        self.unchecked = self.shared.segments().into_iter().map(|segment| segment.file).collect();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.expire();
        }
        self.try_again();
        self.expire();
    }

    fn try_again(&mut self) {
        for (finished, _) in std::mem::take(&mut self.failed) {
            self.seal(finished);
        }
    }

    /// Seals a log. It stays where it is when that fails.
    fn seal(&mut self, finished: Finished) {
        let stem = finished.stem;
        let panicked = match catch_unwind(AssertUnwindSafe(|| self.try_seal(finished))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                let text = format!("cannot seal {stem}: {error}");
                self.shared.note_error(&text);
                self.failed.push_back((finished, (error.errno(), text)));
                None
            }
            // It would panic again.
            Err(_) => {
                let text = format!("sealing {stem} panicked, which is a defect");
                self.shared.note_error(&text);
                Some((None, text))
            }
        };
        self.shared.set_unsealed(panicked.or_else(|| self.failed.back().map(|(_, failure)| failure.clone())));
    }

    fn try_seal(&mut self, finished: Finished) -> Result<()> {
        let os = Error::os::<io::Error>;
        let (shared, stem) = (&*self.shared, finished.stem);
        let path = shared.layout.log(stem);
        // Arrow and Parquet end the process when they get no memory. The log stays, and the next attempt may have it.
        let size = std::fs::metadata(&path).map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(usize::MAX));
        probe(size.saturating_mul(SEALING)).map_err(Error::memory("seal a log"))?;
        let mut contents = match contents::read(&path, finished.on_disk) {
            Ok(contents) => contents,
            // Somebody has removed it. There is nothing to try again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                shared.note_error(&format!("the log {stem} is gone"));
                let (from_ns, to_ns) = finished.between_ns;
                let gap = Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", "damaged");
                shared.note(vec![gap]).map_err(os("cannot write the journal"))?;
                shared.update(|status| status.gaps += 1);
                return Ok(());
            }
            Err(error) => return Err(os("cannot read a log")(error)),
        };
        contents.end_at(finished.end_batch);
        let batches = contents.batches().collect::<Result<Vec<RecordBatch>>>()?;
        let of_log = [log::FIRST_BATCH, log::SINCE_NS];
        let metadata = contents.metadata().into_iter().filter(|(key, _)| !of_log.contains(&key.as_str()));
        let mut metadata: Vec<_> = metadata.collect();
        metadata.sort_unstable();
        let of_host = metadata.iter().find(|(key, _)| key == "rawtp:host");
        let host = of_host.map_or(shared.host.as_str(), |(_, host)| host.as_str());
        let segments = seal(&shared.layout, host, stem, &batches, &metadata)?;
        let damaged = contents.damaged.clone();
        let mut lines = vec![sealed(stem, &contents, &segments)];
        drop((batches, contents));
        if !damaged.is_empty() {
            // The damaged batches happened somewhere between those before and behind them.
            let (start_ns, end_ns) = finished.between_ns;
            let end_ns = if stem.session == shared.session { unix_ns() } else { end_ns };
            lines.extend(damaged.iter().map(|(from_ns, to_ns)| {
                let from_ns = from_ns.unwrap_or(start_ns);
                let to_ns = to_ns.unwrap_or(end_ns).max(from_ns);
                Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", "damaged")
            }));
            lines.push(quarantined(
                &format!("wal/{stem}.arrows"),
                &quarantine_name(&shared.layout, &path),
                "a damaged batch",
            ));
        }
        shared.append(lines).map_err(os("cannot write the journal"))?;
        if damaged.is_empty() {
            remove(&path).map_err(os("cannot remove a sealed log"))?;
        } else {
            quarantine(&shared.layout, &path).map_err(os("cannot move a damaged log"))?;
        }
        let is_same = |log: &Stem| log.session == stem.session;
        if stem.session != shared.session && !shared.layout.logs().map_err(os("cannot read a log"))?.iter().any(is_same)
        {
            remove(&shared.layout.through(stem.session)).map_err(os("cannot remove a sealed log"))?;
        }
        sync_directory(&shared.layout.wal()).map_err(os("cannot remove a sealed log"))?;
        shared.update(|status| {
            status.sealed += segments.len() as u64;
            status.quarantined += u64::from(!damaged.is_empty());
            status.gaps += damaged.len() as u64;
        });
        shared.add_segments(segments);
        Ok(())
    }

    /// Removes the sealed files that are beyond the bounds, the oldest first.
    fn expire(&mut self) {
        if self.bounds.max_bytes.is_none() && self.bounds.max_age_ns.is_none() {
            return;
        }
        let segments = self.shared.segments();
        for (segment, reason) in too_many(&segments, &self.bounds, unix_ns()) {
            if let Err(error) = self.expire_one(segment, reason) {
                self.shared.note_error(&format!("cannot remove {}: {error}", segment.file));
                return;
            }
        }
    }

    fn expire_one(&self, segment: &Segment, reason: &str) -> io::Result<()> {
        let shared = &*self.shared;
        // First the line: a file without one is adopted by the next recorder, and one with a line is removed by it.
        let line = Line::new("expired")
            .text("file", segment.file.as_str())
            .text("reason", reason)
            .int("bytes", segment.bytes.cast_signed())
            .int("rows", segment.rows)
            .int("first_ns", segment.first_ns)
            .int("last_ns", segment.last_ns);
        shared.append(vec![line])?;
        shared.remove_segment(&segment.file);
        let path = shared.layout.root().join(&segment.file);
        remove(&path)?;
        // A directory with files in it stays.
        let _ = path.parent().map(std::fs::remove_dir);
        shared.update(|status| status.expired += 1);
        Ok(())
    }

    /// Checks one sealed file against the journal.
    fn check_one(&mut self) {
        let Some(file) = self.unchecked.pop_front() else { return };
        let Some(segment) = self.shared.segments().into_iter().find(|segment| segment.file == file) else { return };
        if let Err(error) = self.try_check(&segment) {
            self.shared.note_error(&format!("cannot check {file}: {error}"));
        }
    }

    fn try_check(&self, segment: &Segment) -> io::Result<()> {
        let shared = &*self.shared;
        let path = shared.layout.root().join(&segment.file);
        let reason = match open_file(&path) {
            Ok(file) if segment.is_content_of(&file)? => return Ok(()),
            Ok(_) => "the checksum differs",
            Err(error) if error.kind() == io::ErrorKind::NotFound => GONE,
            Err(error) => match oddity(&error) {
                Some(_) if path.symlink_metadata().is_err() => GONE,
                Some(reason) => reason,
                None => return Err(error),
            },
        };
        let stem = stem_of(&segment.file).map(|stem| stem.to_string()).unwrap_or_default();
        let name = if reason == GONE { format!("{stem}.parquet") } else { quarantine(&shared.layout, &path)? };
        // The end of a gap is the first moment that is not in it.
        let behind_ns = segment.last_ns.saturating_add(1);
        let gap = Line::new("gap").int("from_ns", segment.first_ns).int("to_ns", behind_ns).text("reason", "damaged");
        shared.append(vec![quarantined(&segment.file, &name, reason), gap])?;
        shared.remove_segment(&segment.file);
        shared.note_error(&format!("{} is damaged: {reason}", segment.file));
        shared.update(|status| {
            status.quarantined += 1;
            status.gaps += 1;
        });
        Ok(())
    }
}
