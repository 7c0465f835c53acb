//! The segments behind a record: names, their directories, and the exe and argv of the process.

use std::ptr;

use crate::error::Malformed;
use crate::skel::types::{directory, file_info, image, name_status, range, segment, segment_kind, walk_status};

type Result<T> = std::result::Result<T, Malformed>;

/// The alignment of segments (`SEGMENT_ALIGN`).
const SEGMENT_ALIGN: usize = 8;

/// A name as the task passed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// Whether the bytes are the whole name.
    pub status: NameStatus,
    /// The name without its NUL. It is empty when the status is a fault.
    pub bytes: &'a [u8],
}

/// How much of a name could be read: an event's `name_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameStatus {
    /// The whole name.
    Ok,
    /// The first `PATH_MAX` - 1 bytes of a longer name.
    Truncated,
    /// The pointer could not be read.
    Fault,
}

impl NameStatus {
    /// The text in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Fault => "fault",
        }
    }
}

/// How the walk from a directory up to the root ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkStatus {
    /// It reached the root.
    Whole,
    /// It stopped early: the path is too deep or too long, or the tree changed meanwhile.
    Partial,
    /// It reached the root, but the directory itself is deleted.
    Deleted,
    /// There was nothing to start from.
    None,
    /// It reached the root of a mount that is attached nowhere.
    Detached,
    /// It started on a kernel-internal mount, where nothing has a path.
    Internal,
    /// It started at a file that is in no directory, such as one of `memfd_create(2)`. There is only the file's own
    /// name, without a NUL.
    Pseudo,
}

/// A walk from a directory, or a file, up to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory<'a> {
    /// How the walk ended.
    pub status: WalkStatus,
    /// The number of bytes of names below the process's root; `None` when the walk did not meet that root.
    pub root_bytes: Option<u32>,
    /// The names from the leaf to the root of the mount namespace, each followed by a NUL.
    pub names: &'a [u8],
}

/// The place of a file in its file system. It is the same through whichever mount the file is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file system, as the kernel numbers devices.
    pub dev: u32,
    /// The names on the mount, from the leaf to the mount's root, each followed by a NUL.
    pub names: &'a [u8],
    /// The names from the mount's root to the root of the file system, in the same form.
    pub above: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Whether the names end below the namespace's root, or at the root of a detached mount.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self.status, WalkStatus::Partial | WalkStatus::Detached)
    }

    /// Whether the leaf is the name that the kernel gives an unnamed file: `#` and its inode number (`d_tmpfile()`,
    /// fs/dcache.c).
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        let leaf = self.names.split(|byte| *byte == 0).next();
        leaf.and_then(|leaf| leaf.strip_prefix(b"#")).is_some_and(|number| number.iter().all(u8::is_ascii_digit))
    }

    /// Splits the names at the process's root: those below it, if the walk met it, and those above.
    #[must_use]
    pub fn split(&self) -> (Option<&'a [u8]>, &'a [u8]) {
        match self.root_bytes.and_then(|bytes| self.names.split_at_checked(bytes as usize)) {
            Some((below, above)) => (Some(below), above),
            None => (None, self.names),
        }
    }
}

/// The arguments of a call, as far as they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// The values of the six registers; `None` in a record that has only what the call left.
    pub registers: Option<[u64; 6]>,
    /// What each of them points to.
    pub pointed: [Option<Name<'a>>; 6],
}

/// The segments behind a record. They are checked once, and read only when asked for.
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
    range: Offset,
    file: Offset,
    replaced: Offset,
    real: Offset,
    new_real: Offset,
    length: Offset,
    cwd: Offset,
    /// The statuses of all names of the call, combined.
    statuses: u16,
}

/// The offset at which a segment's head ends, in units of [`SEGMENT_ALIGN`]; 0 if there is no such segment. It is small
/// because each event has all of them: with 32 bits they were copied by calls of memmove, a seventh of a batch's time.
type Offset = u16;

