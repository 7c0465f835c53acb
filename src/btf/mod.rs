//! The kernel's type information (BTF), for CO-RE and for programs that are assembled at run time.
//!
//! * `parse`: reads BTF
//! * `split`: the types of the kernel and of one of its modules
//! * `subset`: keeps the types that the programs refer to
//! * `tracepoints`: the raw tracepoints, and their arguments
//! * `vmlinux`: a part of the running kernel's BTF as a file for libbpf

pub(crate) mod parse;
pub(crate) mod split;
pub mod subset;
#[cfg(test)]
pub(crate) mod testing;
pub mod tracepoints;
pub mod vmlinux;
