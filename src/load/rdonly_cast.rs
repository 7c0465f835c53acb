//! Patches calls of `bpf_rdonly_cast`, which libbpf could only resolve by searching the whole kernel BTF on every load.

use std::sync::OnceLock;

use libbpf_rs::{AsRawLibbpf, OpenObject};
use libbpf_sys::{BPF_PSEUDO_KFUNC_CALL, bpf_insn};

use crate::btf::vmlinux::TypeIds;
use crate::sys::bpf::load;

// Opcodes (include/uapi/linux/bpf.h): BPF_JMP | BPF_CALL, BPF_JMP | BPF_EXIT, and BPF_ALU64 | BPF_MOV with BPF_X or
// BPF_K.
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const MOVE: u8 = 0xbf;
const SET: u8 = 0xb7;

/// The placeholder call in the programs that [`patch_calls`] replaces (`bpf/lib/task.bpf.h`).
const UNTRUSTED_CALL: i32 = 0x7261_7774;

fn instruction(code: u8, to: u8, from: u8, value: i32) -> bpf_insn {
    let mut instruction = bpf_insn { code, imm: value, ..Default::default() };
    instruction.set_dst_reg(to);
    instruction.set_src_reg(from);
    instruction
}

fn call_of_kernel(function: u32) -> bpf_insn {
    instruction(CALL, 0, BPF_PSEUDO_KFUNC_CALL as u8, function.cast_signed())
}

/// Returns the function that gives an address a type, if programs can call it on this kernel.
#[must_use]
pub fn cast(ids: TypeIds) -> Option<u32> {
    ids.rdonly_cast.filter(|&function| can_cast(function, ids.task_struct))
}

fn can_cast(function: u32, task: u32) -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let call = || {
        [
            instruction(SET, 1, 0, 0),
            instruction(SET, 2, 0, task.cast_signed()),
            call_of_kernel(function),
            instruction(SET, 0, 0, 0),
            instruction(EXIT, 0, 0, 0),
        ]
    };
    *CAN.get_or_init(|| load(&call(), 0).is_ok())
}

fn is_placeholder(instruction: bpf_insn) -> bool {
    instruction.code == CALL && instruction.src_reg() == 0 && instruction.imm == UNTRUSTED_CALL
}

/// Replaces the placeholder in every program by a call of `bpf_rdonly_cast`, or by a plain move where the kernel lacks
/// it. In a prepared object, a program's functions are among its instructions.
///
/// # Errors
///
/// Out of memory.
pub fn patch_calls(object: &mut OpenObject, ids: Option<TypeIds>) -> libbpf_rs::Result<()> {
    let call = ids.and_then(cast).map(call_of_kernel);
    let by = call.unwrap_or_else(|| instruction(MOVE, 0, 1, 0));
    for program in object.progs_mut().filter(|program| program.insns().iter().copied().any(is_placeholder)) {
        let mut instructions = program.insns().to_vec();
        for instruction in instructions.iter_mut().filter(|instruction| is_placeholder(**instruction)) {
            *instruction = by;
        }
        let (program, start) = (program.as_libbpf_object().as_ptr(), instructions.as_mut_ptr());
        // SAFETY: libbpf copies `len` instructions. Their number is unchanged, so the offsets that libbpf still has to
        // patch stay valid.
        let failed = unsafe { libbpf_sys::bpf_program__set_insns(program, start, instructions.len() as _) };
        if failed != 0 {
            return Err(libbpf_rs::Error::from_raw_os_error(-failed));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::mem::MaybeUninit;

    use libbpf_rs::skel::{OpenSkel, SkelBuilder};

    use super::*;
    use crate::skel::RawtpSkelBuilder;

    /// Returns all instructions of each program, by its name.
    fn programs(object: &OpenObject) -> Vec<(OsString, Vec<bpf_insn>)> {
        object.progs().map(|program| (program.name().to_owned(), program.insns().to_vec())).collect()
    }

    #[test]
    fn every_placeholder_becomes_a_move_where_nothing_is_known() {
        let mut storage = MaybeUninit::uninit();
        let mut open = RawtpSkelBuilder::default().open(&mut storage).unwrap();
        let before = programs(open.open_object());
        patch_calls(open.open_object_mut(), None).unwrap();
        let after = programs(open.open_object());
        let mut patched = BTreeMap::<_, usize>::new();
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert_eq!(before.len(), after.len(), "{name:?}");
            for (&old, &new) in before.iter().zip(after) {
                let shown = |it: bpf_insn| (it.code, it.dst_reg(), it.src_reg(), it.off, it.imm);
                if is_placeholder(old) {
                    assert_eq!(shown(new), (MOVE, 0, 1, 0, 0), "{name:?}");
                    *patched.entry(name.to_str().unwrap()).or_default() += 1;
                } else {
                    assert_eq!(shown(new), shown(old), "{name:?}");
                }
            }
        }
        // `begin_record`, `begin_walks` and `append_ancestors` have one each, and RAW_ARGUMENT two. Those in functions are only among a
        // prepared program's.
        assert_eq!(patched.get("handle_sys_enter"), Some(&5), "{patched:?}");
        assert!(!patched.contains_key("handle_completion"), "{patched:?}");
    }
}
