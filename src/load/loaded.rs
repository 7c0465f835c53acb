//! The file descriptors a session needs, whether this process, sudo or a broker loaded the programs.

use std::os::fd::OwnedFd;

use crate::error::{Error, Result};
use crate::load::attach::Attached;
use crate::ring::counters::{COUNTERS_BYTES, LIVE_BYTES};
use crate::sys::fdinfo::Fdinfo;
use crate::sys::mmap::page_bytes;

/// A bound on the slots that no machine exceeds.
const SLOTS_MAX: usize = 1 << 16;

/// Numbers of `enum bpf_map_type` (include/uapi/linux/bpf.h), as fdinfo shows them.
const ARRAY: u64 = libbpf_sys::BPF_MAP_TYPE_ARRAY as u64;
const RINGBUF: u64 = libbpf_sys::BPF_MAP_TYPE_RINGBUF as u64;

/// All descriptors that a session needs. libbpf's own copies are closed.
#[derive(Debug)]
pub struct Loaded {
    /// The ring buffer map.
    pub ring: OwnedFd,
    /// The counters, one element per slot. The map is frozen, so only the programs can write it.
    pub counters: OwnedFd,
    /// The part of the configuration that user space changes while the programs run.
    pub live: OwnedFd,
    /// The size of the ring.
    pub ring_bytes: usize,
    /// The number of elements of `counters`.
    pub slots: usize,
    /// The attached programs and their links.
    pub attached: Attached,
}

fn wrong<T>(what: String) -> Result<T> {
    Err(Error::HandedOver(what))
}

impl Loaded {
    /// Checks descriptors from another process by the kernel's own description: each must be the kind of map it is said
    /// to be. Somebody could later shorten a file in place of a map, and reading on would kill this process.
    ///
    /// # Errors
    ///
    /// [`Error::HandedOver`], or [`Error::Os`] where `/proc` cannot be read.
    pub fn check(&self) -> Result<()> {
        if !self.ring_bytes.is_power_of_two() || self.ring_bytes < page_bytes() || self.ring_bytes > 1 << 31 {
            return wrong(format!("a ring of {} bytes", self.ring_bytes));
        }
        if self.slots == 0 || self.slots > SLOTS_MAX {
            return wrong(format!("{} slots", self.slots));
        }
        let map = |name, fd, wanted: &[(&str, u64)]| {
            let info = Fdinfo::read(fd)?;
            wanted.iter().try_for_each(|&(key, value)| match info.number(key) {
                Some(found) if found == value => Ok(()),
                found => wrong(format!("the {name} has {key} {found:?}, not {value}")),
            })
        };
        let (slots, bytes) = (self.slots as u64, COUNTERS_BYTES as u64);
        map("ring", &self.ring, &[("map_type", RINGBUF), ("max_entries", self.ring_bytes as u64)])?;
        let frozen = ("frozen", 1);
        let counters = [("map_type", ARRAY), ("value_size", bytes), ("max_entries", slots), frozen];
        map("counters' map", &self.counters, &counters)?;
        let live = [("map_type", ARRAY), ("value_size", LIVE_BYTES as u64), ("max_entries", 1), ("frozen", 0)];
        map("live configuration", &self.live, &live)?;
        for link in &self.attached.links {
            if !Fdinfo::read(link)?.has("link_type") {
                return wrong("a link that is none".into());
            }
        }
        Ok(())
    }
}
