//! All that knows Python. Nothing else in this crate uses pyo3.
//!
//! * `args`: arguments, checked
//! * `arrow_stream`: a tracer as an Arrow stream
//! * `awaited`: the way to asyncio and trio
//! * `batch`: `rawtp.Batch`
//! * `broker`: functions that a broker calls
//! * `check`: functions that `rawtp.check` calls
//! * `collect`: reads of many events into one batch
//! * `cost`: functions that `rawtp.cost` calls
//! * `dict`: events to dicts
//! * `errors`: exceptions
//! * `functions`: functions of the module
//! * `handover`: a tracer in two processes: one loads, the other reads
//! * `objects`: Python objects, or MemoryError
//! * `reader_lock`: threads that read one tracer take turns
//! * `shown`: what notebooks show
//! * `take`: reads what had happened
//! * `to_dicts`: columns back to dicts
//! * `tracer`: `rawtp.Tracer`

pub(crate) mod args;
pub(crate) mod arrow_stream;
pub(crate) mod awaited;
pub(crate) mod batch;
pub(crate) mod broker;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod cost;
pub(crate) mod dict;
pub(crate) mod errors;
pub(crate) mod functions;
pub(crate) mod handover;
pub(crate) mod objects;
pub(crate) mod reader_lock;
pub(crate) mod shown;
pub(crate) mod take;
pub(crate) mod to_dicts;
pub(crate) mod tracer;
