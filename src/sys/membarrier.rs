//! Waiting for programs that are running.

use std::thread;
use std::time::Duration;

/// Where the kernel cannot tell us: far longer than a program takes, which is microseconds, unless it is preempted.
const SETTLE: Duration = Duration::from_millis(50);

/// Returns when every BPF program that was running on any CPU at the time of the call has ended.
///
/// Programs run inside a read-side section of RCU, and `MEMBARRIER_CMD_GLOBAL` waits for a grace period: for the end of
/// every section that had begun. It needs no privilege, and takes some milliseconds. Kernels with `nohz_full` refuse it.
pub(crate) fn wait_for_programs() {
    // SAFETY: it touches no memory of ours.
    let failed = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if failed != 0 {
        thread::sleep(SETTLE);
    }
}
