//! The kernel's text about a descriptor (`/proc/self/fdinfo`), for processes without the privilege to use `bpf(2)`.

use std::fs::{self, File};
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use crate::error::{Error, Result};

/// Longer than any fdinfo of a BPF object.
const TEXT_BYTES: usize = 4096;

/// `PROC_SUPER_MAGIC` of include/uapi/linux/magic.h.
const PROC_MAGIC: i128 = 0x9fa0;

/// `/proc/self/fdinfo/FD`: lines of a key, a colon, a tab and a value.
pub struct Fdinfo(String);

impl Fdinfo {
    /// Reads the text of a descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] where `/proc` is not mounted.
    pub fn read(fd: &impl AsFd) -> Result<Self> {
        let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        fs::read_to_string(path)
            .map(Self)
            .map_err(Error::os("cannot read /proc/self/fdinfo, which tells of descriptors"))
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
    }

    /// Whether the text has a line with this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The number on the line with this key.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }
}

/// Returns how often the kernel skipped the programs because one was already running on the CPU (`recursion_misses`).
/// `None` where the kernel does not count that.
#[must_use]
pub fn missed(programs: &[OwnedFd]) -> Option<u64> {
    if programs.is_empty() {
        return None;
    }
    programs.iter().map(|program| missed_one(program).or_else(|| missed_by_text(program))).sum()
}

fn missed_one(program: &OwnedFd) -> Option<u64> {
    // SAFETY: a structure of integers and addresses, all of which may be zero.
    let mut info: libbpf_sys::bpf_prog_info = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `bytes` of info, and says in `bytes` how many.
    let failed = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut bytes) };
    let end = offset_of!(libbpf_sys::bpf_prog_info, recursion_misses) + size_of_val(&info.recursion_misses);
    (failed == 0 && bytes as usize >= end).then_some(info.recursion_misses)
}

/// Reads the count without privilege. It comes from our fdinfo of the program, or from the broker's: a broker keeps the
/// program to itself and hands out its open fdinfo.
fn missed_by_text(program: &OwnedFd) -> Option<u64> {
    const KEY: &str = "recursion_misses";
    let own = Fdinfo::read(program).ok()?;
    if own.has("prog_type") {
        return own.number(KEY);
    }
    let file = File::from(program.try_clone().ok()?);
    if !is_of_proc(&file) {
        return None;
    }
    let mut text = vec![0; TEXT_BYTES];
    let bytes = file.read_at(&mut text, 0).ok()?;
    text.truncate(bytes);
    Fdinfo(String::from_utf8(text).ok()?).number(KEY)
}

/// Whether the file is in procfs. Reading any other file could block the reader.
pub(crate) fn is_of_proc(file: &File) -> bool {
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a descriptor, and room for what the kernel writes.
    let failed = unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) };
    // SAFETY: the kernel has written it, because the call did not fail. Its type differs with musl.
    failed == 0 && i128::from(unsafe { found.assume_init() }.f_type) == PROC_MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_key() {
        let info = Fdinfo("pos:\t0\nmap_type:\t27\nmax_entries:\t4096\nfrozen: 1\n".into());
        assert_eq!(
            ["map_type", "max_entries", "frozen", "map", "entries"].map(|key| info.number(key)),
            [Some(27), Some(4096), Some(1), None, None]
        );
        assert!(info.has("pos") && !info.has("prog_type"));
    }

    #[test]
    fn a_file_has_no_count() {
        let null = File::open("/dev/null").unwrap();
        assert!(Fdinfo::read(&null).unwrap().has("flags"));
        let status = File::open("/proc/self/status").unwrap();
        assert_eq!(missed(&[null.into()]), None);
        assert_eq!(missed(&[status.into()]), None);
        assert_eq!(missed(&[]), None);
    }
}
