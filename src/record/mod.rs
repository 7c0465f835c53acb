//! Parses raw records: checks the bounds of a `&[u8]`, then reads a [`Record`].
//!
//! * `segments`: the variable part of a record

pub mod segments;
#[cfg(test)]
pub(crate) mod testing;

use std::mem::offset_of;
use std::ptr;

use crate::error::Malformed;
use crate::record::segments::{Name, Segments};
pub use crate::skel::types::{
    cgroup_record, completion_record, enter_record, exit_record, image_record, mounts_record, raw_record, truth_record,
};
use crate::skel::types::{enter_mark, record_kind};

type Result<T> = std::result::Result<T, Malformed>;

/// The size of the header before each record in the ring: length and flags, and the kernel's own page offset.
pub const HEADER_BYTES: usize = 8;
/// The flag of a record that its writer discarded.
pub const DISCARDED: u32 = 1 << 30;
const LENGTH: u32 = DISCARDED - 1;

/// Returns the bytes that a record takes in the ring, including its header.
#[must_use]
pub fn record_span(header: u32) -> usize {
    ((header & LENGTH) as usize + HEADER_BYTES).next_multiple_of(8)
}

/// The entry of a call.
#[derive(Debug, Clone, Copy)]
pub struct Enter<'a> {
    /// The fixed part, borrowed from the run.
    pub record: &'a enter_record,
    /// The segments with the arguments that are names.
    pub segments: Segments<'a>,
}

/// The offset of the part of an enter record that a thread's calls usually have in common.
const IDENTITY_AT: usize = offset_of!(enter_record, nr);

/// That common part, in words. Comparing words needs no call of memcmp, which would cost more than everything else in
/// making a dict.
pub type Identity = [u64; (size_of::<enter_record>() - IDENTITY_AT) / 8];

impl Enter<'_> {
    fn has(&self, mark: enter_mark) -> bool {
        u32::from(self.record.marks) & mark.0 != 0
    }

    /// Whether the record of the exit goes by the process.
    #[must_use]
    pub fn is_exec(&self) -> bool {
        self.has(enter_mark::ENTER_EXEC)
    }

    /// Whether no record of the exit will follow.
    #[must_use]
    pub fn has_no_exit(&self) -> bool {
        self.has(enter_mark::ENTER_NO_EXIT)
    }

    /// Whether the record was written at the exit, because the entry was not seen.
    #[must_use]
    pub fn is_at_exit(&self) -> bool {
        self.has(enter_mark::ENTER_AT_EXIT)
    }

    /// Whether a function of the kernel's wrote the record. Its segments are those of a truth record too.
    #[must_use]
    pub fn is_at_function(&self) -> bool {
        self.has(enter_mark::ENTER_AT_FUNCTION)
    }

    /// Whether the flags could not be read.
    #[must_use]
    pub fn has_no_flags(&self) -> bool {
        self.has(enter_mark::ENTER_NO_FLAGS)
    }

    /// The identity of the caller and the call. It is equal for calls that differ only in their arguments.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        const {
            assert!(
                IDENTITY_AT.is_multiple_of(align_of::<Identity>())
                    && align_of::<enter_record>() == align_of::<Identity>()
            );
        };
        // SAFETY: the words are the record's own last bytes. All of them are initialized, because the record has no
        // padding (record.h). They are aligned because the record is.
        unsafe { &*ptr::from_ref(self.record).byte_add(IDENTITY_AT).cast() }
    }
}

/// Whether two identities are equal.
#[must_use]
pub fn same_identity(one: &Identity, other: &Identity) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// The exit of a call.
#[derive(Debug, Clone, Copy)]
pub struct Exit<'a> {
    /// The fixed part, borrowed from the run.
    pub record: &'a exit_record,
    /// The segments, already checked. Usually there are none, and few callers read them.
    segments: &'a [u8],
}

impl<'a> Exit<'a> {
    /// Creates an exit without segments.
    #[must_use]
    pub fn new(record: &'a exit_record) -> Self {
        Self { record, segments: &[] }
    }

    /// The names, read once more because the entry could not read one of them.
    #[must_use]
    pub fn segments(&self) -> Segments<'a> {
        Segments::read(self.segments).unwrap_or_default()
    }
}

/// A cgroup that was created, or that its last process has left.
#[derive(Debug, Clone, Copy)]
pub struct Cgroup<'a> {
    /// The fixed part, borrowed from the run.
    pub record: &'a cgroup_record,
    /// The path from the root of the cgroup's hierarchy.
    pub path: &'a [u8],
}

