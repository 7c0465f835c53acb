//! Which calls a tracer is to watch, as Python says it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::config::Config;
use crate::config::when::When;
use crate::py::args::{Calls, OptArg, calls, int_arg, refused};
use crate::syscall::{ALL_CALLS, DELETE};

/// The most bytes of a buffer that an event can have.
const BUFFERS_MAX: i64 = 4096;

/// The watched calls.
pub(crate) struct Watched {
    pub(crate) names: Vec<String>,
    pub(crate) when: When,
    /// Whether all calls were asked for.
    pub(crate) are_all: bool,
}

impl Watched {
    /// Reads `syscalls`, `exclude` and `when`.
    pub(crate) fn of(syscalls: OptArg<'_, '_>, exclude: OptArg<'_, '_>, when: OptArg<'_, '_>) -> PyResult<Self> {
        let default =
            || Calls { names: DELETE.iter().map(ToString::to_string).collect(), are_all: false, is_each: false };
        let Calls { mut names, are_all, is_each } =
            syscalls.map_or_else(|| Ok(default()), |it| calls("syscalls", it))?;
        let when = match when {
            None => When::of(&names, is_each),
            Some(value) => {
                When::from_name(&value.extract::<String>().map_err(|error| refused("when", "a str", error, value))?)?
            }
        };
        if let Some(exclude) = exclude {
            let left_out = calls("exclude", exclude)?.names;
            if let Some(unknown) = left_out.iter().find(|name| crate::syscall::by_name(name).is_none()) {
                return Err(PyValueError::new_err(format!(
                    "exclude: no system call of this machine is named {unknown:?}"
                )));
            }
            names.retain(|name| !left_out.contains(name));
            if names.is_empty() {
                return Err(PyValueError::new_err("exclude leaves none of the syscalls"));
            }
        }
        Ok(Self { names, when, are_all })
    }

    /// Refuses what would fill any ring.
    ///
    /// # Errors
    ///
    /// `ValueError`.
    pub(crate) fn check(&self, config: &Config) -> PyResult<()> {
        if !self.are_all {
            return Ok(());
        }
        if config.filters.pids().contains(&std::process::id()) && !config.filters.follow() {
            return Err(PyValueError::new_err(format!(
                "syscalls=\"{ALL_CALLS}\" cannot watch the process that reads the events: each read would make more. \
                 Watch another process, or name the calls"
            )));
        }
        if config.filters.are_by_process() {
            return Ok(());
        }
        let passing = config.filters.passing_all();
        let but = match passing.as_slice() {
            [] => String::new(),
            passing => format!(", which {} is not", passing.join(" or ")),
        };
        Err(PyValueError::new_err(format!(
            "syscalls=\"{ALL_CALLS}\" needs a filter by process (pid, uid, comm or cgroup){but}, or rawtp.run(): a host \
             makes millions of calls a second"
        )))
    }
}

/// Reads `buffers`.
pub(crate) fn buffer_bytes(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    let bytes = int_arg("buffers", value)?;
    u16::try_from(bytes)
        .ok()
        .filter(|_| bytes <= BUFFERS_MAX)
        .ok_or_else(|| PyValueError::new_err(format!("buffers must be from 0 to {BUFFERS_MAX} bytes, not {bytes}")))
}
