//! `&[u8]` to [`Record`]: checks bounds, then reads. No Python here.

use std::mem::offset_of;
use std::ptr;

use crate::error::{Error, Result};
use crate::skel::types::{ancestor, directory, name_status, record_kind, segment, segment_kind, walk_status};
pub use crate::skel::types::{completion_record, enter_record, exit_record};

/// Before each record in the ring: length and flags, and the kernel's own page offset.
pub const HEADER_BYTES: usize = 8;
/// A record that its writer gave up.
pub const DISCARDED: u32 = 1 << 30;
const LENGTH: u32 = DISCARDED - 1;
/// Segments begin at multiples of it (`SEGMENT_ALIGN`).
const SEGMENT_ALIGN: u32 = 8;

/// How many bytes a record takes in the ring, its header included.
#[must_use]
pub fn record_span(header: u32) -> usize {
    ((header & LENGTH) as usize + HEADER_BYTES).next_multiple_of(8)
}

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
    /// The names below the process's root, if it was met, and those above.
    #[must_use]
    pub fn split(&self) -> (Option<&'a [u8]>, &'a [u8]) {
        match self.root_bytes.and_then(|bytes| self.names.split_at_checked(bytes as usize)) {
            Some((below, above)) => (Some(below), above),
            None => (None, self.names),
        }
    }
}

/// The segments behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segments<'a> {
    /// The path argument.
    pub filename: Option<Name<'a>>,
    /// The second one, of a rename.
    pub new_filename: Option<Name<'a>>,
    /// What the first is relative to.
    pub directory: Option<Directory<'a>>,
    /// What the second is relative to.
    pub new_directory: Option<Directory<'a>>,
    /// The executable, as a directory's names are.
    pub exe: Option<Directory<'a>>,
    /// The process's arguments, each with a NUL behind it.
    pub argv: Option<Name<'a>>,
    /// Its ancestors, as [`ancestors`] reads them.
    pub ancestors: &'a [u8],
}

/// The ancestors in a segment's content, the parent first: pid and comm.
pub fn ancestors(content: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    content.chunks_exact(size_of::<ancestor>()).map(|one| {
        let (pid, comm) = one.split_at(offset_of!(ancestor, comm));
        let pid = pid.first_chunk().map_or(0, |pid| u32::from_ne_bytes(*pid));
        (pid, comm.split(|byte| *byte == 0).next().unwrap_or_default())
    })
}

/// The entry of a call.
#[derive(Debug, Clone, Copy)]
pub struct Enter<'a> {
    /// The fixed part, where it lies.
    pub record: &'a enter_record,
    /// What was passed.
    pub segments: Segments<'a>,
}

/// Where the part of an enter record begins that a thread's calls have in common, as a rule.
const IDENTITY_AT: usize = offset_of!(enter_record, nr);

/// That part. In words: to compare those takes no call of memcmp, which costs more than all the rest of making a dict.
pub type Identity = [u64; (size_of::<enter_record>() - IDENTITY_AT) / 8];

impl Enter<'_> {
    /// Who calls, and what: equal for calls that differ only in their arguments.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        const {
            assert!(
                IDENTITY_AT.is_multiple_of(align_of::<Identity>())
                    && align_of::<enter_record>() == align_of::<Identity>()
            );
        };
        // SAFETY: the words are the record's own last bytes, all of them initialized: it has no padding (event.h). They
        // are aligned as the record is.
        unsafe { &*ptr::from_ref(self.record).byte_add(IDENTITY_AT).cast() }
    }
}

/// Whether they are the same.
#[must_use]
pub fn same_identity(one: &Identity, other: &Identity) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// The return of a call.
#[derive(Debug, Clone, Copy)]
pub struct Exit<'a> {
    /// The fixed part.
    pub record: exit_record,
    /// Its segments, found to be sound. There are none as a rule, and few ask for those that there are.
    segments: &'a [u8],
}

impl<'a> Exit<'a> {
    /// Without segments.
    #[must_use]
    pub fn new(record: exit_record) -> Self {
        Self { record, segments: &[] }
    }

    /// The names read again, when one could not be read at the entry.
    #[must_use]
    pub fn segments(&self) -> Segments<'a> {
        segments(self.segments).unwrap_or_default()
    }
}

/// What a record in the ring is.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A call began.
    Enter(Enter<'a>),
    /// A call ended.
    Exit(Exit<'a>),
    /// A request of `io_uring`'s ended.
    Completion(completion_record),
}

/// Reads a `T` that starts the bytes, and gives back the rest.
#[inline(always)]
fn split<'a, T: Copy>(bytes: &'a [u8], what: &'static str) -> Result<(T, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>()).ok_or(Error::Malformed(what))?;
    // SAFETY: head has the size of T, and the types this is called with are integers and arrays of integers, for
    // which every pattern of bits is a value.
    Ok((unsafe { ptr::read_unaligned(head.as_ptr().cast()) }, rest))
}

