//! A tracer in two halves: the one with privilege loads and attaches, in another process; the other one reads.

use std::io::ErrorKind;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{Optional, Who, names, path, whole};
use crate::attach::Attached;
use crate::config::Config;
use crate::coverage::{self, Part};
use crate::error::Error;
use crate::fields::{Fields, Key};
use crate::filters::{Asked, Filters};
use crate::fork::Link;
use crate::hook::Hook;
use crate::loaded::Loaded;
use crate::probe;
use crate::signals::Mask;

/// Name, hook, reason.
type Row = (String, Option<String>, Option<String>);

/// Slots, coverage, and descriptors of the caller's: ring, counters and switch; links; programs.
type Given = (usize, Vec<Row>, [RawFd; 3], Vec<RawFd>, Vec<RawFd>);

/// What the other process is asked for: the arguments of its `_load`. What user space decides stays here.
pub(crate) fn request<'py>(py: Python<'py>, config: &Config, asked: &Asked) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item("syscalls", config.syscalls.iter().map(|call| call.name).collect::<Vec<_>>())?;
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

/// Loads and attaches, or has it done.
pub(crate) fn obtain(
    py: Python<'_>,
    config: &Config,
    asked: &Asked,
    sudo: bool,
    broker: Optional<'_, '_>,
) -> PyResult<(Loaded, Option<OwnedFd>)> {
    let broker = broker.map(|it| path("broker", "None or the path of a socket", it)).transpose()?;
    match (broker, sudo) {
        (Some(_), true) => Err(PyValueError::new_err("sudo=True and broker are two ways to the same: choose one")),
        (Some(path), false) => ask(
            &py.import("rawtp._privilege.broker_client")?,
            (path.into_os_string(), request(py, config, asked)?),
            config,
        ),
        (None, false) => Ok((py.detach(|| probe::load(config))?, None)),
        (None, true) => match py.detach(|| probe::load(config)) {
            Err(error) if is_refusal(&error) && !is_root() => {
                ask(&py.import("rawtp._privilege.sudo")?, (request(py, config, asked)?,), config)
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

/// Asks the module's `obtain`, and gives what it gave, checked, with the connection to keep.
fn ask<'py>(
    module: &Bound<'py, PyModule>,
    arguments: impl PyCallArgs<'py>,
    config: &Config,
) -> PyResult<(Loaded, Option<OwnedFd>)> {
    // Signals are blocked from the moment at which the descriptors come: no handler runs before somebody owns them.
    let _mask = Mask::current();
    let ((slots, rows, maps, links, programs), connection): (Given, Option<RawFd>) =
        module.call_method1("obtain", arguments)?.extract()?;
    // SAFETY: Python has received these for us, and keeps none of them.
    let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
    let [ring, counters, switch] = maps.map(own);
    let (links, programs): (Vec<_>, Vec<_>) =
        (links.into_iter().map(own).collect(), programs.into_iter().map(own).collect());
    let connection = connection.map(own);
    let links = links.into_iter().map(Link::new).collect::<crate::error::Result<_>>()?;
    let coverage = rows.into_iter().map(part).collect::<PyResult<_>>()?;
    let attached = Attached { links, programs, coverage };
    let loaded = Loaded { ring, counters, switch, ring_bytes: config.ring_bytes as usize, slots, attached };
    loaded.check()?;
    Ok((loaded, connection))
}

fn part((name, hook, reason): Row) -> PyResult<Part> {
    let known = coverage::ALL.into_iter().find(|known| *known == name);
    let name = known.ok_or_else(|| Error::HandedOver(format!("it covers {name:?}, which nothing does")))?;
    Ok(Part { name, hook, reason })
}

/// Loads and attaches for another process, whose id `without` is to be left out.
#[pyfunction]
#[pyo3(name = "_load", signature = (*, syscalls, results, fields, pid, follow, uid, comm, cgroup, path, hook, ring_bytes, without, tell_cgroups))]
#[expect(clippy::too_many_arguments, reason = "they are Python's keyword arguments")]
pub(crate) fn load(
    py: Python<'_>,
    syscalls: &Bound<'_, PyAny>,
    results: bool,
    fields: &Bound<'_, PyAny>,
    pid: Optional<'_, '_>,
    follow: bool,
    uid: Optional<'_, '_>,
    comm: Optional<'_, '_>,
    cgroup: Optional<'_, '_>,
    path: Optional<'_, '_>,
    hook: &str,
    ring_bytes: &Bound<'_, PyAny>,
    without: Option<u32>,
    tell_cgroups: bool,
) -> PyResult<Given> {
    let who = Who { pid, follow, uid, comm, cgroup, path, exclude_self: false, outcome: "any", looks_up: false };
    let asked = who.asked()?;
    let mut filters = py.detach(|| Filters::new(asked))?;
    match without {
        Some(0) => return Err(PyValueError::new_err("exclude_self: the caller has no process id here")),
        Some(pid) => filters.leave_out(pid)?,
        None => {}
    }
    let mut config = Config::new(
        &names("syscalls", syscalls)?,
        results,
        Fields::of(&names("fields", fields)?)?,
        Hook::of(hook)?,
        filters,
        whole("ring_bytes", ring_bytes)?,
        1 << 16,
    )?;
    config.tell_cgroups = tell_cgroups;
    let Loaded { ring, counters, switch, slots, attached, .. } = py.detach(|| probe::load(&config))?;
    let rows = attached.coverage.into_iter().map(|part| (part.name.to_owned(), part.hook, part.reason)).collect();
    let links = attached.links.into_iter().map(|link| link.release().into_raw_fd()).collect();
    let programs = attached.programs.into_iter().map(IntoRawFd::into_raw_fd).collect();
    Ok((slots, rows, [ring, counters, switch].map(IntoRawFd::into_raw_fd), links, programs))
}
