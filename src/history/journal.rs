//! The journal: one JSON object a line, each with a checksum of its own.
//!
//! A line ends in its checksum, so a torn or damaged line is known by itself and harms no other. A line has the session
//! that wrote it and its number in that: after a failed write, lines may stand there twice.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::history::anchor::is_removed;
use crate::history::files::{open_file, open_or_create, read_whole};
use crate::history::fold::{Folded, fold};
use crate::history::json::Json;
use crate::history::line::{Line, read_line};

/// The most lines that wait for the journal to be writable again. With more they are merged.
const PENDING: usize = 4096;

/// The content of a journal.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) lines: Vec<Json>,
    /// The number of lines that are not whole.
    pub(crate) damaged: u64,
}

/// Reads a journal. One that does not exist is empty.
pub(crate) fn read(path: &Path) -> io::Result<Contents> {
    let bytes = match open_file(path) {
        Ok(file) => read_whole(&file, path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(contents(&bytes))
}

fn contents(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut seen = std::collections::HashSet::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match read_line(line) {
            Some(line) => {
                let id = line.int("session").zip(line.int("line"));
                if id.is_none_or(|id| seen.insert(id)) {
                    contents.lines.push(line);
                }
            }
            None => contents.damaged += 1,
        }
    }
    contents
}

/// An open journal. Its lines wait in memory while it cannot be written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    session: i64,
    next_line: i64,
    /// The size up to which it is known to be on the disk.
    synced_bytes: u64,
    /// Whether there may be a part of a line at the end.
    is_torn: bool,
    pending: VecDeque<String>,
    /// How many fewer lines there are because too many waited.
    pub(crate) merged_lines: u64,
}