/// The enter record that starts the bytes, not copied, as it is large; and the rest.
#[inline(always)]
fn split_enter(bytes: &[u8]) -> Result<(&enter_record, &[u8])> {
    let (head, rest) =
        bytes.split_at_checked(size_of::<enter_record>()).ok_or(Error::Malformed("an enter record cut short"))?;
    // SAFETY: every pattern of bits is a value of its integers and arrays of integers.
    let ([], [record], []) = (unsafe { head.align_to() }) else {
        // In the ring every record is aligned, and so it is in a chunk, as malloc aligns those.
        return Err(Error::Malformed("an enter record that is not aligned"));
    };
    Ok((record, rest))
}

#[inline(always)]
fn name(head: segment, bytes: &[u8]) -> Name<'_> {
    let status = match name_status(head.status.into()) {
        name_status::NAME_OK => NameStatus::Ok,
        name_status::NAME_TRUNCATED => NameStatus::Truncated,
        _ => NameStatus::Fault,
    };
    Name { status, bytes }
}

#[inline(always)]
fn walked(head: segment, bytes: &[u8]) -> Result<Directory<'_>> {
    let (fixed, names) = split::<directory>(bytes, "a directory cut short")?;
    let status = match walk_status(head.status.into()) {
        walk_status::WALK_WHOLE => WalkStatus::Whole,
        walk_status::WALK_DELETED => WalkStatus::Deleted,
        walk_status::WALK_NONE => WalkStatus::None,
        _ => WalkStatus::Partial,
    };
    Ok(Directory { status, root_bytes: Some(fixed.root_bytes).filter(|bytes| *bytes != u32::MAX), names })
}

/// Reads the segments; kinds that we do not know are passed over.
#[inline(always)]
fn segments(mut bytes: &[u8]) -> Result<Segments<'_>> {
    let mut found = Segments::default();
    while !bytes.is_empty() {
        let (head, rest) = split::<segment>(bytes, "a segment cut short")?;
        let (content, rest) =
            rest.split_at_checked(head.bytes as usize).ok_or(Error::Malformed("a segment longer than its record"))?;
        match segment_kind(head.kind.into()) {
            segment_kind::SEGMENT_FILENAME => found.filename = Some(name(head, content)),
            segment_kind::SEGMENT_NEW_FILENAME => found.new_filename = Some(name(head, content)),
            segment_kind::SEGMENT_DIRECTORY => found.directory = Some(walked(head, content)?),
            segment_kind::SEGMENT_NEW_DIRECTORY => found.new_directory = Some(walked(head, content)?),
            segment_kind::SEGMENT_EXE => found.exe = Some(walked(head, content)?),
            segment_kind::SEGMENT_ARGV => found.argv = Some(name(head, content)),
            segment_kind::SEGMENT_ANCESTORS => found.ancestors = content,
            _ => {}
        }
        let padding = head.bytes.next_multiple_of(SEGMENT_ALIGN) - head.bytes;
        bytes = rest.get(padding as usize..).unwrap_or_default();
    }
    Ok(found)
}

/// Reads one record, without its header.
///
/// # Errors
///
/// [`Error::Malformed`] for anything that our programs do not write.
#[inline(always)]
pub fn parse(bytes: &[u8]) -> Result<Record<'_>> {
    let kind = bytes.first_chunk().map(|kind| u32::from_ne_bytes(*kind));
    match kind.map(record_kind) {
        Some(record_kind::RECORD_ENTER) => {
            let (record, rest) = split_enter(bytes)?;
            Ok(Record::Enter(Enter { record, segments: segments(rest)? }))
        }
        Some(record_kind::RECORD_EXIT) => {
            let (record, rest) = split::<exit_record>(bytes, "an exit record cut short")?;
            if !rest.is_empty() {
                segments(rest)?;
            }
            Ok(Record::Exit(Exit { record, segments: rest }))
        }
        Some(record_kind::RECORD_COMPLETION) => split::<completion_record>(bytes, "a completion record cut short")
            .map(|(record, _)| Record::Completion(record)),
        _ => Err(Error::Malformed("an unknown kind")),
    }
}

