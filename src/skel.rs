//! The skeleton that `build.rs` generates: the embedded BPF object, its maps and programs, and the record's types.
#![allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]
#![allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/rawtp.skel.rs"));

/// What rawtp's cost is measured beside (`bpf/cost.bpf.c`).
pub mod cost {
    include!(concat!(env!("OUT_DIR"), "/cost.skel.rs"));
}

/// The program of the guide that the verifier refuses (`bpf/guide_rejected.bpf.c`).
pub const GUIDE_REJECTED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guide_rejected.bpf.o"));

/// What tries out whether rings are safe here (`bpf/overlap.bpf.c`).
pub const OVERLAP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/overlap.bpf.o"));

/// What lists the maps of the host (`bpf/live_maps.bpf.c`).
pub const LIVE_MAPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/live_maps.bpf.o"));
