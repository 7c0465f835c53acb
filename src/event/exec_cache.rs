//! A cache of the processes' exe and argv. The programs send them once per process, and later events take them from
//! here.

use std::sync::Arc;

use crate::memory::{OutOfMemory, probe_step};
use crate::record::Enter;
use crate::record::segments::{Directory, Name, NameStatus, Segments, WalkStatus};

/// The exe and argv of a process since its last exec.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExecInfo {
    /// A number that no other entry has.
    id: u64,
    exe: Option<(WalkStatus, Option<u32>)>,
    exe_names: Vec<u8>,
    is_exe_deleted: bool,
    argv: Option<NameStatus>,
    argv_bytes: Vec<u8>,
}

impl ExecInfo {
    /// Copies the record's segments.
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

    /// The number of this entry. It is never 0.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The executable; `None` for a kernel thread.
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

    /// The arguments, each followed by a NUL; `None` when they could not be read.
    #[must_use]
    pub fn argv(&self) -> Option<Name<'_>> {
        let status = self.argv.filter(|status| *status != NameStatus::Fault)?;
        Some(Name { status, bytes: &self.argv_bytes })
    }
}

/// The number of slots in the BPF programs' cache (`EXEC_SLOTS`).
const SLOTS: u32 = 16384;

/// The number of slots that are allocated together.
const PAGE: usize = 64;

/// The number of processes kept per slot. The kernel keeps one, but records of two processes that share a slot can
/// overtake each other.
const WAYS: usize = 2;

type Slot = [Option<(u32, Arc<ExecInfo>)>; WAYS];

/// The cache of known processes.
#[derive(Debug, Default)]
pub struct ExecCache {
    /// The slots, indexed by the low bits of the pid as in the kernel. In each, the latest process comes first.
    slots: Vec<Vec<Slot>>,
    learned: u64,
}

impl ExecCache {
    /// Returns the page and the index of a pid's slot.
    fn at(pid: u32) -> (usize, usize) {
        let at = (pid & (SLOTS - 1)) as usize;
        (at / PAGE, at % PAGE)
    }

    /// Keeps the record's exe and argv if it has any. Records must come in the order of the ring.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when nothing was kept. The same record must then be passed again.
    #[inline]
    pub fn learn(&mut self, enter: &Enter<'_>) -> Result<(), OutOfMemory> {
        if enter.segments.has_exec_info() { self.keep(enter) } else { Ok(()) }
    }