/// The record at `position` of a run copied from the ring, and the position after it; `None` at the end.
///
/// # Errors
///
/// [`Error::Malformed`] when a length reaches beyond the run.
#[inline(always)]
pub fn record_at(run: &[u8], mut position: usize) -> Result<Option<(&[u8], usize)>> {
    while let Some(header) = run.get(position..).and_then(<[u8]>::first_chunk) {
        let header = u32::from_ne_bytes(*header);
        let end = position + record_span(header);
        if header & DISCARDED == 0 {
            let start = position + HEADER_BYTES;
            let bytes = run.get(start..start + (header & LENGTH) as usize);
            return bytes.map(|bytes| Some((bytes, end))).ok_or(Error::Malformed("a length beyond its chunk"));
        }
        position = end;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{add_segment, completion, enter, exit, framed, named};

    fn message(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn an_enter_record_with_its_name() {
        let bytes = named(enter(8, 263, 5), name_status::NAME_TRUNCATED, b"/tmp/\xff");
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        assert_eq!((enter.record.tid, enter.record.pid, enter.record.nr, enter.record.ts_ns), (8, 7, 263, 5));
        let filename = Some(Name { status: NameStatus::Truncated, bytes: b"/tmp/\xff" });
        assert_eq!(enter.segments, Segments { filename, ..Segments::default() });
    }

    #[test]
    fn an_exit_record_with_and_without_a_name() {
        let bytes = exit(8, 87, -2, 0);
        let Record::Exit(plain) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!((plain.record.tid, plain.record.ret, plain.segments().filename), (8, -2, None));
        let bytes = named(exit(8, 87, 0, 0), name_status::NAME_OK, b"late");
        let Record::Exit(exit) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!(exit.segments().filename, Some(Name { status: NameStatus::Ok, bytes: b"late" }));
    }

    #[test]
    fn a_completion_and_ancestors() {
        let bytes = completion(3, 77, -2);
        let Record::Completion(completion) = parse(&bytes).unwrap() else { panic!("not a completion record") };
        assert_eq!((completion.cpu, completion.seq, completion.ret, completion.ts_ns), (3, 77, -2, 900));
        assert_eq!(message(&bytes[..bytes.len() - 1]), "malformed record: a completion record cut short");
        let mut bytes = enter(8, 263, 5);
        let one = |pid: u32, comm: &[u8; 16]| [pid.to_ne_bytes().as_slice(), comm].concat();
        let content = [one(12, b"bash\0\0\0\0\0\0\0\0\0\0\0\0"), one(1, b"sixteen bytes ab"), vec![7; 19]].concat();
        add_segment(&mut bytes, segment_kind::SEGMENT_ANCESTORS.0, 0, &content);
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        let found: Vec<_> = ancestors(enter.segments.ancestors).collect();
        assert_eq!(found, [(12, b"bash".as_slice()), (1, b"sixteen bytes ab".as_slice())]);
    }

    #[test]
    fn two_names_and_their_directories_and_a_segment_of_another_kind() {
        let mut bytes = enter(8, 316, 5);
        let below_root = [4_u32.to_ne_bytes(), [0; 4]].concat();
        add_segment(&mut bytes, segment_kind::SEGMENT_FILENAME.0, 0, b"old");
        add_segment(&mut bytes, 99, 0, b"of a later version");
        add_segment(&mut bytes, segment_kind::SEGMENT_DIRECTORY.0, 0, &[&below_root, b"b\0a\0".as_slice()].concat());
        add_segment(&mut bytes, segment_kind::SEGMENT_NEW_FILENAME.0, 0, b"new name");
        add_segment(&mut bytes, segment_kind::SEGMENT_NEW_DIRECTORY.0, 1, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        let found = enter.segments;
        assert_eq!(found.filename.map(|name| name.bytes), Some(b"old".as_slice()));
        assert_eq!(found.new_filename.map(|name| name.bytes), Some(b"new name".as_slice()));
        let directory = Directory { status: WalkStatus::Whole, root_bytes: Some(4), names: b"b\0a\0" };
        assert_eq!(found.directory, Some(directory));
        assert_eq!(directory.split(), (Some(b"b\0a\0".as_slice()), b"".as_slice()));
        let cut = Directory { status: WalkStatus::Partial, root_bytes: None, names: b"" };
        assert_eq!(found.new_directory, Some(cut));
        assert_eq!(Directory { root_bytes: Some(9), ..directory }.split().0, None, "more than there is");
    }

    #[test]
    fn whatever_is_cut_short_or_too_long_is_refused() {
        let whole = named(enter(8, 263, 5), name_status::NAME_OK, b"eight ch");
        for bytes in (0..whole.len()).filter(|bytes| *bytes != size_of::<enter_record>()) {
            assert!(parse(&whole[..bytes]).is_err(), "{bytes} of {} bytes", whole.len());
        }
        assert_eq!(message(&[]), "malformed record: an unknown kind");
        assert_eq!(message(&[9; 200]), "malformed record: an unknown kind");
        let at = size_of::<enter_record>() + 4;
        for length in [9_u32, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(message(&bytes), "malformed record: a segment longer than its record");
        }
        let mut bytes = enter(8, 263, 5);
        add_segment(&mut bytes, segment_kind::SEGMENT_DIRECTORY.0, 0, b"short");
        assert_eq!(message(&bytes), "malformed record: a directory cut short");
        bytes.insert(0, 0);
        assert_eq!(message(&bytes[1..]), "malformed record: an enter record that is not aligned");
    }

    #[test]
    fn records_follow_each_other_in_a_run() {
        let mut run = framed(b"first", 0);
        run.extend(framed(b"given up", DISCARDED));
        run.extend(framed(b"second one", 0));
        let (first, after) = record_at(&run, 0).unwrap().unwrap();
        let (second, end) = record_at(&run, after).unwrap().unwrap();
        assert_eq!((first, second, end), (b"first".as_slice(), b"second one".as_slice(), run.len()));
        assert!(record_at(&run, end).unwrap().is_none());
        assert!(record_at(&run[..run.len() - 8], after).is_err());
    }
}
