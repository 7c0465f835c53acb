//! The processes that `/proc` shows, and whether one exists.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};

use crate::sys::clock::{offset_ns, since_boot_ns};

/// The ticks in which `/proc` tells times. A second has 100 on every architecture that rawtp knows (`USER_HZ`).
const TICK_NS: u64 = 1_000_000_000 / 100;

/// The most bytes of a process's arguments that are read.
pub const CMDLINE_BYTES: usize = 1023;

/// A process that was there when `/proc` was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The id of its parent; 0 if it has none here.
    pub ppid: u32,
    /// Its start, in ticks of `CLOCK_BOOTTIME`.
    pub start_ticks: u64,
    /// The name of its first thread.
    pub comm: Vec<u8>,
    /// Its arguments, each followed by a NUL; empty for a kernel thread.
    pub cmdline: Vec<u8>,
    /// A time, in `CLOCK_BOOTTIME`, at which it had these arguments or had them already had.
    pub read_ns: u64,
}

/// Returns the tick in which a time is.
#[must_use]
pub fn ticks(ns: u64) -> u64 {
    ns / TICK_NS
}

/// Returns the name, the parent and the start from the content of `/proc/PID/stat`. The name may hold any byte, so it
/// ends at the last parenthesis.
#[must_use]
pub fn parse_stat(stat: &[u8]) -> Option<(&[u8], u32, u64)> {
    let open = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')').filter(|end| *end >= open)?;
    // The parent is the 4th value, the start is the 22nd, and the one behind the name is the third.
    let rest = str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let (parent, ticks) = (rest.clone().nth(4 - 3)?, rest.clone().nth(22 - 3)?);
    Some((&stat[open..end], parent.parse().ok()?, ticks.parse().ok()?))
}

fn read_at(directory: &File, name: &CStr, most: usize) -> io::Result<Vec<u8>> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a descriptor, a C string and flags.
    let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: nobody else has this descriptor.
    let file = unsafe { File::from_raw_fd(fd) };
    let mut content = Vec::new();
    file.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

fn read(pid: u32) -> Option<Process> {
    // The directory stays that of the process. Once that has ended nothing can be read through it, even if another
    // process has its id.
    let directory = File::open(format!("/proc/{pid}")).ok()?;
    let stat = read_at(&directory, c"stat", 4096).ok()?;
    let (comm, parent, start_ticks) = parse_stat(&stat)?;
    // `/proc` shows it as this process's time namespace has it, since Linux 5.11. Before, no process is found again.
    let start_ticks = start_ticks.saturating_add_signed(-offset_ns() / TICK_NS.cast_signed());
    let cmdline = read_at(&directory, c"cmdline", CMDLINE_BYTES).ok()?;
    Some(Process { pid, ppid: parent, start_ticks, comm: comm.to_vec(), cmdline, read_ns: since_boot_ns() })
}

/// Hands the processes that this one may look at to `take`, at most `most` of them. There are none where `/proc` is not
/// that of this process's pid namespace.
pub fn each_process(most: usize, take: impl FnMut(Process)) {
    let own = std::process::id();
    if fs::read_link("/proc/self").ok().and_then(|pid| pid.to_str()?.parse().ok()) != Some(own) {
        return;
    }
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.take(most).filter_map(read).for_each(take);
}

/// Whether there is a process with this id.
#[must_use]
pub fn exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is sent to nobody.
    pid > 0 && (unsafe { libc::kill(pid, 0) } == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let own = std::process::id();
        let mut found = Vec::new();
        each_process(usize::MAX, |process| found.extend((process.pid == own).then_some(process)));
        let [process] = found.try_into().unwrap();
        let arguments: Vec<_> = std::env::args_os().collect();
        let first = arguments[0].as_encoded_bytes();
        assert!(process.cmdline.starts_with(&first[..first.len().min(CMDLINE_BYTES)]), "{process:?}");
        assert!(process.read_ns <= since_boot_ns() && process.start_ticks <= ticks(process.read_ns));
        assert!(exists(own) && exists(1) && !exists(0) && !exists(u32::MAX) && !exists(4_194_305));
    }

    #[test]
    fn a_name_cannot_imitate_the_values_behind_it() {
        let rest = "R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let parsed = |stat: &str| parse_stat(stat.as_bytes()).map(|(comm, ppid, ticks)| (comm.to_vec(), ppid, ticks));
        assert_eq!(parsed(&format!("7 (sh) {rest}\n")), Some((b"sh".to_vec(), 1, 4711)));
        assert_eq!(parsed(&format!("7 (a) R 1\n) (b) {rest}\n")), Some((b"a) R 1\n) (b".to_vec(), 1, 4711)));
        assert_eq!(parsed("7 (sh) R 1 2"), None);
        assert_eq!(parsed("7 )sh( R"), None);
        assert_eq!(parsed(&format!("7 (sh) {}", rest.replace("4711", "x"))), None);
    }
}