/// A process that was forked, or that has executed another program.
#[derive(Debug, Clone, Copy)]
pub struct ImageReport<'a> {
    /// The fixed part, borrowed from the run.
    pub record: &'a image_record,
    /// The arguments, each followed by a NUL, of a process that executed a program.
    pub argv: Option<Name<'a>>,
}

/// A record in the ring.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// The entry of a call.
    Enter(Enter<'a>),
    /// The exit of a call.
    Exit(Exit<'a>),
    /// The completion of an `io_uring` request.
    Completion(&'a completion_record),
    /// The path of a cgroup. It belongs to no call.
    Cgroup(Cgroup<'a>),
    /// A process that was forked. It belongs to no call.
    Fork(ImageReport<'a>),
    /// A process that has executed a program. It belongs to no call.
    Exec(ImageReport<'a>),
    /// What the kernel does for a call.
    Truth(Truth<'a>),
    /// A mount namespace whose mounts are not known yet. It belongs to no call.
    Mounts(&'a mounts_record),
}

/// What the kernel does for a call.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// The fixed part, borrowed from the run.
    pub record: &'a truth_record,
    /// The segments with the files and their names.
    pub segments: Segments<'a>,
}

/// Splits the bytes into a `T` and the rest. The `T` is borrowed, because copying it costs as much as reading it.
#[inline(always)]
fn split_aligned<'a, T: Copy>(bytes: &'a [u8], what: &'static str) -> Result<(&'a T, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>()).ok_or(Malformed(what))?;
    // SAFETY: the function is only called with types of integers and arrays of integers, for which every bit pattern is
    // valid.
    let ([], [record], []) = (unsafe { head.align_to() }) else {
        // Every record is aligned in the ring, and in a chunk, by the type of its bytes.
        return Err(Malformed("a record that is not aligned"));
    };
    Ok((record, rest))
}

/// Parses the record of a raw tracepoint, without its header. Returns it with all of its bytes.
///
/// # Errors
///
/// [`Malformed`] for bytes that no such program writes.
pub fn parse_raw(bytes: &[u8]) -> Result<(&raw_record, &[u8])> {
    let (record, _) = split_aligned::<raw_record>(bytes, "a raw record cut short")?;
    if record.kind != record_kind::RECORD_RAW.0 {
        return Err(Malformed("a record that is no raw tracepoint's"));
    }
    Ok((record, bytes))
}

/// Parses one record without its header.
///
/// # Errors
///
/// [`Malformed`] for bytes that our programs do not write.
#[inline(always)]
pub fn parse(bytes: &[u8]) -> Result<Record<'_>> {
    let kind = bytes.first_chunk().map(|kind| u32::from_ne_bytes(*kind));
    match kind.map(record_kind) {
        Some(record_kind::RECORD_ENTER) => {
            let (record, rest) = split_aligned(bytes, "an enter record cut short")?;
            Ok(Record::Enter(Enter { record, segments: Segments::read(rest)? }))
        }
        Some(record_kind::RECORD_EXIT) => {
            let (record, rest) = split_aligned(bytes, "an exit record cut short")?;
            if !rest.is_empty() {
                Segments::read(rest)?;
            }
            Ok(Record::Exit(Exit { record, segments: rest }))
        }
        Some(record_kind::RECORD_COMPLETION) => {
            split_aligned(bytes, "a completion record cut short").map(|(record, _)| Record::Completion(record))
        }
        Some(record_kind::RECORD_CGROUP) => {
            let (record, path) = split_aligned(bytes, "a cgroup record cut short")?;
            Ok(Record::Cgroup(Cgroup { record, path }))
        }
        Some(record_kind::RECORD_MOUNTS) => {
            split_aligned(bytes, "a mounts record cut short").map(|(record, _)| Record::Mounts(record))
        }
        Some(record_kind::RECORD_TRUTH) => {
            let (record, rest) = split_aligned(bytes, "a truth record cut short")?;
            Ok(Record::Truth(Truth { record, segments: Segments::read(rest)? }))
        }
        Some(kind @ (record_kind::RECORD_FORK | record_kind::RECORD_EXEC)) => {
            let (record, rest) = split_aligned(bytes, "an image record cut short")?;
            let report = ImageReport { record, argv: Segments::read(rest)?.argv() };
            Ok(if kind == record_kind::RECORD_FORK { Record::Fork(report) } else { Record::Exec(report) })
        }
        _ => Err(Malformed("an unknown kind")),
    }
}

/// Returns the record at `position` of a run copied from the ring, and the position after it. `None` at the end.
///
/// # Errors
///
/// [`Malformed`] when a length reaches beyond the run.
#[inline(always)]
pub fn record_at(run: &[u8], mut position: usize) -> Result<Option<(&[u8], usize)>> {
    while let Some(header) = run.get(position..).and_then(<[u8]>::first_chunk) {
        let header = u32::from_ne_bytes(*header);
        let end = position + record_span(header);
        if header & DISCARDED == 0 {
            let start = position + HEADER_BYTES;
            let bytes = run.get(start..start + (header & LENGTH) as usize);
            return bytes.map(|bytes| Some((bytes, end))).ok_or(Malformed("a length beyond its chunk"));
        }
        position = end;
    }
    Ok(None)
}

/// Prefetches the memory of a record some way after `position`. By the time it is read, a run of millions of events has
/// left the caches. The prefetch never changes a result and saves 2 to 3 of a basic event's 48 ns.
#[inline(always)]
pub fn fetch_ahead(run: &[u8], position: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..4 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // The address is never read through, because it may lie behind the run.
        let address = run.as_ptr().wrapping_add(position + 1280 + 64 * line);
        // SAFETY: a prefetch is allowed for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (run, position);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::segments::{Directory, Name, NameStatus, WalkStatus, images};
    use crate::record::testing::{
        add_segment, aligned, cgroup, completion, enter, exit, framed, image, named, reported, truth, walked,
    };
    use crate::skel::types::{name_status, segment_kind};

    fn message(bytes: &[u8]) -> String {
        parse(&aligned(bytes)).unwrap_err().to_string()
    }

    #[test]
    fn an_enter_record_with_its_name() {
        let bytes = aligned(&named(enter(8, 263, 5), name_status::NAME_TRUNCATED, b"/tmp/\xff"));
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        assert_eq!((enter.record.tid, enter.record.pid, enter.record.nr, enter.record.ts_ns), (8, 7, 263, 5));
        let filename = Some(Name { status: NameStatus::Truncated, bytes: b"/tmp/\xff" });
        assert_eq!((enter.segments.filename(), enter.segments.new_filename()), (filename, None));
        assert_eq!((enter.segments.directory(), enter.segments.has_exec_info()), (None, false));
    }

    #[test]
    fn an_exit_record_with_and_without_a_name() {
        let bytes = aligned(&exit(8, 87, -2, 0));
        let Record::Exit(plain) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!((plain.record.tid, plain.record.ret, plain.segments().filename()), (8, -2, None));
        let bytes = aligned(&named(exit(8, 87, 0, 0), name_status::NAME_OK, b"late"));
        let Record::Exit(exit) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!(exit.segments().filename(), Some(Name { status: NameStatus::Ok, bytes: b"late" }));
    }

    #[test]
    fn a_completion_and_ancestors() {
        let bytes = aligned(&completion(3, 77, -2));
        let Record::Completion(completion) = parse(&bytes).unwrap() else { panic!("not a completion record") };
        assert_eq!((completion.cpu, completion.seq, completion.ret, completion.ts_ns), (3, 77, -2, 900));
        assert_eq!(message(&bytes[..bytes.len() - 1]), "malformed record: a completion record cut short");
        let mut bytes = enter(8, 263, 5);
        let content = [image(12, 900, 3, b"bash"), image(1, 0, 0, b"sixteen bytes ab"), vec![7; 39]].concat();
        add_segment(&mut bytes, segment_kind::SEGMENT_ANCESTORS.0, 0, &content);
        let bytes = aligned(&bytes);
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        let found: Vec<_> = images(enter.segments.ancestors()).collect();
        let told: Vec<_> = found.iter().map(|image| (image.pid, image.start_ns, image.exec_id, &image.comm)).collect();
        assert_eq!(told, [(12, 900, 3, b"bash\0\0\0\0\0\0\0\0\0\0\0\0"), (1, 0, 0, b"sixteen bytes ab")]);
    }

    #[test]
    fn a_range_of_bytes() {
        let mut content = [4096_i64.to_ne_bytes(), (-1_i64).to_ne_bytes()].concat();
        let read = |content: &[u8]| {
            let mut bytes = enter(8, 285, 5);
            add_segment(&mut bytes, segment_kind::SEGMENT_RANGE.0, 0, content);
            let bytes = aligned(&bytes);
            let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
            enter.segments.range().map(|range| (range.start, range.length))
        };
        assert_eq!(read(&content), Some((4096, -1)));
        content.pop();
        assert_eq!(read(&content), None);
    }

    #[test]
    fn a_cgroup_and_its_path() {
        let bytes = aligned(&cgroup(2, 77, true, b"/a.slice/\xff"));
        let Record::Cgroup(found) = parse(&bytes).unwrap() else { panic!("not a cgroup record") };
        assert_eq!((found.record.version, found.record.id, found.record.is_new), (2, 77, 1));
        assert_eq!(found.path, b"/a.slice/\xff");
        let fixed = size_of::<cgroup_record>();
        assert_eq!(message(&bytes[..fixed - 1]), "malformed record: a cgroup record cut short");
        assert!(matches!(parse(&bytes[..fixed]), Ok(Record::Cgroup(Cgroup { path: b"", .. }))));
    }

    #[test]
    fn a_fork_and_an_exec() {
        let bytes = aligned(&reported(None, &image(8, 5, 2, b"sh"), &image(7, 4, 2, b"sh")));
        let Record::Fork(fork) = parse(&bytes).unwrap() else { panic!("not a fork") };
        assert_eq!((fork.record.image.pid, fork.record.parent.pid, fork.argv), (8, 7, None));
        let bytes = aligned(&reported(Some(b"rm\0-r\0"), &image(8, 5, 3, b"rm"), &image(7, 4, 2, b"sh")));
        let Record::Exec(exec) = parse(&bytes).unwrap() else { panic!("not an exec") };
        assert_eq!((exec.record.image.exec_id, exec.record.image.start_ns), (3, 5));
        assert_eq!(exec.argv, Some(Name { status: NameStatus::Ok, bytes: b"rm\0-r\0" }));
        assert_eq!(message(&bytes[..size_of::<image_record>() - 1]), "malformed record: an image record cut short");
    }

    #[test]
    fn two_names_and_their_directories_and_a_segment_of_another_kind() {
        let mut bytes = enter(8, 316, 5);
        add_segment(&mut bytes, segment_kind::SEGMENT_FILENAME.0, 0, b"old");
        add_segment(&mut bytes, 99, 0, b"of a later version");
        add_segment(&mut bytes, segment_kind::SEGMENT_DIRECTORY.0, 0, &walked(Some(4), b"b\0a\0"));
        add_segment(&mut bytes, segment_kind::SEGMENT_NEW_FILENAME.0, 0, b"new name");
        add_segment(&mut bytes, segment_kind::SEGMENT_NEW_DIRECTORY.0, 1, &walked(None, b""));
        let bytes = aligned(&bytes);
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        let found = enter.segments;
        assert_eq!(found.filename().map(|name| name.bytes), Some(b"old".as_slice()));
        assert_eq!(found.new_filename().map(|name| name.bytes), Some(b"new name".as_slice()));
        let directory = Directory { status: WalkStatus::Whole, root_bytes: Some(4), names: b"b\0a\0" };
        assert_eq!(found.directory(), Some(directory));
        assert_eq!(directory.split(), (Some(b"b\0a\0".as_slice()), b"".as_slice()));
        let cut = Directory { status: WalkStatus::Partial, root_bytes: None, names: b"" };
        assert_eq!(found.new_directory(), Some(cut));
        assert_eq!(Directory { root_bytes: Some(9), ..directory }.split().0, None, "more than there is");
    }

    #[test]
    fn truths() {
        let whole = truth(8, Some((3, 5)), 77);
        let bytes = aligned(&whole);
        let Record::Truth(found) = parse(&bytes).unwrap() else { panic!("not a truth record") };
        assert_eq!((found.record.tid, found.record.cpu, found.record.seq), (8, 3, 5));
        assert_eq!(found.segments.file().map(|file| file.ino), Some(77));
        assert_eq!(message(&whole[..8]), "malformed record: a truth record cut short");
        for bytes in (0..whole.len()).filter(|bytes| *bytes != size_of::<truth_record>()) {
            assert!(parse(&aligned(&whole[..bytes])).is_err(), "{bytes} of {} bytes", whole.len());
        }
        let mut bad = truth(8, None, 77);
        add_segment(&mut bad, segment_kind::SEGMENT_REAL.0, 0, b"short");
        assert_eq!(message(&bad), "malformed record: a directory cut short");
        // A file cut short is none.
        let mut short = truth(8, None, 77);
        add_segment(&mut short, segment_kind::SEGMENT_FILE.0, 0, b"short");
        let bytes = aligned(&short);
        let Record::Truth(found) = parse(&bytes).unwrap() else { panic!("not a truth record") };
        assert!(found.segments.file().is_none());
    }

    #[test]
    fn whatever_is_cut_short_or_too_long_is_refused() {
        let whole = named(enter(8, 263, 5), name_status::NAME_OK, b"eight ch");
        for bytes in (0..whole.len()).filter(|bytes| *bytes != size_of::<enter_record>()) {
            assert!(parse(&aligned(&whole[..bytes])).is_err(), "{bytes} of {} bytes", whole.len());
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
        let error = parse(&aligned(&bytes)[1..]).unwrap_err();
        assert_eq!(error.to_string(), "malformed record: a record that is not aligned");
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
