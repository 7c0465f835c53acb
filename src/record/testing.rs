//! Builds records like those of the programs, for tests.

use std::ptr;

use crate::memory::aligned::AlignedBytes;
use crate::record::{
    cgroup_record, completion_record, enter_record, exit_record, image_record, mounts_record, truth_record,
};
use crate::skel::types::{self, directory, file_info, name_status, record_kind, segment, segment_kind};

fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: the function is only called with types of integers and arrays of integers, which have no padding.
    unsafe { std::slice::from_raw_parts(ptr::from_ref(value).cast(), size_of::<T>()) }.to_vec()
}

pub(crate) fn named(mut record: Vec<u8>, status: name_status, name: &[u8]) -> Vec<u8> {
    add_segment(&mut record, segment_kind::SEGMENT_FILENAME.0, status.0, name);
    record
}

pub(crate) fn add_segment(record: &mut Vec<u8>, kind: u32, status: u32, content: &[u8]) {
    record.extend(bytes_of(&segment { kind: kind as u16, status: status as u16, bytes: content.len() as u32 }));
    record.extend(content);
    record.resize(record.len().next_multiple_of(8), 0xaa);
}

/// Returns the content of a directory segment.
pub(crate) fn walked(root_bytes: Option<u32>, names: &[u8]) -> Vec<u8> {
    let mut content = bytes_of(&directory { root_bytes: root_bytes.unwrap_or(u32::MAX), ..Default::default() });
    content.extend(names);
    content
}

pub(crate) fn enter(tid: u32, nr: u32, ts_ns: u64) -> Vec<u8> {
    let kind = record_kind::RECORD_ENTER.0;
    bytes_of(&enter_record { kind, tid, nr, ts_ns, pid: 7, ..Default::default() })
}

/// Returns the record of a call that has no exit.
pub(crate) fn gone(tid: u32, nr: u32, ts_ns: u64) -> Vec<u8> {
    let (kind, marks) = (record_kind::RECORD_ENTER.0, types::enter_mark::ENTER_NO_EXIT.0 as u8);
    bytes_of(&enter_record { kind, tid, nr, marks, ts_ns, pid: 7, ..Default::default() })
}

/// Returns the record of an exec in this process.
pub(crate) fn exec(tid: u32, pid: u32) -> Vec<u8> {
    let (kind, marks) = (record_kind::RECORD_ENTER.0, types::enter_mark::ENTER_EXEC.0 as u8);
    bytes_of(&enter_record { kind, tid, nr: 59, marks, pid, ..Default::default() })
}

/// Returns the exit of such an exec.
pub(crate) fn end_of_exec(tid: u32, pid: u32, ret: i64) -> Vec<u8> {
    let (kind, abi) = (record_kind::RECORD_EXIT.0, types::abi::ABI_EXEC.0 as u16);
    bytes_of(&exit_record { kind, tid, ret, nr: pid, abi, ..Default::default() })
}

/// Returns a record written at the exit. It has the call's result, unless `ret` is `None`.
pub(crate) fn unseen(tid: u32, nr: u32, name: &[u8], ret: Option<i64>) -> Vec<u8> {
    let kind = record_kind::RECORD_ENTER.0;
    let marks = (types::enter_mark::ENTER_NO_EXIT.0 | types::enter_mark::ENTER_AT_EXIT.0) as u8;
    let record = bytes_of(&enter_record { kind, tid, nr, marks, ts_ns: 900, pid: 7, ..Default::default() });
    let mut record = named(record, name_status::NAME_OK, name);
    if let Some(ret) = ret {
        add_segment(&mut record, segment_kind::SEGMENT_RESULT.0, 0, &ret.to_ne_bytes());
    }
    record
}

pub(crate) fn exit(tid: u32, nr: u32, ret: i64, lost_exits: u32) -> Vec<u8> {
    bytes_of(&exit_record {
        kind: record_kind::RECORD_EXIT.0,
        tid,
        ts_ns: 900,
        ret,
        nr,
        lost_exits,
        ..Default::default()
    })
}

pub(crate) fn request(cpu: u32, seq: u64, ts_ns: u64, no_exit: bool) -> Vec<u8> {
    let (kind, via) = (record_kind::RECORD_ENTER.0, types::via::VIA_IO_URING.0 as u8);
    let marks = if no_exit { types::enter_mark::ENTER_NO_EXIT.0 as u8 } else { 0 };
    bytes_of(&enter_record { kind, via, cpu, seq, ts_ns, marks, nr: 263, ..Default::default() })
}

