//! What threads of the queue's share. `tests/model` includes the queue's own source, and puts a model of each of these in
//! their place, so that it can try every order of the threads.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
pub(crate) use nix::sys::eventfd::{EfdFlags, EventFd};
