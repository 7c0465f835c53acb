//! `rawtp._core`: raw tracepoints as a Python iterator.
//!
//! Everything flows one way: [`probe`] loads and attaches, [`drain`] copies raw records out of the [`ring`] into the
//! [`queue`], [`record`] reads them, [`join`] pairs them into [`event`]s, and `dict` makes Python objects
//! of those that are asked for, [`columns`] Arrow's arrays.

// `py_doc!`: the docstrings of `python/rawtp/_core.pyi`.
include!(concat!(env!("OUT_DIR"), "/py_docs.rs"));

pub mod alike;
mod allocator;
mod ancestry;
pub mod attach;
pub mod attempt;
mod barrier;
pub mod beside;
mod bits;
mod btf;
pub mod btf_part;
pub mod caller;
pub mod cgroup;
pub mod cgroup_lookup;
pub mod cgroup_mounts;
pub mod cgroup_reports;
pub mod clock;
mod column;
pub mod columns;
pub mod compared;
pub mod config;
pub mod connection;
pub mod control;
pub mod cost;
pub mod counters;
pub mod coverage;
pub mod drain;
pub mod errno;
pub mod error;
pub mod event;
pub mod fdinfo;
pub mod fields;
pub mod filters;
pub mod fork;
pub mod glob;
pub mod glob_states;
pub mod hook;
pub mod join;
pub mod kernel_types;
pub mod live_maps;
pub mod loaded;
mod lossy;
#[cfg(all(test, miri))]
mod malloc;
pub mod mapping;
pub mod memory;
pub mod messages;
pub mod meters;
pub mod overlap;
pub mod patch;
pub mod path;
pub mod path_filter;
mod path_lookup;
pub mod places;
pub mod probe;
pub mod programs;
pub mod queue;
pub mod reader;
pub mod record;
pub mod refine;
pub mod refused;
pub mod ring;
#[cfg(test)]
mod samples;
pub mod segments;
pub mod session;
pub mod signals;
pub mod skel;
pub mod stats;
mod sync;
pub mod syscalls;
pub mod taken;
pub mod value;

#[cfg(feature = "python")]
mod arguments;
#[cfg(feature = "python")]
mod awaited;
#[cfg(feature = "python")]
mod batch;
#[cfg(feature = "python")]
mod broker;
#[cfg(feature = "python")]
mod check;
#[cfg(feature = "python")]
mod dict;
#[cfg(feature = "python")]
mod exceptions;
#[cfg(feature = "python")]
mod functions;
#[cfg(feature = "python")]
mod gathered;
#[cfg(feature = "python")]
mod handover;
#[cfg(feature = "python")]
mod measure;
#[cfg(feature = "python")]
mod objects;
#[cfg(feature = "python")]
mod reading;
#[cfg(feature = "python")]
mod rows;
#[cfg(feature = "python")]
mod shown;
#[cfg(feature = "python")]
mod stream;
#[cfg(feature = "python")]
mod take;
#[cfg(feature = "python")]
mod tracer;

/// The extension module.
#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    use super::fields::{Fields, Key};
    use super::syscalls;

    #[pymodule_export]
    use super::batch::Batch;
    #[pymodule_export]
    use super::broker::{list_maps, map_id, map_ids, meters, overlaps};
    #[pymodule_export]
    use super::check::{attempts, verifier_reason};
    #[pymodule_export]
    use super::exceptions::{LoadError, RawtpError, UnsupportedKernelError};
    #[pymodule_export]
    use super::functions::{escape, load_rejected, stats, syscall_name, syscall_number};
    #[pymodule_export]
    use super::handover::load;
    #[pymodule_export]
    use super::measure::measure;
    #[pymodule_export]
    use super::stats::Stats;
    #[pymodule_export]
    use super::tracer::Tracer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        // Before any call into libbpf, from whichever thread.
        super::messages::keep_off_stderr();
        // Before any thread can open an object: libbpf guards its list of handlers with no lock.
        super::patch::handle_exit_program();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        for (word, calls) in syscalls::GROUPS {
            module.add(word.to_uppercase(), PyTuple::new(py, *calls)?)?;
        }
        let all: Vec<_> = Key::ALL.iter().filter(|key| Fields::ALL.has(**key)).map(|key| key.as_str()).collect();
        module.add("ALL_FIELDS", PyTuple::new(py, all)?)?;
        module.add("_NATIVE_ABI", syscalls::Abi::NATIVE.as_str())?;
        // A refused load always has the attribute, even when libbpf logged nothing.
        py.get_type::<LoadError>().setattr("verifier_log", "")
    }
}
