//! The way from the kernel's ring buffer to the queue of chunks.
//!
//! * `broker_lease`: ends a tracer when its broker goes
//! * `buffer`: reads the BPF ring buffer
//! * `chunk`: a run of raw records
//! * `clock`: the kernel's clock to Unix time
//! * `control`: ends the drain thread, or makes it empty the ring
//! * `counters`: the counters that the programs write
//! * `drain`: the drain thread
//! * `queue`: a bounded queue of chunks of raw records
//! * `sync`: primitives that the threads share; a model replaces them in tests

pub mod broker_lease;
pub mod buffer;
pub mod chunk;
pub mod clock;
pub mod control;
pub mod counters;
pub mod drain;
pub mod queue;
mod sync;
