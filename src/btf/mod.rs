//! The kernel's types (BTF), for CO-RE.
//!
//! * `parse`: reads BTF
//! * `subset`: keeps the types that the programs refer to
//! * `vmlinux`: the running kernel's types as a file for libbpf

mod parse;
pub mod subset;
pub mod vmlinux;
