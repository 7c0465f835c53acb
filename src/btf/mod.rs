//! The kernel's type information (BTF), for CO-RE.
//!
//! * `parse`: reads BTF
//! * `subset`: keeps the types that the programs refer to
//! * `vmlinux`: a part of the running kernel's BTF as a file for libbpf

mod parse;
pub mod subset;
pub mod vmlinux;
