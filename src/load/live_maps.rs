//! Lists the ids of the host's BPF maps by an iterator (`bpf/probes/live_maps.bpf.c`).
//!
//! A broker's client can keep the ring of an ended tracer open or mapped. The ring's memory is freed when its last
//! holder is gone, and the kernel does not announce that moment. But then the map's id is missing from the list. The
//! kernel does not reuse an id before it has used all 2³¹.

use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_rs::ObjectBuilder;

use crate::error::{Error, Result};
use crate::load::libbpf_log::with_log;
use crate::skel::LIVE_MAPS;
use crate::sys::fd::{copy, owned};

/// Loads the iterator. [`ids`] needs only its descriptor.
///
/// # Errors
///
/// Those of a load.
pub fn iterator() -> Result<OwnedFd> {
    let object = with_log(|| ObjectBuilder::default().open_memory(LIVE_MAPS)?.load())?;
    let program =
        object.progs_mut().next().ok_or_else(|| Error::UnsupportedKernel("the iterator has no program".into()))?;
    let link = with_log(|| program.attach())?;
    copy(&link)
}

/// Returns the ids of all maps that a descriptor, a mapping or a program holds.
///
/// # Errors
///
/// [`Error::Os`] with what bpf(2) or read(2) said.
pub fn ids(iterator: BorrowedFd<'_>) -> Result<Vec<u32>> {
    // SAFETY: bpf_iter_create takes a descriptor's number and returns that of a new one, or a negative error.
    let list = owned(unsafe { libbpf_sys::bpf_iter_create(iterator.as_raw_fd()) }.into());
    let mut list = File::from(list.map_err(Error::os("cannot list BPF maps"))?);
    let mut bytes = Vec::new();
    list.read_to_end(&mut bytes).map_err(Error::os("cannot list BPF maps"))?;
    let (ids, _) = bytes.as_chunks::<4>();
    Ok(ids.iter().copied().map(u32::from_ne_bytes).collect())
}

/// Returns the id of a map.
///
/// # Errors
///
/// [`Error::Os`] with what bpf(2) said.
pub fn id(map: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: a structure of integers and addresses, all of which may be zero.
    let mut info: libbpf_sys::bpf_map_info = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `bytes` of info.
    let failed = unsafe { libbpf_sys::bpf_map_get_info_by_fd(map.as_raw_fd(), &raw mut info, &raw mut bytes) };
    if failed != 0 {
        return Err(Error::os("cannot ask for the id of a BPF map")(std::io::Error::from_raw_os_error(-failed)));
    }
    Ok(info.id)
}
