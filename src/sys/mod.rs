//! Wrappers of kernel interfaces. They know nothing of rawtp.
//!
//! * `bpf`: loads and attaches programs of raw tracepoints
//! * `close_on_fork`: closes descriptors in the child of a fork
//! * `errno`: names of errors
//! * `fd`: owns descriptors
//! * `fdinfo`: the kernel's text about a descriptor
//! * `membarrier`: waits for programs that are running
//! * `meters`: opens programs' fdinfo for another process
//! * `mmap`: shared mappings of BPF maps
//! * `signals`: blocks signals in a thread
//! * `tracepoint`: attaches programs to classic tracepoints

pub mod bpf;
pub mod close_on_fork;
pub mod errno;
pub mod fd;
pub mod fdinfo;
pub mod membarrier;
pub mod meters;
pub mod mmap;
pub mod signals;
pub mod tracepoint;
