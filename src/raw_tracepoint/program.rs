//! The program of a raw tracepoint, assembled for its fields.
//!
//! It counts in the same maps as the tracer's programs and obeys the same switch, so that the ledger is the same. A run
//! that begins in the middle of another one on the same CPU, as an interrupt's may, gives way and is counted as missed:
//! the counters need no atomic additions then, and no field can make the program call itself without end.
#![allow(clippy::cast_possible_wrap, reason = "offsets and sizes are small: a layout has a bound")]

use std::mem::offset_of;

use libbpf_sys::{
    BPF_FUNC_get_current_comm, BPF_FUNC_get_current_pid_tgid, BPF_FUNC_get_smp_processor_id,
    BPF_FUNC_ktime_get_boot_ns, BPF_FUNC_map_lookup_elem, BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_kernel_str,
    BPF_FUNC_ringbuf_reserve, BPF_FUNC_ringbuf_submit, bpf_insn,
};

use crate::error::{Error, Result};
use crate::raw_tracepoint::assembler::{Assembler, FRAME, If, Label, R0, R1, R2, R3, R6, R7, R8, R9, Reg, Width};
use crate::raw_tracepoint::layout::{Field, Layout};
use crate::raw_tracepoint::resolve::Read;
use crate::record::raw_record;
use crate::skel::types::{counters, live_config, record_kind};

/// The descriptors of the maps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maps {
    pub(crate) ring: i32,
    /// `struct counters` of each CPU.
    pub(crate) counters: i32,
    /// The number of runs on each CPU that have begun and not ended.
    pub(crate) users: i32,
    /// `struct live_config`.
    pub(crate) live: i32,
}

/// Slots on the stack.
const CPU: i16 = -8;
const USERS: i16 = -16;
const COUNTERS: i16 = -24;
const ADDRESS: i16 = -32;

/// The context of the program: an argument in each word.
const CONTEXT: Reg = R6;
const RECORD: Reg = R7;
/// The address of the next value.
const AT: Reg = R8;
const FAULTS: Reg = R9;

/// The offset of a member, which is small.
const fn at(offset: usize) -> i16 {
    assert!(offset <= i16::MAX as usize);
    offset as i16
}

/// Assembles the program. `pids` are those of the processes whose events are wanted; none for all.
///
/// # Errors
///
/// [`Error::Value`] when it becomes too long.
pub(crate) fn assemble(layout: &Layout, maps: Maps, pids: &[u32]) -> Result<Vec<bpf_insn>> {
    let mut code = Assembler::default();
    let (release, exit) = (code.label(), code.label());
    begin(&mut code, maps, release, exit);
    count_and_filter(&mut code, pids, release);
    reserve(&mut code, layout, maps, release);
    fill_head(&mut code);
    for (bit, field) in layout.fields.iter().enumerate() {
        read_field(&mut code, field, 1 << bit);
    }
    code.store(Width::Double, RECORD, at(offset_of!(raw_record, faults)), FAULTS);
    code.copy(R1, RECORD);
    code.set(R2, 0);
    code.call(BPF_FUNC_ringbuf_submit);
    code.place(release);
    code.load(Width::Double, R1, FRAME, USERS);
    code.set(R2, -1);
    code.add_atomic(Width::Word, R1, 0, R2);
    code.place(exit);
    code.set(R0, 0);
    code.exit();
    code.finish().ok_or_else(|| Error::Value("the fields make too long a program: ask for fewer".into()))
}

/// Takes the CPU's counters, unless the session is closed or another run is in the middle of them.
fn begin(code: &mut Assembler, maps: Maps, release: Label, exit: Label) {
    let alone = code.label();
    code.copy(CONTEXT, R1);
    code.set_map_value(R1, maps.live, offset_of!(live_config, is_closed) as i32);
    code.load(Width::Word, R1, R1, 0);
    code.jump_if(If::NotEqual, R1, 0, exit);
    code.call(BPF_FUNC_get_smp_processor_id);
    code.store(Width::Word, FRAME, CPU, R0);
    for (map, slot) in [(maps.counters, COUNTERS), (maps.users, USERS)] {
        code.set_map(R1, map);
        code.copy(R2, FRAME);
        code.add(R2, CPU.into());
        code.call(BPF_FUNC_map_lookup_elem);
        code.jump_if(If::Equal, R0, 0, exit);
        code.store(Width::Double, FRAME, slot, R0);
    }
    code.load(Width::Double, AT, FRAME, COUNTERS);
    code.set(R1, 1);
    code.add_atomic(Width::Word, R0, 0, R1);
    code.load(Width::Word, R2, R0, 0);
    code.jump_if(If::Equal, R2, 1, alone);
    // Several runs can be in one another's middle here.
    code.add_atomic(Width::Double, AT, at(offset_of!(counters, missed)), R1);
    code.jump(release);
    code.place(alone);
}

/// Adds one to a counter.
fn count(code: &mut Assembler, offset: usize) {
    code.load(Width::Double, R1, AT, at(offset));
    code.add(R1, 1);
    code.store(Width::Double, AT, at(offset), R1);
}

