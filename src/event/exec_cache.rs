//! What processes run. The programs send it once for each, so that it is kept here for the events that follow.

use std::sync::Arc;

use crate::memory::{OutOfMemory, probe_step};
use crate::record::Enter;
use crate::record::segments::{Directory, Name, NameStatus, Segments, WalkStatus};

/// What a process runs, since its last exec.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExecInfo {
    /// Another one for each.
    id: u64,
    exe: Option<(WalkStatus, Option<u32>)>,
    exe_names: Vec<u8>,
    is_exe_deleted: bool,
    argv: Option<NameStatus>,
    argv_bytes: Vec<u8>,
}

impl ExecInfo {
    /// Out of a record's segments.
    pub(crate) fn new(id: u64, segments: &Segments<'_>) -> Self {
        let (exe, argv) = (segments.exe(), segments.argv());
        Self {
            id,
            exe: exe.map(|exe| (exe.status, exe.root_bytes)),
            exe_names: exe.map_or_else(Vec::new, |exe| exe.names.to_vec()),
            is_exe_deleted: segments.is_exe_deleted(),
            argv: argv.map(|argv| argv.status),
            argv_bytes: argv.map_or_else(Vec::new, |argv| argv.bytes.to_vec()),
        }
    }

    /// Tells one from another; never 0.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The executable; `None` for a thread of the kernel's.
    #[must_use]
    pub fn exe(&self) -> Option<Directory<'_>> {
        let (status, root_bytes) = self.exe.filter(|(status, _)| *status != WalkStatus::None)?;
        Some(Directory { status, root_bytes, names: &self.exe_names })
    }

    /// Whether the executable's file is deleted.
    #[must_use]
    pub fn is_exe_deleted(&self) -> bool {
        self.is_exe_deleted
    }

    /// The arguments, each with a NUL behind it; `None` when they could not be read.
    #[must_use]
    pub fn argv(&self) -> Option<Name<'_>> {
        let status = self.argv.filter(|status| *status != NameStatus::Fault)?;
        Some(Name { status, bytes: &self.argv_bytes })
    }
}

/// As many places as the BPF programs have (`PROGRAMS_MAX`).
const SLOTS: u32 = 16384;

/// So many places are made at a time.
const PAGE: usize = 64;

/// How many processes are kept at each place. The kernel keeps one: records of two that share it can overtake each other.
const WAYS: usize = 2;

type Slot = [Option<(u32, Arc<ExecInfo>)>; WAYS];

/// The processes that are known.
#[derive(Debug, Default)]
pub struct ExecCache {
    /// By the low bits of the pid, as in the kernel. The latest comes first.
    places: Vec<Vec<Slot>>,
    learned: u64,
}

impl ExecCache {
    /// The page, and the place in it.
    fn at(pid: u32) -> (usize, usize) {
        let at = (pid & (SLOTS - 1)) as usize;
        (at / PAGE, at % PAGE)
    }

    /// Keeps what the record tells, if it tells something. To be called in the order of the ring.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]: nothing is kept of it, and it is to be told again.
    #[inline]
    pub fn learn(&mut self, enter: &Enter<'_>) -> Result<(), OutOfMemory> {
        if enter.segments.has_program() { self.keep(enter) } else { Ok(()) }
    }

    #[cold]
    fn keep(&mut self, enter: &Enter<'_>) -> Result<(), OutOfMemory> {
        // It stays: there must be memory for it outside of the reserve.
        probe_step()?;
        if self.places.is_empty() {
            self.places.resize_with(SLOTS as usize / PAGE, Vec::new);
        }
        self.learned += 1;
        let pid = enter.record.pid;
        let (page, at) = Self::at(pid);
        let page = &mut self.places[page];
        if page.is_empty() {
            page.resize_with(PAGE, Slot::default);
        }
        let place = &mut page[at];
        let of_pid = |known: &Option<(u32, Arc<ExecInfo>)>| known.as_ref().is_some_and(|(known, _)| *known == pid);
        let last = place.iter().position(of_pid).unwrap_or(WAYS - 1);
        place[..=last].rotate_right(1);
        place[0] = Some((pid, Arc::new(ExecInfo::new(self.learned, &enter.segments))));
        Ok(())
    }