impl<'a> Segments<'a> {
    /// Scans the segments. Unknown kinds are skipped. Of two segments of one kind the last one counts.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a segment that reaches beyond the bytes or is too short for its kind.
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
            let offset = Offset::try_from(at / SEGMENT_ALIGN).map_err(|_| Malformed("a segment too far behind"))?;
            match segment_kind(head.kind.into()) {
                segment_kind::SEGMENT_FILENAME => {
                    found.filename = offset;
                    found.statuses |= head.status;
                }
                segment_kind::SEGMENT_NEW_FILENAME => {
                    found.new_filename = offset;
                    found.statuses |= head.status;
                }
                segment_kind::SEGMENT_DIRECTORY => found.directory = walk(offset, length)?,
                segment_kind::SEGMENT_NEW_DIRECTORY => found.new_directory = walk(offset, length)?,
                segment_kind::SEGMENT_EXE => found.exe = walk(offset, length)?,
                segment_kind::SEGMENT_ARGV => found.argv = offset,
                segment_kind::SEGMENT_ANCESTORS => found.ancestors = offset,
                segment_kind::SEGMENT_ROOT => found.root = walk(offset, length)?,
                segment_kind::SEGMENT_RESULT => found.result = offset,
                segment_kind::SEGMENT_RANGE => found.range = offset,
                segment_kind::SEGMENT_FILE => found.file = offset,
                segment_kind::SEGMENT_REPLACED => found.replaced = offset,
                segment_kind::SEGMENT_REAL => found.real = walk(offset, length)?,
                segment_kind::SEGMENT_NEW_REAL => found.new_real = walk(offset, length)?,
                segment_kind::SEGMENT_LENGTH => found.length = offset,
                segment_kind::SEGMENT_CWD => found.cwd = walk(offset, length)?,
                _ => {}
            }
            at += length.next_multiple_of(SEGMENT_ALIGN);
        }
        Ok(found)
    }

    /// Returns the status and the content of the segment at an offset.
    #[inline(always)]
    fn content(&self, offset: Offset) -> Option<(u32, &'a [u8])> {
        let at = usize::from(offset) * SEGMENT_ALIGN;
        let head = head_at(self.bytes, at.checked_sub(size_of::<segment>())?)?;
        let content = self.bytes.get(at..)?.get(..head.bytes as usize)?;
        Some((head.status.into(), content))
    }

    #[inline(always)]
    fn name(&self, offset: Offset) -> Option<Name<'a>> {
        self.content(offset).map(|(status, bytes)| {
            let status = match name_status(status) {
                name_status::NAME_OK => NameStatus::Ok,
                name_status::NAME_TRUNCATED => NameStatus::Truncated,
                _ => NameStatus::Fault,
            };
            Name { status, bytes }
        })
    }

    /// Returns the fixed part of a walk, its status, its names, and those above its mount.
    #[inline(always)]
    fn walk_at(&self, offset: Offset) -> Option<(directory, u32, &'a [u8], &'a [u8])> {
        let (status, content) = self.content(offset)?;
        let (fixed, names) = content.split_first_chunk::<{ size_of::<directory>() }>()?;
        // SAFETY: the bytes have the size of a directory, which consists of integers, for which every bit pattern is
        // valid.
        let fixed: directory = unsafe { ptr::read_unaligned(fixed.as_ptr().cast()) };
        let (names, above) = names.split_at_checked(names.len().checked_sub(fixed.above_bytes as usize)?)?;
        Some((fixed, status, names, above))
    }

    #[inline(always)]
    fn place_at(&self, offset: Offset) -> Option<Place<'a>> {
        let (fixed, _, names, above) = self.walk_at(offset).filter(|(fixed, ..)| fixed.dev != 0)?;
        Some(Place { dev: fixed.dev, names: names.get(..fixed.mount_bytes as usize)?, above })
    }

    #[inline(always)]
    fn walked(&self, offset: Offset) -> Option<Directory<'a>> {
        let (fixed, status, names, _) = self.walk_at(offset)?;
        let root_bytes = Some(fixed.root_bytes).filter(|bytes| *bytes != u32::MAX);
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

    /// The first name of the call.
    #[must_use]
    pub fn filename(&self) -> Option<Name<'a>> {
        self.name(self.filename)
    }

    /// The second name, of a rename.
    #[must_use]
    pub fn new_filename(&self) -> Option<Name<'a>> {
        self.name(self.new_filename)
    }

    /// Whether every name of the call is whole, which is the usual case.
    #[must_use]
    pub fn are_names_whole(&self) -> bool {
        const { assert!(name_status::NAME_OK.0 == 0) };
        self.statuses == 0
    }

    /// The directory that the first name is relative to.
    #[must_use]
    pub fn directory(&self) -> Option<Directory<'a>> {
        self.walked(self.directory)
    }

    /// The directory that the second name is relative to.
    #[must_use]
    pub fn new_directory(&self) -> Option<Directory<'a>> {
        self.walked(self.new_directory)
    }

    /// The place of [`Segments::directory`].
    #[must_use]
    pub fn directory_place(&self) -> Option<Place<'a>> {
        self.place_at(self.directory)
    }

    /// The place of [`Segments::new_directory`].
    #[must_use]
    pub fn new_directory_place(&self) -> Option<Place<'a>> {
        self.place_at(self.new_directory)
    }

    /// The executable, as a walk from its file.
    #[must_use]
    pub fn exe(&self) -> Option<Directory<'a>> {
        self.walked(self.exe)
    }

    /// Whether the executable's file is deleted, however far the walk came.
    #[must_use]
    pub fn is_exe_deleted(&self) -> bool {
        self.walk_at(self.exe).is_some_and(|(fixed, ..)| fixed.is_deleted != 0)
    }

    /// The process's arguments, each followed by a NUL.
    #[must_use]
    pub fn argv(&self) -> Option<Name<'a>> {
        self.name(self.argv)
    }

    /// Whether there is an exe or argv segment.
    #[must_use]
    pub fn has_exec_info(&self) -> bool {
        self.exe | self.argv != 0
    }

    /// The walk from the process's own root, if the walk from a relative name's directory did not meet that root.
    #[must_use]
    pub fn root(&self) -> Option<Directory<'a>> {
        self.walked(self.root)
    }

    /// The return value of the call, in a record that was written at its exit.
    #[must_use]
    pub fn result(&self) -> Option<i64> {
        self.content(self.result)?.1.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes))
    }

    /// The range of bytes that the call removes.
    #[must_use]
    pub fn range(&self) -> Option<range> {
        let (start, rest) = self.content(self.range)?.1.split_first_chunk()?;
        let length = rest.first_chunk()?;
        Some(range { start: i64::from_ne_bytes(*start), length: i64::from_ne_bytes(*length) })
    }

    /// The file that the call is about.
    #[must_use]
    pub fn file(&self) -> Option<file_info> {
        self.file_at(self.file)
    }

    /// The file that a rename replaces.
    #[must_use]
    pub fn replaced(&self) -> Option<file_info> {
        self.file_at(self.replaced)
    }

    fn file_at(&self, offset: Offset) -> Option<file_info> {
        let content: &[u8; size_of::<file_info>()] = self.content(offset)?.1.first_chunk()?;
        // SAFETY: the bytes have the size of a file_info, which consists of integers, for which every bit pattern is
        // valid.
        Some(unsafe { ptr::read_unaligned(content.as_ptr().cast()) })
    }

    /// The name that the kernel found, as a walk from the file itself.
    #[must_use]
    pub fn real(&self) -> Option<Directory<'a>> {
        self.walked(self.real)
    }

    /// The place of [`Segments::real`].
    #[must_use]
    pub fn real_place(&self) -> Option<Place<'a>> {
        self.place_at(self.real)
    }

    /// The second name that the kernel found, of a rename.
    #[must_use]
    pub fn new_real(&self) -> Option<Directory<'a>> {
        self.walked(self.new_real)
    }

    /// The place of [`Segments::new_real`].
    #[must_use]
    pub fn new_real_place(&self) -> Option<Place<'a>> {
        self.place_at(self.new_real)
    }

    /// The size that a truncation asks for.
    #[must_use]
    pub fn length(&self) -> Option<i64> {
        self.content(self.length)?.1.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes))
    }

    /// The working directory of the process.
    #[must_use]
    pub fn cwd(&self) -> Option<Directory<'a>> {
        self.walked(self.cwd)
    }

    /// The call's arguments. They are looked for only now: events that nobody asks for them need not know where they
    /// are.
    #[must_use]
    pub fn arguments(&self) -> Arguments<'a> {
        let mut found = Arguments { registers: None, pointed: [None; 6] };
        let mut at = 0;
        while let Some(head) = head_at(self.bytes, at) {
            at += size_of::<segment>();
            let content = Offset::try_from(at / SEGMENT_ALIGN).ok().and_then(|offset| self.name(offset));
            let register = u32::from(head.kind).checked_sub(segment_kind::SEGMENT_ARGUMENT_1.0);
            if u32::from(head.kind) == segment_kind::SEGMENT_ARGUMENTS.0 {
                found.registers = content.and_then(|content| words(content.bytes));
            } else if let Some(pointed) = register.and_then(|at| found.pointed.get_mut(at as usize)) {
                *pointed = content;
            }
            at += (head.bytes as usize).next_multiple_of(SEGMENT_ALIGN);
        }
        found
    }

    /// The process and its ancestors, in the form that [`images`] reads.
    #[must_use]
    pub fn ancestors(&self) -> &'a [u8] {
        self.content(self.ancestors).map_or(&[], |(_, content)| content)
    }
}

