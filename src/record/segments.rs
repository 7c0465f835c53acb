//! What stands behind a record: names, the directories that they are in, what the process runs.

use std::mem::offset_of;
use std::ptr;

use crate::error::Malformed;
use crate::skel::types::{ancestor, directory, name_status, segment, segment_kind, walk_status};

type Result<T> = std::result::Result<T, Malformed>;

/// Segments begin at multiples of it (`SEGMENT_ALIGN`).
const SEGMENT_ALIGN: usize = 8;

/// A name as the task passed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// Whether the bytes are the whole name.
    pub status: NameStatus,
    /// Without the NUL; empty when the status is a fault.
    pub bytes: &'a [u8],
}

/// An event's `name_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameStatus {
    /// The whole name.
    Ok,
    /// The first `PATH_MAX` - 1 bytes of a longer one.
    Truncated,
    /// The pointer could not be read.
    Fault,
}

impl NameStatus {
    /// As it stands in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Fault => "fault",
        }
    }
}

/// How the walk from a directory to the root ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkStatus {
    /// At the root.
    Whole,
    /// Before it: too deep, too long, or the tree changed meanwhile.
    Partial,
    /// At the root, but the directory itself is deleted.
    Deleted,
    /// There is nothing to walk from.
    None,
    /// At the root of a mount that is attached nowhere.
    Detached,
    /// On a mount of the kernel's own, where nothing has a path.
    Internal,
    /// A file that is in no directory, as `memfd_create(2)` makes them: only its own name is there, without a NUL.
    Pseudo,
}

/// What a name is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory<'a> {
    /// How far the names go.
    pub status: WalkStatus,
    /// How many bytes of the names lie below the process's root; `None` when the walk did not meet it.
    pub root_bytes: Option<u32>,
    /// From the leaf to the root of the mount namespace, each with a NUL behind it.
    pub names: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Whether the names end before the root of the namespace, or at one that stands nowhere.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self.status, WalkStatus::Partial | WalkStatus::Detached)
    }

    /// Whether a file that has no name is called this by the kernel (`d_tmpfile()`, fs/dcache.c): `#` and its inode.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        let leaf = self.names.split(|byte| *byte == 0).next();
        leaf.and_then(|leaf| leaf.strip_prefix(b"#")).is_some_and(|number| number.iter().all(u8::is_ascii_digit))
    }

    /// The names below the process's root, if it was met, and those above.
    #[must_use]
    pub fn split(&self) -> (Option<&'a [u8]>, &'a [u8]) {
        match self.root_bytes.and_then(|bytes| self.names.split_at_checked(bytes as usize)) {
            Some((below, above)) => (Some(below), above),
            None => (None, self.names),
        }
    }
}

/// The segments behind a record: found to be sound, and not read before they are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Segments<'a> {
    bytes: &'a [u8],
    filename: Offset,
    new_filename: Offset,
    directory: Offset,
    new_directory: Offset,
    exe: Offset,
    argv: Offset,
    ancestors: Offset,
    root: Offset,
    result: Offset,
    /// Of all names that a call passed.
    statuses: u16,
}

/// Where a segment's head ends; 0 where there is none.
type Offset = u32;

