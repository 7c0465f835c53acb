//! The connection to a broker. The broker keeps the programs attached for as long as both sides keep it open.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Result;
use crate::ring::counters::KernelCounters;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::membarrier::wait_for_programs;

/// Longer than any message of a broker.
const WORD_BYTES: usize = 512;

/// The reason why the tracer sees nothing any more, once a broker has ended it.
pub type EndReason = Arc<OnceLock<String>>;

/// The drain thread's side of the connection. Dropping it makes the broker detach the programs.
#[derive(Debug)]
pub struct BrokerLease {
    /// The child of a fork closes it, like a link, because it too keeps the programs attached.
    socket: CloseOnForkFd,
    counters: Arc<KernelCounters>,
    end: EndReason,
}

impl BrokerLease {
    /// Takes the socket over.
    ///
    /// # Errors
    ///
    /// Those of [`CloseOnForkFd::new`].
    pub fn new(socket: OwnedFd, counters: Arc<KernelCounters>, end: EndReason) -> Result<Self> {
        Ok(Self { socket: CloseOnForkFd::new(socket)?, counters, end })
    }

    /// Whether the broker has sent its reason or is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        is_over(self.as_fd())
    }

    /// Ends the lease. Call it when the socket is readable: the broker has sent its reason or is gone, and both mean
    /// the end. When it returns, nothing more comes into the ring and no counter moves.
    pub fn finish(&self) {
        self.counters.close();
        wait_for_programs();
        let _ = self.end.set(last_word(self.as_fd()));
    }
}

/// Whether the broker at the other end of a connection has sent its reason or is gone.
#[must_use]
pub fn is_over(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
    // An error of poll(2) tells nothing.
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Returns the reason that a broker has sent, or says that there is none.
#[must_use]
pub fn last_word(socket: BorrowedFd<'_>) -> String {
    let mut bytes = [0_u8; WORD_BYTES];
    // SAFETY: the buffer has room for the number of bytes that is passed.
    let count = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(count).ok().filter(|&count| count > 0) {
        Some(count) => {
            let text = String::from_utf8_lossy(&bytes[..count]);
            text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
        }
        None => "the broker is gone, without a word".into(),
    }
}

impl AsFd for BrokerLease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
