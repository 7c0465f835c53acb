//! The state of a session, written over and over in a small file: how far it watched, and how far its log is on the disk.
//!
//! Two slots are written in turn, so one of them is whole whenever the process or the machine stops. A sleeping host
//! costs no flush of the disk: only logs are flushed, and the state only ever tells of what was flushed before.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::history::anchor::is_removed;
use crate::history::files::{create_file, oddity, open_file};
use crate::history::line::{Line, read_line};

const SLOT_BYTES: usize = 512;

/// The state of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// All calls that had ended by then are recorded, or counted as lost.
    pub(crate) through_ns: i64,
    /// The number of the current log, and the bytes of it that are on the disk.
    pub(crate) log: i64,
    pub(crate) log_bytes: i64,
    /// The events that the kernel's ring has lost in all.
    pub(crate) lost_ring: i64,
    /// The events that found no room in all, and the times between which those happened that the journal lacks.
    pub(crate) dropped: i64,
    pub(crate) dropped_from_ns: i64,
    pub(crate) dropped_to_ns: i64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Through {
    file: File,
    beat: i64,
}

impl Through {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: create_file(path)?, beat: 0 })
    }

    /// Makes the file again when somebody has removed it.
    pub(crate) fn keep(&mut self, path: &Path) -> io::Result<()> {
        if is_removed(&self.file) {
            self.file = create_file(path)?;
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, state: &State) -> io::Result<()> {
        let line = Line::new("state")
            .int("beat", self.beat)
            .int("through_ns", state.through_ns)
            .int("log", state.log)
            .int("log_bytes", state.log_bytes)
            .int("lost_ring", state.lost_ring)
            .int("dropped", state.dropped)
            .int("dropped_from_ns", state.dropped_from_ns)
            .int("dropped_to_ns", state.dropped_to_ns)
            .finish();
        let slot = format!("{:<width$}\n", line.trim_end(), width = SLOT_BYTES - 1);
        self.file.write_all_at(slot.as_bytes(), (self.beat & 1).cast_unsigned() * SLOT_BYTES as u64)?;
        self.beat += 1;
        Ok(())
    }
}

/// Reads the latest state. `None` when there is none that is whole.
pub(crate) fn read(path: &Path) -> io::Result<Option<State>> {
    let mut bytes = Vec::new();
    match open_file(path) {
        Ok(file) => file.take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Something else under its name is no state.
        Err(error) if oddity(&error).is_some() => return Ok(None),
        Err(error) => return Err(error),
    };
    let lines = bytes.chunks(SLOT_BYTES).filter_map(|slot| read_line(slot.trim_ascii()));
    let latest = lines.max_by_key(|line| line.int("beat"));
    Ok(latest.and_then(|line| {
        Some(State {
            through_ns: line.int("through_ns")?,
            log: line.int("log")?,
            log_bytes: line.int("log_bytes")?,
            lost_ring: line.int("lost_ring")?,
            dropped: line.int("dropped")?,
            dropped_from_ns: line.int("dropped_from_ns")?,
            dropped_to_ns: line.int("dropped_to_ns")?,
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::files::testing::Scratch;

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let scratch = Scratch::new("through");
        let path = scratch.0.join("1.through");
        assert_eq!(read(&path).unwrap(), None);
        let mut through = Through::create(&path).unwrap();
        let state = |number: i64| State {
            through_ns: number,
            log: 1,
            log_bytes: i64::MAX,
            lost_ring: 0,
            dropped: i64::MAX,
            dropped_from_ns: i64::MIN,
            dropped_to_ns: i64::MIN,
        };
        for number in 1..=5 {
            through.write(&state(number)).unwrap();
            assert_eq!(read(&path).unwrap(), Some(state(number)));
        }
        std::fs::remove_file(&path).unwrap();
        through.keep(&path).unwrap();
        for number in 4..=5 {
            through.write(&state(number)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[30] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path).unwrap(), Some(state(4)));
    }
}