fn count_and_filter(code: &mut Assembler, pids: &[u32], release: Label) {
    count(code, offset_of!(counters, matched));
    if pids.is_empty() {
        return;
    }
    let wanted = code.label();
    code.call(BPF_FUNC_get_current_pid_tgid);
    code.shift_right(R0, 32);
    for pid in pids {
        code.jump_if(If::Equal, R0, pid.cast_signed(), wanted);
    }
    count(code, offset_of!(counters, filtered));
    code.jump(release);
    code.place(wanted);
}

/// Reserves the record, and counts it, or counts its loss.
fn reserve(code: &mut Assembler, layout: &Layout, maps: Maps, release: Label) {
    let (reserved, saturated) = (code.label(), code.label());
    code.set_map(R1, maps.ring);
    code.set(R2, layout.bytes as i32);
    code.set(R3, 0);
    code.call(BPF_FUNC_ringbuf_reserve);
    code.jump_if(If::NotEqual, R0, 0, reserved);
    count(code, offset_of!(counters, lost_ring));
    code.load(Width::Word, R1, AT, at(offset_of!(counters, lost)));
    code.add(R1, 1);
    code.copy(R2, R1);
    code.shift_right(R2, 32);
    code.jump_if(If::NotEqual, R2, 0, saturated);
    code.store(Width::Word, AT, at(offset_of!(counters, lost)), R1);
    code.place(saturated);
    code.jump(release);
    code.place(reserved);
    code.copy(RECORD, R0);
    // Counted before it can be seen, so that a reader never holds more records than were submitted.
    count(code, offset_of!(counters, submitted));
    count(code, offset_of!(counters, seq));
    code.store(Width::Double, RECORD, at(offset_of!(raw_record, seq)), R1);
    code.load(Width::Word, R1, AT, at(offset_of!(counters, lost)));
    code.store(Width::Word, RECORD, at(offset_of!(raw_record, lost)), R1);
    code.store_constant(Width::Word, AT, at(offset_of!(counters, lost)), 0);
}

fn fill_head(code: &mut Assembler) {
    const { assert!(offset_of!(raw_record, pid) == offset_of!(raw_record, tid) + 4) };
    code.store_constant(Width::Word, RECORD, at(offset_of!(raw_record, kind)), record_kind::RECORD_RAW.0.cast_signed());
    code.load(Width::Word, R1, FRAME, CPU);
    code.store(Width::Word, RECORD, at(offset_of!(raw_record, cpu)), R1);
    code.store_constant(Width::Word, RECORD, at(offset_of!(raw_record, reserved)), 0);
    code.call(BPF_FUNC_ktime_get_boot_ns);
    code.store(Width::Double, RECORD, at(offset_of!(raw_record, ts_ns)), R0);
    code.call(BPF_FUNC_get_current_pid_tgid);
    code.store(Width::Double, RECORD, at(offset_of!(raw_record, tid)), R0);
    code.copy(R1, RECORD);
    code.add(R1, offset_of!(raw_record, comm) as i32);
    code.set(R2, size_of_val(&raw_record::default().comm) as i32);
    code.call(BPF_FUNC_get_current_comm);
    code.set(FAULTS, 0);
}

/// Reads a field, or sets its bit among the faults.
fn read_field(code: &mut Assembler, field: &Field, bit: u64) {
    let (fault, done) = (code.label(), code.label());
    code.load(Width::Double, AT, CONTEXT, at(8 * field.access.argument));
    if field.access.read == Read::Argument {
        code.store(Width::Double, RECORD, at(field.offset), AT);
        return;
    }
    for &hop in &field.access.hops {
        // An address of 0 leads nowhere. To read there would cost a fault.
        code.jump_if(If::Equal, AT, 0, fault);
        code.copy(R1, FRAME);
        code.add(R1, ADDRESS.into());
        code.set(R2, 8);
        add_offset(code, hop);
        code.call(BPF_FUNC_probe_read_kernel);
        code.jump_if(If::Negative, R0, 0, fault);
        code.load(Width::Double, AT, FRAME, ADDRESS);
    }
    code.jump_if(If::Equal, AT, 0, fault);
    code.copy(R1, RECORD);
    code.add(R1, field.offset as i32);
    code.set(R2, field.bytes as i32);
    let helper = match field.access.read {
        Read::Text { offset } => {
            add_offset(code, offset);
            BPF_FUNC_probe_read_kernel_str
        }
        Read::Memory { offset, .. } => {
            add_offset(code, offset);
            BPF_FUNC_probe_read_kernel
        }
        Read::Argument => return,
    };
    code.call(helper);
    code.jump_if(If::NotNegative, R0, 0, done);
    code.place(fault);
    code.set_wide(R1, bit);
    code.or(FAULTS, R1);
    code.place(done);
}

/// Sets the third argument of a call to the address with the offset.
fn add_offset(code: &mut Assembler, offset: i32) {
    code.copy(R3, AT);
    if offset != 0 {
        code.add(R3, offset);
    }
}