    /// What the process runs, as far as it was told.
    #[must_use]
    #[inline]
    pub fn get(&self, pid: u32) -> Option<&Arc<ExecInfo>> {
        let (page, at) = Self::at(pid);
        let place = self.places.get(page)?.get(at)?;
        place.iter().flatten().find(|(known, _)| *known == pid).map(|(_, program)| program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::enter_record;
    use crate::record::testing::{add_segment, walked};
    use crate::skel::types::{name_status, segment_kind, walk_status};

    fn run(programs: &mut ExecCache, pid: u32, exe: Option<&[u8]>, argv: Option<&[u8]>) {
        let mut segments = Vec::new();
        if let Some(names) = exe {
            add_segment(&mut segments, segment_kind::SEGMENT_EXE.0, walk_status::WALK_WHOLE.0, &walked(None, names));
        }
        if let Some(bytes) = argv {
            add_segment(&mut segments, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, bytes);
        }
        let segments = Segments::read(&segments).unwrap();
        programs.learn(&Enter { record: &enter_record { pid, ..Default::default() }, segments }).unwrap();
    }

    fn exe(programs: &ExecCache, pid: u32) -> Option<Vec<u8>> {
        programs.get(pid).and_then(|program| program.exe()).map(|exe| exe.names.to_vec())
    }

    #[test]
    fn what_was_told_once_is_known_until_it_is_told_anew() {
        let mut programs = ExecCache::default();
        assert!(programs.get(7).is_none());
        run(&mut programs, 7, Some(b"sh\0"), Some(b"sh\0-c\0"));
        let first = programs.get(7).unwrap().id();
        run(&mut programs, 7, None, None);
        let program = programs.get(7).unwrap();
        assert_eq!((program.id(), program.argv().unwrap().bytes), (first, b"sh\0-c\0".as_slice()));
        run(&mut programs, 7, Some(b"rm\0"), None);
        let program = programs.get(7).unwrap();
        assert_eq!((exe(&programs, 7), program.argv()), (Some(b"rm\0".to_vec()), None));
        assert_ne!(program.id(), first);
    }

    #[test]
    fn a_deleted_executable_is_told_however_far_the_walk_came() {
        for (status, is_deleted) in [(walk_status::WALK_PARTIAL, 1), (walk_status::WALK_PARTIAL, 0)] {
            let mut content = walked(Some(3), b"sh\0srv\0");
            content[4..8].copy_from_slice(&u32::to_ne_bytes(is_deleted));
            let mut bytes = Vec::new();
            add_segment(&mut bytes, segment_kind::SEGMENT_EXE.0, status.0, &content);
            let program = ExecInfo::new(1, &Segments::read(&bytes).unwrap());
            assert_eq!((program.is_exe_deleted(), program.exe().unwrap().root_bytes), (is_deleted == 1, Some(3)));
        }
        assert!(!ExecInfo::new(1, &Segments::default()).is_exe_deleted());
    }

    #[test]
    fn two_share_a_place() {
        let mut programs = ExecCache::default();
        let [one, two, three] = [5, 5 + SLOTS, 5 + 2 * SLOTS];
        run(&mut programs, one, Some(b"one\0"), None);
        run(&mut programs, two, Some(b"two\0"), None);
        assert_eq!((exe(&programs, one), exe(&programs, two)), (Some(b"one\0".to_vec()), Some(b"two\0".to_vec())));
        run(&mut programs, one, Some(b"again\0"), None);
        run(&mut programs, three, Some(b"three\0"), None);
        assert_eq!(exe(&programs, one), Some(b"again\0".to_vec()));
        assert_eq!((exe(&programs, two), exe(&programs, three)), (None, Some(b"three\0".to_vec())));
    }

    #[test]
    fn none_is_told_too() {
        let mut programs = ExecCache::default();
        let mut segments = Vec::new();
        add_segment(&mut segments, segment_kind::SEGMENT_EXE.0, walk_status::WALK_NONE.0, &walked(None, b""));
        add_segment(&mut segments, segment_kind::SEGMENT_ARGV.0, name_status::NAME_FAULT.0, b"");
        let segments = Segments::read(&segments).unwrap();
        programs.learn(&Enter { record: &enter_record { pid: 2, ..Default::default() }, segments }).unwrap();
        let program = programs.get(2).unwrap();
        assert_eq!((program.exe(), program.argv()), (None, None));
    }
}
