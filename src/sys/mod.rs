//! Wrappers of kernel interfaces. They know nothing of rawtp's own types.
//!
//! * `bpf`: loads programs, and attaches those of raw tracepoints
//! * `cached_path`: looks up paths in the kernel's cache
//! * `clock`: Unix time, and the time since boot as the kernel has it
//! * `close_on_fork`: descriptors that the child of a fork closes
//! * `errno`: names of errors
//! * `fd`: owns descriptors
//! * `fdinfo`: the kernel's text about a descriptor
//! * `in_root`: opens paths below a directory that stays their root
//! * `kprobe`: attaches programs to the kernel's functions
//! * `local_time`: Unix time as a date and a time of day
//! * `membarrier`: waits for programs that are running
//! * `meters`: programs' fdinfo, opened for another process
//! * `mmap`: shared mappings of BPF maps
//! * `process`: the processes that `/proc` shows, and whether one exists
//! * `signals`: blocks signals while a thread loads programs
//! * `tracepoint`: attaches programs to classic tracepoints
//! * `users`: names of users

pub mod bpf;
pub mod cached_path;
pub mod clock;
pub mod close_on_fork;
pub mod errno;
pub mod fd;
pub mod fdinfo;
pub mod in_root;
pub mod kprobe;
pub mod local_time;
pub mod membarrier;
pub mod meters;
pub mod mmap;
pub mod process;
pub mod signals;
pub mod tracepoint;
pub mod users;
