//! A tracer in two processes: one with privilege loads and attaches the programs, the other reads.

use std::io::ErrorKind;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::Config;
use crate::config::filters::{FilterArgs, Filters};
use crate::config::hook::Hook;
use crate::config::when::When;
use crate::error::Error;
use crate::fields::{Fields, Key};
use crate::load::attach::Attached;
use crate::load::coverage::{self, HookCoverage};
use crate::load::loaded::Loaded;
use crate::py::args::{FilterKwargs, OptArg, int_arg, names, path};
use crate::py::errors::with_parts;
use crate::py::late;
use crate::py::watched::buffer_bytes;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::signals::Mask;

/// Name, hook, reason.
type Row = (String, Option<String>, Option<String>);

/// Slots, coverage, and descriptors that the caller owns: ring, counters and live configuration; links; programs.
type LoadedFds = (usize, Vec<Row>, [RawFd; 3], Vec<RawFd>, Vec<RawFd>);

/// The request to the other process: the arguments of its `_load`. Filters that user space decides stay here.
pub(crate) fn request<'py>(py: Python<'py>, config: &Config, asked: &FilterArgs) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item("syscalls", config.syscalls.iter().map(|call| call.name).collect::<Vec<_>>())?;
    request.set_item("when", config.when.as_str())?;
    request.set_item("buffers", config.buffers)?;
    request.set_item("results", config.results)?;
    request.set_item("fields", config.fields.keys().map(Key::as_str).collect::<Vec<_>>())?;
    request.set_item("pid", &asked.pid)?;
    request.set_item("follow", asked.follow)?;
    request.set_item("uid", &asked.uid)?;
    request.set_item("comm", &asked.comm)?;
    // By number: what paths there are is not to be found out by asking who may see more.
    request.set_item("cgroup", Some(config.filters.cgroup_ids()?).filter(|ids| !ids.is_empty()))?;
    // What a path means was looked up here, and is not looked up there.
    request.set_item("path", config.filters.path_patterns())?;
    request.set_item("exclude_self", asked.exclude_self)?;
    request.set_item("hook", config.hook.as_str())?;
    request.set_item("ring_bytes", config.ring_bytes)?;
    Ok(request)
}

/// Loads and attaches the programs, or has sudo or a broker do it.
pub(crate) fn obtain(
    py: Python<'_>,
    config: &Config,
    asked: &FilterArgs,
    sudo: bool,
    broker: OptArg<'_, '_>,
) -> PyResult<(Loaded, Option<OwnedFd>)> {
    let broker = broker.map(|it| path("broker", "None or the path of a socket", it)).transpose()?;
    match (broker, sudo) {
        (Some(_), true) => Err(PyValueError::new_err("sudo=True and broker are two ways to the same: choose one")),
        (Some(path), false) => ask(py, "by_broker", (path.into_os_string(), request(py, config, asked)?), config),
        (None, false) => Ok((py.detach(|| crate::load::load(config))?, None)),
        (None, true) => match py.detach(|| crate::load::load(config)) {
            Err(error) if is_refusal(&error) && !is_root() => {
                ask(py, "by_sudo", (request(py, config, asked)?,), config)
            }
            loaded => Ok((loaded?, None)),
        },
    }
}

fn is_root() -> bool {
    // SAFETY: it has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Permission(_) => true,
        Error::Os { source, .. } => source.kind() == ErrorKind::PermissionDenied,
        _ => false,
    }
}

/// Asks the function of this name for loaded programs. Gives them, checked, with the connection to keep.
fn ask<'py>(
    py: Python<'py>,
    name: &str,
    arguments: impl PyCallArgs<'py>,
    config: &Config,
) -> PyResult<(Loaded, Option<OwnedFd>)> {
    // Python blocks signals when the descriptors arrive: no handler runs before they have an owner.
    let _mask = Mask::current();
    let ((slots, rows, maps, links, programs), connection): (LoadedFds, Option<RawFd>) =
        late::call(py, name, arguments).map_err(|error| with_parts(py, error))?.extract()?;
    // SAFETY: Python has received these for us, and keeps none of them.
    let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
    let [ring, counters, live] = maps.map(own);
    let (links, programs): (Vec<_>, Vec<_>) =
        (links.into_iter().map(own).collect(), programs.into_iter().map(own).collect());
    let connection = connection.map(own);
    let links = links.into_iter().map(CloseOnForkFd::new).collect::<crate::error::Result<_>>()?;
    let coverage = rows.into_iter().map(part).collect::<PyResult<_>>()?;
    let attached = Attached { links, programs, coverage };
    let loaded = Loaded { ring, counters, live, ring_bytes: config.ring_bytes as usize, slots, attached };
    loaded.check()?;
    Ok((loaded, connection))
}

fn part((name, hook, reason): Row) -> PyResult<HookCoverage> {
    let known = coverage::ALL.into_iter().find(|known| *known == name);
    let name = known.ok_or_else(|| Error::HandedOver(format!("it covers {name:?}, which nothing does")))?;
    Ok(HookCoverage { name, hook, reason })
}

/// Loads and attaches for another process, whose id `without` is to be left out. It sees only what the user `owner` does,
/// if there is one.
#[pyfunction]
#[pyo3(name = "_load", signature = (*, syscalls, when, buffers, results, fields, pid, follow, uid, comm, cgroup, path, hook, ring_bytes, without, owner, tell_cgroups))]
#[expect(clippy::too_many_arguments, reason = "they are Python's keyword arguments")]
pub(crate) fn load(
    py: Python<'_>,
    syscalls: &Bound<'_, PyAny>,
    when: &str,
    buffers: &Bound<'_, PyAny>,
    results: bool,
    fields: &Bound<'_, PyAny>,
    pid: OptArg<'_, '_>,
    follow: bool,
    uid: OptArg<'_, '_>,
    comm: OptArg<'_, '_>,
    cgroup: OptArg<'_, '_>,
    path: OptArg<'_, '_>,
    hook: &str,
    ring_bytes: &Bound<'_, PyAny>,
    without: Option<u32>,
    owner: Option<u32>,
    tell_cgroups: bool,
) -> PyResult<LoadedFds> {
    let who =
        FilterKwargs { pid, follow, uid, comm, cgroup, path, exclude_self: false, outcome: "any", looks_up: false };
    let asked = who.asked()?;
    let mut filters = py.detach(|| Filters::new(asked))?;
    match without {
        Some(0) => return Err(PyValueError::new_err("exclude_self: the caller has no process id here")),
        Some(pid) => filters.leave_out(pid)?,
        None => {}
    }
    if let Some(owner) = owner {
        filters.limit_to(owner);
    }
    let mut config = Config::new(
        &names("syscalls", syscalls)?,
        When::from_name(when)?,
        buffer_bytes(buffers)?,
        results,
        Fields::from_names(&names("fields", fields)?)?,
        Hook::from_name(hook)?,
        filters,
        int_arg("ring_bytes", ring_bytes)?,
        1 << 16,
    )?;
    config.tell_cgroups = tell_cgroups;
    let Loaded { ring, counters, live, slots, attached, .. } = py.detach(|| crate::load::load(&config))?;
    let rows = attached.coverage.into_iter().map(|part| (part.name.to_owned(), part.hook, part.reason)).collect();
    let links = attached.links.into_iter().map(|link| link.release().into_raw_fd()).collect();
    let programs = attached.programs.into_iter().map(IntoRawFd::into_raw_fd).collect();
    Ok((slots, rows, [ring, counters, live].map(IntoRawFd::into_raw_fd), links, programs))
}
