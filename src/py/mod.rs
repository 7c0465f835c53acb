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
//! * `counts`: `rawtp._core.CallCounter`
//! * `dict`: events to dicts
//! * `errors`: exceptions
//! * `feed`: the events of one tracer, as its readers take them
//! * `functions`: functions of the module
//! * `handover`: a tracer in two processes: one loads, the other reads
//! * `history`: `rawtp._core.HistoryReader`
//! * `history_batch`: `rawtp._core.HistoryBatch`
//! * `history_scan`: `rawtp._core.HistoryScan` and `HistoryFile`
//! * `host`: functions about the host's files below `root=`
//! * `late`: Python functions that the package hands in
//! * `methods`: the methods that classes with a feed share
//! * `objects`: Python objects, or `MemoryError`
//! * `raw_tracepoint`: `rawtp.RawTracepoint`
//! * `recorder`: `rawtp._core.Recorder`
//! * `reader_lock`: threads that read one tracer take lock
//! * `sinks`: the results that readers fill
//! * `source`: what the readers of a session take
//! * `stats`: `rawtp.Stats`
//! * `table`: the rows of one call, with its arguments as columns
//! * `text`: `rawtp._core.TextReader`
//! * `to_dicts`: columns back to dicts
//! * `tracer`: `rawtp.Tracer`
//! * `watched`: which calls a tracer is to watch

pub(crate) mod args;
pub(crate) mod arrow_stream;
pub(crate) mod awaited;
pub(crate) mod batch;
pub(crate) mod broker;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod cost;
pub(crate) mod counts;
pub(crate) mod dict;
pub(crate) mod errors;
pub(crate) mod feed;
pub(crate) mod functions;
pub(crate) mod handover;
#[cfg(feature = "history")]
pub(crate) mod history;
#[cfg(feature = "history")]
pub(crate) mod history_batch;
#[cfg(feature = "history")]
pub(crate) mod history_scan;
pub(crate) mod host;
pub(crate) mod late;
pub(crate) mod methods;
pub(crate) mod objects;
pub(crate) mod raw_tracepoint;
pub(crate) mod reader_lock;
#[cfg(feature = "history")]
pub(crate) mod recorder;
pub(crate) mod sinks;
pub(crate) mod source;
pub(crate) mod stats;
mod table;
pub(crate) mod text;
pub(crate) mod to_dicts;
pub(crate) mod tracer;
mod watched;

use pyo3::prelude::*;

/// The extension module.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    use crate::fields::{Fields, Key};
    use crate::syscall;

    #[pymodule_export]
    use super::batch::Batch;
    #[pymodule_export]
    use super::broker::{list_maps, map_id, map_ids, meters, overlaps};
    #[pymodule_export]
    use super::check::{attempts, verifier_reason};
    #[pymodule_export]
    use super::cost::measure;
    #[pymodule_export]
    use super::counts::{CallCounter, bucket_bounds, count_columns, counts_bytes, load_counts};
    #[pymodule_export]
    use super::errors::{LoadError, RawtpError, UnsupportedKernelError};
    #[pymodule_export]
    use super::functions::{
        escape, load_rejected, stats, syscall_arguments, syscall_name, syscall_number, syscall_registers,
    };
    #[pymodule_export]
    use super::handover::load;
    #[cfg(feature = "history")]
    #[pymodule_export]
    use super::history::HistoryReader;
    #[cfg(feature = "history")]
    #[pymodule_export]
    use super::history_batch::HistoryBatch;
    #[cfg(feature = "history")]
    #[pymodule_export]
    use super::history_scan::{HistoryFile, HistoryScan};
    #[pymodule_export]
    use super::host::{host_path, open_in_root};
    #[pymodule_export]
    use super::late::set_late;
    #[pymodule_export]
    use super::raw_tracepoint::{RawTracepoint, load_raw_tracepoint, tracepoints};
    #[cfg(feature = "history")]
    #[pymodule_export]
    use super::recorder::Recorder;
    #[pymodule_export]
    use super::stats::Stats;
    #[pymodule_export]
    use super::text::TextReader;
    #[pymodule_export]
    use super::tracer::Tracer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        // Before any call into libbpf, from whichever thread.
        crate::load::libbpf_log::keep_off_stderr();
        // Before any thread can open an object: libbpf guards its list of handlers with no lock.
        crate::load::exit_target::handle_exit_program();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        for (word, calls) in syscall::GROUPS {
            module.add(word.to_uppercase(), PyTuple::new(py, *calls)?)?;
        }
        let (all, opt_in): (Vec<_>, Vec<_>) = Key::ALL.iter().copied().partition(|key| Fields::ALL.contains(*key));
        module.add("ALL_FIELDS", PyTuple::new(py, all.iter().map(|key| key.as_str()))?)?;
        module.add("OPT_IN_FIELDS", PyTuple::new(py, opt_in.iter().map(|key| key.as_str()))?)?;
        module.add("_NATIVE_ABI", syscall::Abi::NATIVE.as_str())?;
        let base = py.get_type::<RawtpError>();
        for name in ["reason", "hint", "command"] {
            base.setattr(name, py.None())?;
        }
        // A refused load always has the attribute, even when libbpf logged nothing.
        py.get_type::<LoadError>().setattr("verifier_log", "")
    }
}
