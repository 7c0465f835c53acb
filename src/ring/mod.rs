//! From the kernel's ring buffer to the queue of chunks.
//!
//! * `broker_lease`: ends a tracer when its broker goes
//! * `buffer`: reads the BPF ring buffer
//! * `clock`: the kernel's clock to Unix time
//! * `control`: ends the drain thread, or has it empty the ring
//! * `counters`: what the programs count
//! * `drain`: the drain thread
//! * `queue`: chunks of raw records, bounded
//! * `sync`: what threads share; a model replaces it in tests

pub mod broker_lease;
pub mod buffer;
pub mod clock;
pub mod control;
pub mod counters;
pub mod drain;
pub mod queue;
mod sync;
