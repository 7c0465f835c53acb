//! `&[u8]` to [`Event`]: checks bounds, then reads. No Python here.

use std::ptr;

use crate::error::{Error, Result};
pub use crate::skel::types::{enter_record, exit_record};
use crate::skel::types::{name_status, record_kind, segment, segment_kind, syscall_shape};
use crate::syscalls::by_nr;

/// Before each record in the ring: length and flags, and the kernel's own page offset.
pub const HEADER_BYTES: usize = 8;
/// A record that its writer gave up.
pub const DISCARDED: u32 = 1 << 30;
const LENGTH: u32 = DISCARDED - 1;

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

/// The entry of a call.
#[derive(Debug, Clone, Copy)]
pub struct Enter<'a> {
    /// The fixed part.
    pub record: enter_record,
    /// The path argument.
    pub name: Name<'a>,
}

/// The return of a call.
#[derive(Debug, Clone, Copy)]
pub struct Exit<'a> {
    /// The fixed part.
    pub record: exit_record,
    /// The path argument read again, when it could not be read at the entry.
    pub name: Option<Name<'a>>,
}

/// What a record in the ring is.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A call began.
    Enter(Enter<'a>),
    /// A call ended.
    Exit(Exit<'a>),
}

/// A call, as far as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its entry.
    pub enter: Enter<'a>,
    /// Its return.
    pub exit: Option<Exit<'a>>,
    /// From the record's clock to Unix time.
    pub offset_ns: i64,
}

impl<'a> Event<'a> {
    /// Unix time of the entry.
    #[must_use]
    pub fn ts_ns(&self) -> i64 {
        self.enter.record.ts_ns.cast_signed() + self.offset_ns
    }

    /// From the entry to the return.
    #[must_use]
    pub fn duration_ns(&self) -> Option<u64> {
        self.exit.map(|exit| exit.record.ts_ns.saturating_sub(self.enter.record.ts_ns))
    }

    /// The name: what was read at the return where the entry could not read it.
    #[must_use]
    pub fn name(&self) -> Name<'a> {
        let again = self.exit.and_then(|exit| exit.name);
        again.filter(|_| self.enter.name.status == NameStatus::Fault).unwrap_or(self.enter.name)
    }

    /// Whether a directory was to be removed.
    #[must_use]
    pub fn removes_directory(&self) -> bool {
        by_nr(self.enter.record.nr).is_some_and(|syscall| {
            let by_flag =
                syscall.shape == syscall_shape::SHAPE_AT && self.enter.record.flags & libc::AT_REMOVEDIR as u32 != 0;
            syscall.removes_directory || by_flag
        })
    }
}

/// Reads a `T` that starts the bytes, and gives back the rest.
fn split<'a, T: Copy>(bytes: &'a [u8], what: &'static str) -> Result<(T, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>()).ok_or(Error::Malformed(what))?;
    // SAFETY: head has the size of T, and the three types this is called with are integers and arrays of integers, for
    // which every pattern of bits is a value.
    Ok((unsafe { ptr::read_unaligned(head.as_ptr().cast()) }, rest))
}

/// The first segment that is a file name; kinds that we do not know are passed over.
fn filename(mut bytes: &[u8]) -> Result<Option<Name<'_>>> {
    while !bytes.is_empty() {
        let (head, rest) = split::<segment>(bytes, "a segment cut short")?;
        let (content, rest) =
            rest.split_at_checked(head.bytes as usize).ok_or(Error::Malformed("a segment longer than its record"))?;
        if u32::from(head.kind) == segment_kind::SEGMENT_FILENAME.0 {
            let status = match name_status(head.status.into()) {
                name_status::NAME_OK => NameStatus::Ok,
                name_status::NAME_TRUNCATED => NameStatus::Truncated,
                _ => NameStatus::Fault,
            };
            return Ok(Some(Name { status, bytes: content }));
        }
        bytes = rest;
    }
    Ok(None)
}

/// Reads one record, without its header.
///
/// # Errors
///
/// [`Error::Malformed`] for anything that our programs do not write.
pub fn parse(bytes: &[u8]) -> Result<Record<'_>> {
    let kind = bytes.first_chunk().map(|kind| u32::from_ne_bytes(*kind));
    match kind.map(record_kind) {
        Some(record_kind::RECORD_ENTER) => {
            let (record, rest) = split::<enter_record>(bytes, "an enter record cut short")?;
            let name = filename(rest)?.ok_or(Error::Malformed("an enter record without a file name"))?;
            Ok(Record::Enter(Enter { record, name }))
        }
        Some(record_kind::RECORD_EXIT) => {
            let (record, rest) = split::<exit_record>(bytes, "an exit record cut short")?;
            Ok(Record::Exit(Exit { record, name: filename(rest)? }))
        }
        _ => Err(Error::Malformed("an unknown kind")),
    }
}

