//! `rawtp._core`: raw tracepoints as a Python iterator.
//!
//! An event goes one way. [`load`] loads and attaches the programs. [`ring::drain`] copies raw records out of the
//! kernel's ring into the [`ring::queue`]. [`record`] parses them, and [`read::join`] pairs them into [`event`]s.
//! [`columns`] makes Arrow arrays of events, [`text`] lines of JSON, and `py` the dicts that Python asks for.
//!
//! The folders import downwards only, in the order of `scripts/layers.py`.

// `py_doc!` returns the docstrings of `python/rawtp/_core.pyi`.
#[cfg(feature = "python")]
include!(concat!(env!("OUT_DIR"), "/py_docs.rs"));

pub mod btf;
pub mod cgroup;
pub mod columns;
pub mod config;
pub mod cost;
pub mod counts;
pub mod error;
pub mod event;
pub mod fields;
#[cfg(feature = "history")]
pub mod history;
pub mod lineage;
pub mod load;
pub mod memory;
pub mod mounts;
mod nearest;
pub mod path;
pub mod raw_tracepoint;
pub mod read;
pub mod record;
pub mod ring;
pub mod session;
pub mod skel;
pub mod sys;
pub mod syscall;
pub mod text;

#[cfg(feature = "python")]
mod py;
