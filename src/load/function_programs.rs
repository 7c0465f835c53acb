//! The programs for the kernel's own functions, by what they are for and which functions they are attached to.

use std::ffi::CStr;

use libbpf_rs::OpenProgramMut;

use crate::skel::OpenRawtpSkel;
use crate::sys::kprobe::Point;
use crate::syscall::Work;

/// The purpose of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Sends the result of an event that a function made.
    End,
    /// Tells that the work of such an event begins.
    Begin,
    /// Makes the event of a call.
    Call,
    /// Makes the event of a kernel thread.
    Kernel,
    /// Tells the file of a call whose event was made at its entry.
    Truth,
    /// Sees files that are freed.
    Evict,
}

impl Purpose {
    /// Where in a function its programs are.
    pub(super) fn point(self) -> Point {
        if self == Self::End { Point::Return } else { Point::Entry }
    }
}

/// The program for functions with the same arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static CStr,
    pub(super) purpose: Purpose,
    /// The indices of its functions in [`FUNCTIONS`].
    pub(super) functions: &'static [usize],
}

const fn program(name: &'static CStr, purpose: Purpose, functions: &'static [usize]) -> Program {
    Program { name, purpose, functions }
}

/// The programs, in the order of [`programs`], in which they are attached: an end comes before what it ends.
pub(super) const PROGRAMS: [Program; 14] = [
    program(c"end", Purpose::End, &[0, 1, 2, 3, 4, 9, 10, 11, 12]),
    program(c"begin", Purpose::Begin, &[9, 10, 11, 12]),
    program(c"call_remove", Purpose::Call, &[0, 1]),
    program(c"call_rename", Purpose::Call, &[2]),
    program(c"call_truncate", Purpose::Call, &[3]),
    program(c"call_trunc_file", Purpose::Call, &[4]),
    program(c"kernel_remove", Purpose::Kernel, &[5, 6]),
    program(c"kernel_rename", Purpose::Kernel, &[7]),
    program(c"kernel_truncate", Purpose::Kernel, &[SETATTR]),
    program(c"remove", Purpose::Truth, &[0, 1]),
    program(c"rename", Purpose::Truth, &[2]),
    program(c"truncate", Purpose::Truth, &[3]),
    program(c"truncate_file", Purpose::Truth, &[4]),
    // It is left out unless `freed` is asked for, because the function is called for every inode that leaves memory.
    program(c"evict", Purpose::Evict, &[13]),
];

/// The index of `security_inode_setattr` in [`FUNCTIONS`].
pub(super) const SETATTR: usize = 8;
/// The first of the functions in [`FUNCTIONS`] that do the work, after those for security modules.
pub(super) const FIRST_AT_WORK: usize = 9;

/// Returns the work of a function of [`FUNCTIONS`]; `None` for the end of an inode, which any work can bring.
pub(super) fn work_of(function: usize) -> Option<Work> {
    match function {
        0 | 1 | 5 | 6 | 9 | 10 => Some(Work::Remove),
        2 | 7 | 11 => Some(Work::Rename),
        3 | 4 | SETATTR | 12 => Some(Work::Truncate),
        _ => None,
    }
}

/// The most arguments of a function with a program at its end.
pub(super) const END_ARGUMENTS: usize = 6;

/// All programs of the object: those for kprobes, those for fentry, and in place of the latter's first those for fexit,
/// by the number of arguments from 1 on.
pub(super) struct OpenPrograms<'a, 'obj> {
    pub(super) kprobes: [&'a mut OpenProgramMut<'obj>; PROGRAMS.len()],
    pub(super) fentries: [&'a mut OpenProgramMut<'obj>; PROGRAMS.len() - 1],
    pub(super) fexits: [&'a mut OpenProgramMut<'obj>; END_ARGUMENTS],
}

/// Finds the programs in the object.
pub(super) fn programs<'a, 'obj>(open: &'a mut OpenRawtpSkel<'obj>) -> OpenPrograms<'a, 'obj> {
    let progs = &mut open.progs;
    OpenPrograms {
        kprobes: [
            &mut progs.kprobe_end,
            &mut progs.kprobe_begin,
            &mut progs.kprobe_call_remove,
            &mut progs.kprobe_call_rename,
            &mut progs.kprobe_call_truncate,
            &mut progs.kprobe_call_truncate_file,
            &mut progs.kprobe_kernel_remove,
            &mut progs.kprobe_kernel_rename,
            &mut progs.kprobe_kernel_truncate,
            &mut progs.kprobe_remove,
            &mut progs.kprobe_rename,
            &mut progs.kprobe_truncate,
            &mut progs.kprobe_truncate_file,
            &mut progs.kprobe_evict,
        ],
        fentries: [
            &mut progs.fentry_begin,
            &mut progs.fentry_call_remove,
            &mut progs.fentry_call_rename,
            &mut progs.fentry_call_truncate,
            &mut progs.fentry_call_truncate_file,
            &mut progs.fentry_kernel_remove,
            &mut progs.fentry_kernel_rename,
            &mut progs.fentry_kernel_truncate,
            &mut progs.fentry_remove,
            &mut progs.fentry_rename,
            &mut progs.fentry_truncate,
            &mut progs.fentry_truncate_file,
            &mut progs.fentry_evict,
        ],
        fexits: [
            &mut progs.fexit_end_1,
            &mut progs.fexit_end_2,
            &mut progs.fexit_end_3,
            &mut progs.fexit_end_4,
            &mut progs.fexit_end_5,
            &mut progs.fexit_end_6,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::vmlinux::FUNCTIONS;

    #[test]
    fn every_function_has_its_programs() {
        for (at, function) in FUNCTIONS.iter().enumerate() {
            let function = function.to_str().unwrap();
            let of = PROGRAMS.iter().filter(|program| program.functions.contains(&at)).map(|program| program.purpose);
            let purposes: Vec<_> = of.collect();
            let expected: &[Purpose] = match () {
                () if function.starts_with("security_inode_") => &[Purpose::Kernel],
                () if function.starts_with("security_") => &[Purpose::End, Purpose::Call, Purpose::Truth],
                () if function == "evict" => &[Purpose::Evict],
                () => &[Purpose::End, Purpose::Begin],
            };
            assert_eq!(purposes, expected, "{function}");
            let work = work_of(at);
            assert_eq!(work == Some(Work::Rename), function.ends_with("rename"), "{function}");
            assert_eq!(work == Some(Work::Truncate), function.contains("trunc") || at == SETATTR, "{function}");
            assert_eq!(work.is_none(), function == "evict");
            assert_eq!(at >= FIRST_AT_WORK, !function.starts_with("security_"), "{function}");
        }
    }
}