    #[cold]
    fn keep(&mut self, enter: &Enter<'_>) -> Result<(), OutOfMemory> {
        // The entry stays, so its memory must not come from the reserve.
        probe_step()?;
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS as usize / PAGE, Vec::new);
        }
        self.learned += 1;
        let pid = enter.record.pid;
        let (page, at) = Self::at(pid);
        let page = &mut self.slots[page];
        if page.is_empty() {
            page.resize_with(PAGE, Slot::default);
        }
        let slot = &mut page[at];
        let of_pid = |known: &Option<(u32, Arc<ExecInfo>)>| known.as_ref().is_some_and(|(known, _)| *known == pid);
        let last = slot.iter().position(of_pid).unwrap_or(WAYS - 1);
        slot[..=last].rotate_right(1);
        slot[0] = Some((pid, Arc::new(ExecInfo::new(self.learned, &enter.segments))));
        Ok(())
    }

    /// Returns the exe and argv of a process, if they were sent.
    #[must_use]
    #[inline]
    pub fn get(&self, pid: u32) -> Option<&Arc<ExecInfo>> {
        let (page, at) = Self::at(pid);
        let slot = self.slots.get(page)?.get(at)?;
        slot.iter().flatten().find(|(known, _)| *known == pid).map(|(_, info)| info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::enter_record;
    use crate::record::testing::{add_segment, walked};
    use crate::skel::types::{name_status, segment_kind, walk_status};

    fn run(cache: &mut ExecCache, pid: u32, exe: Option<&[u8]>, argv: Option<&[u8]>) {
        let mut segments = Vec::new();
        if let Some(names) = exe {
            add_segment(&mut segments, segment_kind::SEGMENT_EXE.0, walk_status::WALK_WHOLE.0, &walked(None, names));
        }
        if let Some(bytes) = argv {
            add_segment(&mut segments, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, bytes);
        }
        let segments = Segments::read(&segments).unwrap();
        cache.learn(&Enter { record: &enter_record { pid, ..Default::default() }, segments }).unwrap();
    }

    fn exe(cache: &ExecCache, pid: u32) -> Option<Vec<u8>> {
        cache.get(pid).and_then(|info| info.exe()).map(|exe| exe.names.to_vec())
    }

    #[test]
    fn an_entry_is_kept_until_it_is_sent_again() {
        let mut cache = ExecCache::default();
        assert!(cache.get(7).is_none());
        run(&mut cache, 7, Some(b"sh\0"), Some(b"sh\0-c\0"));
        let first = cache.get(7).unwrap().id();
        run(&mut cache, 7, None, None);
        let info = cache.get(7).unwrap();
        assert_eq!((info.id(), info.argv().unwrap().bytes), (first, b"sh\0-c\0".as_slice()));
        run(&mut cache, 7, Some(b"rm\0"), None);
        let info = cache.get(7).unwrap();
        assert_eq!((exe(&cache, 7), info.argv()), (Some(b"rm\0".to_vec()), None));
        assert_ne!(info.id(), first);
    }

    #[test]
    fn a_deleted_executable_is_known_however_far_the_walk_came() {
        for (status, is_deleted) in [(walk_status::WALK_PARTIAL, 1), (walk_status::WALK_PARTIAL, 0)] {
            let mut content = walked(Some(3), b"sh\0srv\0");
            content[4..8].copy_from_slice(&u32::to_ne_bytes(is_deleted));
            let mut bytes = Vec::new();
            add_segment(&mut bytes, segment_kind::SEGMENT_EXE.0, status.0, &content);
            let info = ExecInfo::new(1, &Segments::read(&bytes).unwrap());
            assert_eq!((info.is_exe_deleted(), info.exe().unwrap().root_bytes), (is_deleted == 1, Some(3)));
        }
        assert!(!ExecInfo::new(1, &Segments::default()).is_exe_deleted());
    }

    #[test]
    fn two_share_a_place() {
        let mut cache = ExecCache::default();
        let [one, two, three] = [5, 5 + SLOTS, 5 + 2 * SLOTS];
        run(&mut cache, one, Some(b"one\0"), None);
        run(&mut cache, two, Some(b"two\0"), None);
        assert_eq!((exe(&cache, one), exe(&cache, two)), (Some(b"one\0".to_vec()), Some(b"two\0".to_vec())));
        run(&mut cache, one, Some(b"again\0"), None);
        run(&mut cache, three, Some(b"three\0"), None);
        assert_eq!(exe(&cache, one), Some(b"again\0".to_vec()));
        assert_eq!((exe(&cache, two), exe(&cache, three)), (None, Some(b"three\0".to_vec())));
    }

    #[test]
    fn a_process_without_an_executable_is_kept_too() {
        let mut cache = ExecCache::default();
        let mut segments = Vec::new();
        add_segment(&mut segments, segment_kind::SEGMENT_EXE.0, walk_status::WALK_NONE.0, &walked(None, b""));
        add_segment(&mut segments, segment_kind::SEGMENT_ARGV.0, name_status::NAME_FAULT.0, b"");
        let segments = Segments::read(&segments).unwrap();
        cache.learn(&Enter { record: &enter_record { pid: 2, ..Default::default() }, segments }).unwrap();
        let info = cache.get(2).unwrap();
        assert_eq!((info.exe(), info.argv()), (None, None));
    }
}
