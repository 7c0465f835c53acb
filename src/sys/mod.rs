//! Wrappers of kernel interfaces. They know nothing of rawtp's own types.
//!
//! * `bpf`: loads programs, and attaches those of raw tracepoints
//! * `close_on_fork`: descriptors that the child of a fork closes
//! * `errno`: names of errors
//! * `fd`: owns descriptors
//! * `fdinfo`: the kernel's text about a descriptor
//! * `kprobe`: attaches programs to the kernel's functions
//! * `membarrier`: waits for programs that are running
//! * `meters`: programs' fdinfo, opened for another process
//! * `mmap`: shared mappings of BPF maps
//! * `signals`: blocks signals while a thread loads programs
//! * `tracepoint`: attaches programs to classic tracepoints

pub mod bpf;
pub mod close_on_fork;
pub mod errno;
pub mod fd;
pub mod fdinfo;
pub mod kprobe;
pub mod membarrier;
pub mod meters;
pub mod mmap;
pub mod signals;
pub mod tracepoint;