/// Returns a record that a function of the kernel's wrote, with the file's inode number in it.
pub(crate) fn at_function(tid: u32, nr: u32, by: types::via, ino: u64) -> Vec<u8> {
    let (kind, via) = (record_kind::RECORD_ENTER.0, by.0 as u8);
    let marks = types::enter_mark::ENTER_AT_FUNCTION.0 as u8;
    let mut record = bytes_of(&enter_record { kind, tid, nr, via, marks, pid: 7, ..Default::default() });
    add_segment(&mut record, segment_kind::SEGMENT_FILE.0, 0, &bytes_of(&file_info { ino, ..Default::default() }));
    record
}

/// Returns the exit of a function, which does not know the call.
pub(crate) fn end_of_function(tid: u32, ret: i64) -> Vec<u8> {
    let (kind, abi) = (record_kind::RECORD_EXIT.0, types::abi::ABI_FUNCTION.0 as u16);
    bytes_of(&exit_record { kind, tid, ts_ns: 900, ret, abi, ..Default::default() })
}

pub(crate) fn completion(cpu: u32, seq: u64, ret: i64) -> Vec<u8> {
    bytes_of(&completion_record { kind: record_kind::RECORD_COMPLETION.0, cpu, seq, ts_ns: 900, ret })
}

/// Returns a record of the kernel's own function, with the file's inode number in it. `request` is the CPU and number of
/// a request's enter record.
pub(crate) fn truth(tid: u32, request: Option<(u32, u64)>, ino: u64) -> Vec<u8> {
    let (cpu, seq) = request.unwrap_or_default();
    let via = if request.is_some() { types::via::VIA_IO_URING } else { types::via::VIA_SYSCALL };
    let mut record = bytes_of(&truth_record { kind: record_kind::RECORD_TRUTH.0, tid, seq, cpu, via: via.0 });
    add_segment(&mut record, segment_kind::SEGMENT_FILE.0, 0, &bytes_of(&file_info { ino, ..Default::default() }));
    record
}

pub(crate) fn cgroup(version: u16, id: u64, is_new: bool, path: &[u8]) -> Vec<u8> {
    let record = cgroup_record { kind: record_kind::RECORD_CGROUP.0, version, is_new: is_new.into(), id };
    [bytes_of(&record).as_slice(), path].concat()
}

/// Returns a process image as it lies in a segment.
pub(crate) fn image(pid: u32, start_ns: u64, exec_id: u64, comm: &[u8]) -> Vec<u8> {
    let mut image = types::image { pid, start_ns, exec_id, ..Default::default() };
    image.comm[..comm.len()].copy_from_slice(comm);
    bytes_of(&image)
}

/// Returns the record of an exec with these arguments, or of a fork without any.
pub(crate) fn reported(argv: Option<&[u8]>, image: &[u8], parent: &[u8]) -> Vec<u8> {
    let kind = if argv.is_some() { record_kind::RECORD_EXEC } else { record_kind::RECORD_FORK };
    let fixed = bytes_of(&image_record { kind: kind.0, ts_ns: 900, ..Default::default() });
    let mut record = [&fixed[..16], image, parent].concat();
    if let Some(argv) = argv {
        add_segment(&mut record, segment_kind::SEGMENT_ARGV.0, name_status::NAME_OK.0, argv);
    }
    record
}

pub(crate) fn mounts(mnt_ns: u32, pid: u32, parent: u32) -> Vec<u8> {
    bytes_of(&mounts_record { kind: record_kind::RECORD_MOUNTS.0, mnt_ns, pid, ppid: parent })
}

/// Returns the content of a directory segment with a place. `above` are the names above its mount.
pub(crate) fn placed(dev: u32, mount_bytes: u32, names: &[u8], above: &[u8]) -> Vec<u8> {
    let above_bytes = above.len() as u32;
    let fixed = directory { dev, mount_bytes, above_bytes, ..Default::default() };
    [bytes_of(&directory { root_bytes: names.len() as u32, ..fixed }).as_slice(), names, above].concat()
}

/// Returns a copy that is aligned as in a chunk.
pub(crate) fn aligned(bytes: &[u8]) -> AlignedBytes {
    AlignedBytes::copy_of(bytes).expect("a test has memory")
}

/// Returns the record as it lies in the ring, with its header and padding.
pub(crate) fn framed(record: &[u8], flags: u32) -> Vec<u8> {
    let mut run = (record.len() as u32 | flags).to_ne_bytes().to_vec();
    run.extend([0; 4]);
    run.extend(record);
    run.resize(run.len().next_multiple_of(8), 0xaa);
    run
}