impl Journal {
    /// Opens a journal for appending.
    pub(crate) fn open(path: &Path, session: i64) -> io::Result<Self> {
        let mut file = open_or_create(path)?;
        let end = file.seek(SeekFrom::End(0))?;
        let mut last = [b'\n'];
        if end > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self {
            file,
            session,
            next_line: 1,
            synced_bytes: end,
            is_torn: last != [b'\n'],
            pending: VecDeque::new(),
            merged_lines: 0,
        })
    }

    /// Whether the file was removed.
    pub(crate) fn is_removed(&self) -> bool {
        is_removed(&self.file)
    }

    /// Adds a line of a loss, a gap, the clock or the directory, which is written by the next [`Journal::flush`].
    pub(crate) fn note(&mut self, line: Line) {
        self.push(line);
        if self.pending.len() > PENDING {
            self.merge(true);
        }
        // More CPUs than lines that may wait.
        if self.pending.len() > PENDING {
            self.merge(false);
        }
    }

    fn push(&mut self, line: Line) {
        let line = line.int("session", self.session).int("line", self.next_line);
        self.next_line += 1;
        self.pending.push_back(line.finish());
    }

    fn merge(&mut self, places: bool) {
        let before = self.pending.len();
        for folded in fold(std::mem::take(&mut self.pending), places) {
            match folded {
                Folded::Kept(line) => self.pending.push_back(line),
                // Under a number of its own: a failed write may have left the lines that it is of, and then it must count.
                Folded::Merged(line) => self.push(line),
            }
        }
        self.merged_lines += (before - self.pending.len()) as u64;
    }

    /// Adds lines and has them written to the disk.
    ///
    /// # Errors
    ///
    /// Then the lines are not kept, but they may be in the file all the same.
    pub(crate) fn append(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let waiting = self.pending.len();
        for line in lines {
            self.push(line);
        }
        self.flush().inspect_err(|_| self.pending.truncate(waiting))
    }

    /// Writes the lines that wait to the disk.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.write();
        if written.is_err() {
            // What a failed write has left is unknown. Without a shorter file the next line begins a new one.
            self.is_torn = self.file.set_len(self.synced_bytes).is_err();
        }
        written
    }

    fn write(&mut self) -> io::Result<()> {
        if self.is_removed() {
            // A write would succeed, and nobody could read it.
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let mut bytes = String::new();
        if self.is_torn {
            bytes.push('\n');
        }
        bytes.extend(self.pending.iter().map(String::as_str));
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(bytes.as_bytes())?;
        self.file.sync_data()?;
        self.synced_bytes = self.file.stream_position()?;
        self.is_torn = false;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::files::testing::Scratch;

    #[test]
    fn lines_come_back_and_a_torn_one_harms_no_other() {
        let scratch = Scratch::new("journal");
        let path = scratch.0.join("journal.jsonl");
        let mut journal = Journal::open(&path, 7).unwrap();
        journal.append(vec![Line::new("gap").int("from_ns", 1).text("reason", "a\"\n").int("to_ns", None)]).unwrap();
        journal.note(Line::new("loss").raw("cpu", 3));
        journal.flush().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let mut journal = Journal::open(&path, 8).unwrap();
            journal.append(vec![Line::new("session")]).unwrap();
            let read = read(&path).unwrap();
            let whole = bytes[..cut].split(|byte| *byte == b'\n').filter(|line| read_line(line).is_some()).count();
            assert_eq!(read.lines.len(), whole + 1);
            assert_eq!(read.lines.last().and_then(|line| line.int("session")), Some(8));
        }
        let line = &contents(&bytes).lines[0];
        assert_eq!(
            (line.int("from_ns"), line.text("reason"), line.get("to_ns")),
            (Some(1), Some("a\"\n"), Some(&Json::Null))
        );
    }

    #[test]
    fn lines_that_wait_for_too_long_become_fewer_and_tell_the_same() {
        let scratch = Scratch::new("journal-merged");
        let path = scratch.0.join("journal.jsonl");
        let mut journal = Journal::open(&path, 7).unwrap();
        let total = 3 * PENDING.cast_signed() as i64;
        for number in 0..total {
            let line =
                Line::new("loss").text("kind", "ring").int("count", 2).int("from_ns", number).int("to_ns", number + 9);
            journal.note(line.int("cpu", number % 3).text("via", "native"));
            assert!(journal.pending.len() <= PENDING);
        }
        // Lines that are not kept after a failure take no room from those that wait.
        let waiting = journal.pending.clone();
        std::fs::remove_file(&path).unwrap();
        journal.append(vec![Line::new("sealed"), Line::new("sealed")]).unwrap_err();
        assert_eq!(journal.pending, waiting);
        let merged_lines = journal.merged_lines;
        let mut journal = Journal { pending: journal.pending, ..Journal::open(&path, 7).unwrap() };
        journal.flush().unwrap();
        let lines = read(&path).unwrap().lines;
        let sum = |key: &str| lines.iter().filter_map(|line| line.int(key)).sum::<i64>();
        assert_eq!((sum("count"), lines.len().cast_signed() as i64 + merged_lines.cast_signed()), (2 * total, total));
        assert_eq!(lines.iter().filter_map(|line| line.int("from_ns")).min(), Some(0));
        assert_eq!(lines.iter().filter_map(|line| line.int("to_ns")).max(), Some(total + 8));
    }

    #[test]
    fn more_places_than_lines_become_one() {
        let scratch = Scratch::new("journal-places");
        let mut journal = Journal::open(&scratch.0.join("journal.jsonl"), 7).unwrap();
        for cpu in 0..=PENDING.cast_signed() as i64 {
            journal.note(Line::new("loss").text("kind", "ring").int("count", 1).int("cpu", cpu));
        }
        let line = read_line(journal.pending[0].trim_end().as_bytes()).unwrap();
        assert_eq!((journal.pending.len(), line.int("count"), line.get("cpu")), (1, Some(4097), Some(&Json::Null)));
    }

    #[test]
    fn a_line_that_was_written_twice_counts_once() {
        let line = Line::new("loss").int("session", 1).int("line", 1).finish();
        assert_eq!(contents(format!("{line}{line}").as_bytes()).lines.len(), 1);
    }
}
