//! Waits for BPF programs that are running.

use std::thread;
use std::time::Duration;

/// How long to wait where the kernel refuses membarrier(2). A program takes microseconds unless it is preempted.
const SETTLE: Duration = Duration::from_millis(50);

/// Returns when every BPF program that was running on any CPU at the time of the call has ended.
///
/// Programs run inside an RCU read-side section. `MEMBARRIER_CMD_GLOBAL` waits for a grace period, that is for the end
/// of every section that had begun. It needs no privilege and takes some milliseconds. Kernels with `nohz_full` refuse
/// it.
pub(crate) fn wait_for_programs() {
    // SAFETY: the call touches no memory of this process.
    let failed = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if failed != 0 {
        thread::sleep(SETTLE);
    }
}
