//! Shared memory mappings of BPF maps.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::error::{Error, Malformed, Result};
use crate::memory::OutOfMemory;

/// The size of a page of memory.
#[must_use]
pub fn page_bytes() -> usize {
    // SAFETY: sysconf has no preconditions, and always knows the page size.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.cast_unsigned() as usize
}

/// Checks that this much address space is available now. Call it before a library that reports a wrong reason when an
/// allocation fails. It uses mmap(2) because malloc would keep more memory for itself after a block of this size.
///
/// # Errors
///
/// [`OutOfMemory`] when it is not.
pub fn probe_mapping(bytes: usize) -> std::result::Result<(), OutOfMemory> {
    let Some(length) = NonZeroUsize::new(bytes) else { return Ok(()) };
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
    let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }.map_err(|_| OutOfMemory)?;
    // SAFETY: the mapping is ours, and nobody has seen it.
    let _ = unsafe { munmap(start, bytes) };
    Ok(())
}

/// A shared mapping of memory that the kernel writes and this process reads. It is unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread, and every access goes through atomics or through runs of bytes that the
// kernel has finished writing.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` of the map behind `fd`, starting at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with what mmap(2) said.
    pub fn new(fd: impl AsFd, bytes: usize, offset: usize, writable: bool) -> Result<Self> {
        let protection = if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        let length = NonZeroUsize::new(bytes).ok_or(Malformed("an empty BPF map"))?;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let start =
            unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, offset.cast_signed() as libc::off_t) }
                .map_err(Error::os("cannot map a BPF map"))?;
        Ok(Self { start, bytes })
    }

    /// Returns the address `offset` bytes into the mapping.
    ///
    /// # Panics
    ///
    /// When a `T` there would not lie inside the mapping, or would not be aligned.
    #[must_use]
    pub fn at<T>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.bytes && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: inside the mapping, by the line above; mmap aligns its start to a page.
        unsafe { self.start.byte_add(offset) }.cast()
    }

    /// The size of the mapping.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrowed from it outlives self. munmap cannot fail for a range that
        // mmap gave.
        let _ = unsafe { munmap(self.start, self.bytes) };
    }
}
