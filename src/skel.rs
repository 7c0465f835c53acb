//! The skeleton that `build.rs` generates: the embedded BPF object, its maps and programs, and the types of the
//! records.
#![allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]
#![allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/rawtp.skel.rs"));

/// The baseline programs that rawtp's cost is compared with (`bpf/probes/cost.bpf.c`).
pub mod cost {
    include!(concat!(env!("OUT_DIR"), "/cost.skel.rs"));
}

/// The programs that count (`bpf/counts.bpf.c`).
pub mod counts {
    include!(concat!(env!("OUT_DIR"), "/counts.skel.rs"));
}

/// The guide's program that the verifier rejects (`bpf/probes/verifier_rejects.bpf.c`).
pub const VERIFIER_REJECTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/verifier_rejects.bpf.o"));

/// The program that tests whether ring buffers are safe on this kernel (`bpf/probes/cve_2024_41009.bpf.c`).
pub const CVE_2024_41009: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cve_2024_41009.bpf.o"));

/// The program that lists the host's BPF maps (`bpf/probes/live_maps.bpf.c`).
pub const LIVE_MAPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/live_maps.bpf.o"));
