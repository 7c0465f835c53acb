//! The connection to a broker, who keeps the programs attached for as long as it is open on both sides.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::ring::counters::KernelCounters;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::membarrier::wait_for_programs;

/// More than a broker says.
const WORD_BYTES: usize = 512;

/// Why nothing is seen any more, once that is so.
pub type EndReason = Arc<OnceLock<String>>;

/// Held by the thread that drains; dropped, the broker detaches.
#[derive(Debug)]
pub struct BrokerLease {
    /// Like a link: a fork that kept it open would keep the programs attached.
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

    /// When the socket is readable: the broker has something to say, or is gone; both are the end. From its return on
    /// nothing comes into the ring, and no counter moves.
    pub fn finish(&self) {
        self.counters.close();
        wait_for_programs();
        let _ = self.end.set(self.last_word());
    }

    fn last_word(&self) -> String {
        let mut bytes = [0_u8; WORD_BYTES];
        // SAFETY: room for as many bytes as it is told of.
        let count =
            unsafe { libc::recv(self.as_fd().as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
        match usize::try_from(count).ok().filter(|&count| count > 0) {
            Some(count) => {
                let text = String::from_utf8_lossy(&bytes[..count]);
                text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
            }
            None => "the broker is gone, without a word".into(),
        }
    }
}

impl AsFd for BrokerLease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
