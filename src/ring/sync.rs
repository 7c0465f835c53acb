//! The primitives that the queue's threads share. `tests/model` includes the queue's own source and replaces each of
//! these by a model, so that it can try every order of the threads.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
pub(crate) use nix::sys::eventfd::{EfdFlags, EventFd};