/// The record at `position` of a run copied from the ring, and the position after it; `None` at the end.
///
/// # Errors
///
/// [`Error::Malformed`] when a length reaches beyond the run.
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

/// Records as the programs write them, for the tests here and of those who read them.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
        // SAFETY: the types this is called with are integers and arrays of integers, without padding.
        unsafe { std::slice::from_raw_parts(ptr::from_ref(value).cast(), size_of::<T>()) }.to_vec()
    }

    pub(crate) fn named(mut record: Vec<u8>, status: name_status, name: &[u8]) -> Vec<u8> {
        let kind = segment_kind::SEGMENT_FILENAME.0 as u16;
        record.extend(bytes_of(&segment { kind, status: status.0 as u16, bytes: name.len() as u32 }));
        record.extend(name);
        record
    }

    pub(crate) fn enter(tid: u32, nr: u32, ts_ns: u64) -> Vec<u8> {
        let kind = record_kind::RECORD_ENTER.0;
        bytes_of(&enter_record { kind, tid, nr, ts_ns, pid: 7, ..Default::default() })
    }

    pub(crate) fn exit(tid: u32, nr: u32, ret: i64, lost_exits: u32) -> Vec<u8> {
        bytes_of(&exit_record { kind: record_kind::RECORD_EXIT.0, tid, ts_ns: 900, ret, nr, lost_exits })
    }

    /// The record as it lies in the ring: with its header, padded.
    pub(crate) fn framed(record: &[u8], flags: u32) -> Vec<u8> {
        let mut run = (record.len() as u32 | flags).to_ne_bytes().to_vec();
        run.extend([0; 4]);
        run.extend(record);
        run.resize(run.len().next_multiple_of(8), 0xaa);
        run
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{enter, exit, framed, named};
    use super::*;

    fn message(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn an_enter_record_with_its_name() {
        let bytes = named(enter(8, 263, 5), name_status::NAME_TRUNCATED, b"/tmp/\xff");
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        assert_eq!((enter.record.tid, enter.record.pid, enter.record.nr, enter.record.ts_ns), (8, 7, 263, 5));
        assert_eq!(enter.name, Name { status: NameStatus::Truncated, bytes: b"/tmp/\xff" });
    }

    #[test]
    fn an_exit_record_with_and_without_a_name() {
        let bytes = exit(8, 87, -2, 0);
        let Record::Exit(plain) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!((plain.record.tid, plain.record.ret, plain.name), (8, -2, None));
        let bytes = named(exit(8, 87, 0, 0), name_status::NAME_OK, b"late");
        let Record::Exit(late) = parse(&bytes).unwrap() else { panic!("not an exit record") };
        assert_eq!(late.name, Some(Name { status: NameStatus::Ok, bytes: b"late" }));
    }

    #[test]
    fn a_segment_of_another_kind_is_passed_over() {
        let mut bytes = enter(8, 263, 5);
        bytes.extend([9, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3]);
        let bytes = named(bytes, name_status::NAME_OK, b"x");
        let Record::Enter(enter) = parse(&bytes).unwrap() else { panic!("not an enter record") };
        assert_eq!(enter.name.bytes, b"x");
    }

    #[test]
    fn whatever_is_cut_short_or_too_long_is_refused() {
        let whole = named(enter(8, 263, 5), name_status::NAME_OK, b"name");
        for bytes in 0..whole.len() {
            assert!(parse(&whole[..bytes]).is_err(), "{bytes} of {} bytes", whole.len());
        }
        assert_eq!(message(&[]), "malformed record: an unknown kind");
        assert_eq!(message(&[9; 200]), "malformed record: an unknown kind");
        assert_eq!(message(&enter(8, 263, 5)), "malformed record: an enter record without a file name");
        let at = size_of::<enter_record>() + 4;
        for length in [5_u32, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(message(&bytes), "malformed record: a segment longer than its record");
        }
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

    #[test]
    fn what_removes_a_directory() {
        let nr = |name| crate::syscalls::by_name(name).and_then(|syscall| syscall.nr);
        let removes = |nr, flags| {
            let record = enter_record { nr, flags, ..Default::default() };
            let name = Name { status: NameStatus::Ok, bytes: b"" };
            Event { enter: Enter { record, name }, exit: None, offset_ns: 0 }.removes_directory()
        };
        let flag = libc::AT_REMOVEDIR as u32;
        assert!(nr("unlinkat").is_some_and(|nr| removes(nr, flag) && !removes(nr, 0)));
        // Those two have no flags: whatever stands there is nobody's.
        assert!(nr("rmdir").is_none_or(|nr| removes(nr, 0)));
        assert!(nr("unlink").is_none_or(|nr| !removes(nr, flag)));
    }
}