impl<'a> Segments<'a> {
    /// Looks through the segments; kinds that we do not know are passed over, and of two of a kind the last counts.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for one that is longer than what there is, or too short for its kind.
    #[inline(always)]
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut found = Self { bytes, ..Self::default() };
        let mut at = 0;
        while at < bytes.len() {
            let head = head_at(bytes, at).ok_or(Malformed("a segment cut short"))?;
            at += size_of::<segment>();
            let length = head.bytes as usize;
            if length > bytes.len() - at {
                return Err(Malformed("a segment longer than its record"));
            }
            // A record is far below the 4 GiB that this can tell.
            let place = at as Offset;
            match segment_kind(head.kind.into()) {
                segment_kind::SEGMENT_FILENAME => {
                    found.filename = place;
                    found.statuses |= head.status;
                }
                segment_kind::SEGMENT_NEW_FILENAME => {
                    found.new_filename = place;
                    found.statuses |= head.status;
                }
                segment_kind::SEGMENT_DIRECTORY => found.directory = walk(place, length)?,
                segment_kind::SEGMENT_NEW_DIRECTORY => found.new_directory = walk(place, length)?,
                segment_kind::SEGMENT_EXE => found.exe = walk(place, length)?,
                segment_kind::SEGMENT_ARGV => found.argv = place,
                segment_kind::SEGMENT_ANCESTORS => found.ancestors = place,
                segment_kind::SEGMENT_ROOT => found.root = walk(place, length)?,
                segment_kind::SEGMENT_RESULT => found.result = place,
                _ => {}
            }
            at += length.next_multiple_of(SEGMENT_ALIGN);
        }
        Ok(found)
    }

    /// The status and the content of the one there.
    #[inline(always)]
    fn content(&self, place: Offset) -> Option<(u32, &'a [u8])> {
        let at = place as usize;
        let head = head_at(self.bytes, at.checked_sub(size_of::<segment>())?)?;
        let content = self.bytes.get(at..)?.get(..head.bytes as usize)?;
        Some((head.status.into(), content))
    }

    #[inline(always)]
    fn name(&self, place: Offset) -> Option<Name<'a>> {
        self.content(place).map(|(status, bytes)| {
            let status = match name_status(status) {
                name_status::NAME_OK => NameStatus::Ok,
                name_status::NAME_TRUNCATED => NameStatus::Truncated,
                _ => NameStatus::Fault,
            };
            Name { status, bytes }
        })
    }

    #[inline(always)]
    fn walked(&self, place: Offset) -> Option<Directory<'a>> {
        let (status, content) = self.content(place)?;
        let (fixed, names) = content.split_at_checked(size_of::<directory>())?;
        let root_bytes = fixed.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)).filter(|bytes| *bytes != u32::MAX);
        let status = match walk_status(status) {
            walk_status::WALK_WHOLE => WalkStatus::Whole,
            walk_status::WALK_DELETED => WalkStatus::Deleted,
            walk_status::WALK_NONE => WalkStatus::None,
            walk_status::WALK_DETACHED => WalkStatus::Detached,
            walk_status::WALK_INTERNAL => WalkStatus::Internal,
            walk_status::WALK_PSEUDO => WalkStatus::Pseudo,
            _ => WalkStatus::Partial,
        };
        Some(Directory { status, root_bytes, names })
    }

    /// The path argument.
    #[must_use]
    pub fn filename(&self) -> Option<Name<'a>> {
        self.name(self.filename)
    }

    /// The second one, of a rename.
    #[must_use]
    pub fn new_filename(&self) -> Option<Name<'a>> {
        self.name(self.new_filename)
    }

    /// Whether the status of each name that there is says that it is whole: the ordinary case.
    #[must_use]
    pub fn are_names_whole(&self) -> bool {
        const { assert!(name_status::NAME_OK.0 == 0) };
        self.statuses == 0
    }

    /// What the first is relative to.
    #[must_use]
    pub fn directory(&self) -> Option<Directory<'a>> {
        self.walked(self.directory)
    }

    /// What the second is relative to.
    #[must_use]
    pub fn new_directory(&self) -> Option<Directory<'a>> {
        self.walked(self.new_directory)
    }

    /// The executable, as a directory's names are.
    #[must_use]
    pub fn exe(&self) -> Option<Directory<'a>> {
        self.walked(self.exe)
    }

    /// Whether the executable's file is deleted, however far the walk from it came.
    #[must_use]
    pub fn is_exe_deleted(&self) -> bool {
        let word = |content: &[u8]| content.get(offset_of!(directory, is_deleted)..)?.first_chunk().copied();
        self.content(self.exe).and_then(|(_, content)| word(content)).is_some_and(|word| u32::from_ne_bytes(word) != 0)
    }

    /// The process's arguments, each with a NUL behind it.
    #[must_use]
    pub fn argv(&self) -> Option<Name<'a>> {
        self.name(self.argv)
    }

    /// Whether they tell what the process runs.
    #[must_use]
    pub fn has_program(&self) -> bool {
        self.exe | self.argv != 0
    }

    /// The process's own root, where the walk from a relative name's directory did not meet it.
    #[must_use]
    pub fn root(&self) -> Option<Directory<'a>> {
        self.walked(self.root)
    }

    /// What the call returned, of a record that was written at its exit.
    #[must_use]
    pub fn result(&self) -> Option<i64> {
        self.content(self.result)?.1.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes))
    }

    /// The process's ancestors, as [`ancestors`] reads them.
    #[must_use]
    pub fn ancestors(&self) -> &'a [u8] {
        self.content(self.ancestors).map_or(&[], |(_, content)| content)
    }
}

#[inline(always)]
fn head_at(bytes: &[u8], at: usize) -> Option<segment> {
    let head: &[u8; size_of::<segment>()] = bytes.get(at..)?.first_chunk()?;
    // SAFETY: it has the size of a segment's head, and that is of integers, for which every pattern of bits is a value.
    Some(unsafe { ptr::read_unaligned(head.as_ptr().cast()) })
}

/// The place of a directory, which has a fixed part.
#[inline(always)]
fn walk(place: Offset, length: usize) -> Result<Offset> {
    if length < size_of::<directory>() { Err(Malformed("a directory cut short")) } else { Ok(place) }
}

/// The ancestors in a segment's content, the parent first: pid and comm.
pub fn ancestors(content: &[u8]) -> impl Iterator<Item = (u32, &[u8])> + Clone {
    content.chunks_exact(size_of::<ancestor>()).map(|one| {
        let (pid, comm) = one.split_at(offset_of!(ancestor, comm));
        let pid = pid.first_chunk().map_or(0, |pid| u32::from_ne_bytes(*pid));
        (pid, comm.split(|byte| *byte == 0).next().unwrap_or_default())
    })
}
