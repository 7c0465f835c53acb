//! `rawtp._core`: raw tracepoints as a Python iterator.
//!
//! An event goes one way. [`load`] loads and attaches the programs. [`ring::drain`] copies raw records out of the
//! kernel's ring into the [`ring::queue`]. [`record`] reads them, [`read::join`] pairs them into [`event`]s. [`columns`]
//! makes Arrow's arrays of events, and `py` makes the dicts that are asked for.
//!
//! The folders import downwards only, in the order of `scripts/layers.py`.

// `py_doc!`: the docstrings of `python/rawtp/_core.pyi`.
include!(concat!(env!("OUT_DIR"), "/py_docs.rs"));

pub mod btf;
pub mod cgroup;
pub mod columns;
pub mod config;
pub mod cost;
pub mod error;
pub mod event;
pub mod fields;
pub mod load;
pub mod memory;
pub mod path;
pub mod read;
pub mod record;
pub mod ring;
pub mod session;
pub mod skel;
pub mod sys;
pub mod syscall;

#[cfg(feature = "python")]
mod py;

/// The extension module.
#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    use super::fields::{Fields, Key};
    use super::syscall;

    #[pymodule_export]
    use super::py::batch::Batch;
    #[pymodule_export]
    use super::py::broker::{list_maps, map_id, map_ids, meters, overlaps};
    #[pymodule_export]
    use super::py::check::{attempts, verifier_reason};
    #[pymodule_export]
    use super::py::cost::measure;
    #[pymodule_export]
    use super::py::errors::{LoadError, RawtpError, UnsupportedKernelError};
    #[pymodule_export]
    use super::py::functions::{escape, load_rejected, stats, syscall_name, syscall_number};
    #[pymodule_export]
    use super::py::handover::load;
    #[pymodule_export]
    use super::py::tracer::Tracer;
    #[pymodule_export]
    use super::session::ledger::Stats;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        // Before any call into libbpf, from whichever thread.
        super::load::libbpf_log::keep_off_stderr();
        // Before any thread can open an object: libbpf guards its list of handlers with no lock.
        super::load::exit_target::handle_exit_program();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        for (word, calls) in syscall::GROUPS {
            module.add(word.to_uppercase(), PyTuple::new(py, *calls)?)?;
        }
        let all: Vec<_> = Key::ALL.iter().filter(|key| Fields::ALL.has(**key)).map(|key| key.as_str()).collect();
        module.add("ALL_FIELDS", PyTuple::new(py, all)?)?;
        module.add("_NATIVE_ABI", syscall::Abi::NATIVE.as_str())?;
        // A refused load always has the attribute, even when libbpf logged nothing.
        py.get_type::<LoadError>().setattr("verifier_log", "")
    }
}