#[inline(always)]
fn head_at(bytes: &[u8], at: usize) -> Option<segment> {
    let head: &[u8; size_of::<segment>()] = bytes.get(at..)?.first_chunk()?;
    // SAFETY: the bytes have the size of a segment's head, which consists of integers, for which every bit pattern is
    // valid.
    Some(unsafe { ptr::read_unaligned(head.as_ptr().cast()) })
}

/// Reads six words.
fn words(bytes: &[u8]) -> Option<[u64; 6]> {
    let mut words = [0; 6];
    for (word, at) in words.iter_mut().zip(0..) {
        *word = u64::from_ne_bytes(*bytes.get(at * 8..)?.first_chunk()?);
    }
    Some(words)
}

/// Returns the offset of a walk, after checking that its fixed part is there.
#[inline(always)]
fn walk(offset: Offset, length: usize) -> Result<Offset> {
    if length < size_of::<directory>() { Err(Malformed("a directory cut short")) } else { Ok(offset) }
}

/// Returns the process images in a segment's content: the process, its parent, and so on.
pub fn images(content: &[u8]) -> impl Iterator<Item = image> + Clone {
    content.chunks_exact(size_of::<image>()).map(|one| {
        // SAFETY: the bytes have the size of an image, which consists of integers, for which every bit pattern is valid.
        unsafe { ptr::read_unaligned(one.as_ptr().cast()) }
    })
}
