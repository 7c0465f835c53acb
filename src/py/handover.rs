//! A tracer, or another reader, in two processes: one with privilege loads and attaches the programs, the other reads.

use std::io::ErrorKind;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::Config;
use crate::config::filters::{FilterArgs, Filters};
use crate::config::hook::Hook;
use crate::config::when::When;
use crate::error::{Error, Result};
use crate::fields::{Fields, Key};
use crate::load::attach::Attached;
use crate::load::coverage::{self, HookCoverage};
use crate::load::loaded::Loaded;
use crate::mounts::host_root::HostRoot;
use crate::py::args::{Arg, FilterKwargs, OptArg, int_arg, names, path};
use crate::py::errors::with_parts;
use crate::py::late;
use crate::py::watched::buffer_bytes;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::signals::Mask;

/// Name, hook, reason.
type Row = (String, Option<String>, Option<String>);

/// Slots, coverage, and descriptors that the caller owns: maps, which are a ring, counters and the live configuration of
/// what sends events; links; programs.
pub(crate) type LoadedFds = (usize, Vec<Row>, Vec<RawFd>, Vec<RawFd>, Vec<RawFd>);

/// The same as this process owns it.
pub(crate) struct HandedOver {
    pub(crate) slots: usize,
    pub(crate) coverage: Vec<HookCoverage>,
    pub(crate) maps: Vec<OwnedFd>,
    pub(crate) links: Vec<CloseOnForkFd>,
    pub(crate) programs: Vec<OwnedFd>,
}

impl HandedOver {
    /// Takes it for what a session needs.
    pub(crate) fn session(self, ring_bytes: u32) -> PyResult<Loaded> {
        let Self { slots, coverage, maps, links, programs } = self;
        let [ring, counters, live] =
            maps.try_into().map_err(|_| Error::HandedOver("it has another number of maps".into()))?;
        let attached = Attached { links, programs, coverage };
        let loaded = Loaded { ring, counters, live, ring_bytes: ring_bytes as usize, slots, attached };
        loaded.check()?;
        Ok(loaded)
    }
}

/// Who loads: this process, sudo, or a broker.
pub(crate) struct Loader {
    sudo: bool,
    broker: Option<PathBuf>,
}

impl Loader {
    pub(crate) fn of(sudo: Arg<'_, '_>, broker: OptArg<'_, '_>) -> PyResult<Self> {
        let (sudo, broker) = (
            sudo.flag("sudo", false)?,
            broker.map(|it| path("broker", "None or the path of a socket", it)).transpose()?,
        );
        if sudo && broker.is_some() {
            return Err(PyValueError::new_err("sudo=True and broker are two ways to the same: choose one"));
        }
        Ok(Self { sudo, broker })
    }

    /// Whether a broker is to load, or sudo where this process may not.
    pub(crate) fn is_other(&self) -> bool {
        self.broker.is_some() || self.sudo && !is_root()
    }

    /// Loads by `load` in this process, or has another one load what `request` says. Gives the connection to keep, too.
    pub(crate) fn load<'py, T: Send>(
        self,
        py: Python<'py>,
        load: impl FnOnce() -> Result<T> + Send,
        request: impl FnOnce() -> PyResult<Bound<'py, PyDict>>,
        adopt: impl FnOnce(HandedOver) -> PyResult<T>,
    ) -> PyResult<(T, Option<OwnedFd>)> {
        let (handed, connection) = match self.broker {
            Some(path) => ask(py, "by_broker", (path.into_os_string(), request()?))?,
            None => match py.detach(load) {
                Err(error) if self.sudo && is_refusal(&error) && !is_root() => ask(py, "by_sudo", (request()?,))?,
                loaded => return Ok((loaded?, None)),
            },
        };
        Ok((adopt(handed)?, connection))
    }
}

/// The request to the other process: the arguments of its `_load`. Filters that user space decides stay here.
pub(crate) fn request<'py>(py: Python<'py>, config: &Config, asked: &FilterArgs) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item("kind", "tracer")?;
    request.set_item("syscalls", config.syscalls.iter().map(|call| call.name).collect::<Vec<_>>())?;
    request.set_item("are_all", config.are_all)?;
    request.set_item("when", config.when.as_str())?;
    request.set_item("buffers", config.buffers)?;
    request.set_item("results", config.results)?;
    request.set_item("fields", config.fields.keys().map(Key::as_str).collect::<Vec<_>>())?;
    set_filters(&request, &config.filters, asked)?;
    // What a path means was looked up here, and is not looked up there.
    request.set_item("path", config.filters.path_patterns())?;
    request.set_item("hook", config.hook.as_str())?;
    request.set_item("ring_bytes", config.ring_bytes)?;
    Ok(request)
}

/// Sets the filters by process.
pub(crate) fn set_filters(request: &Bound<'_, PyDict>, filters: &Filters, asked: &FilterArgs) -> PyResult<()> {
    request.set_item("pid", &asked.pid)?;
    request.set_item("follow", asked.follow)?;
    request.set_item("from_exec", asked.from_exec)?;
    request.set_item("uid", &asked.uid)?;
    request.set_item("comm", &asked.comm)?;
    // By number: what paths there are is not to be found out by asking who may see more.
    request.set_item("cgroup", Some(filters.cgroup_ids()?).filter(|ids| !ids.is_empty()))?;
    request.set_item("exclude_self", asked.exclude_self)
}

/// Loads and attaches the programs of a tracer, or has sudo or a broker do it.
pub(crate) fn obtain(
    py: Python<'_>,
    config: &Config,
    asked: &FilterArgs,
    loader: Loader,
) -> PyResult<(Loaded, Option<OwnedFd>)> {
    loader.load(
        py,
        || crate::load::load(config),
        || request(py, config, asked),
        |handed| handed.session(config.ring_bytes),
    )
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

/// Asks the function of this name for loaded programs. Gives them with the connection to keep.
fn ask<'py>(py: Python<'py>, name: &str, arguments: impl PyCallArgs<'py>) -> PyResult<(HandedOver, Option<OwnedFd>)> {
    // Python blocks signals when the descriptors arrive: no handler runs before they have an owner.
    let _mask = Mask::current();
    let ((slots, rows, maps, links, programs), connection): (LoadedFds, Option<RawFd>) =
        late::call(py, name, arguments).map_err(|error| with_parts(py, error))?.extract()?;
    // SAFETY: Python has received these for us, and keeps none of them.
    let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
    let [maps, links, programs]: [Vec<_>; 3] = [maps, links, programs].map(|fds| fds.into_iter().map(own).collect());
    let connection = connection.map(own);
    let links = links.into_iter().map(CloseOnForkFd::new).collect::<Result<_>>()?;
    let coverage = rows.into_iter().map(part).collect::<PyResult<_>>()?;
    Ok((HandedOver { slots, coverage, maps, links, programs }, connection))
}

fn part((name, hook, reason): Row) -> PyResult<HookCoverage> {
    let known = coverage::ALL.into_iter().find(|known| *known == name);
    let name = known.ok_or_else(|| Error::HandedOver(format!("it covers {name:?}, which nothing does")))?;
    Ok(HookCoverage { name, hook, reason })
}

/// Loads and attaches for another process, whose id `without` is to be left out. It sees only what the user `owner` does,
/// if there is one.
#[pyfunction]
#[pyo3(name = "_load", signature = (*, syscalls, are_all, when, buffers, results, fields, pid, follow, from_exec, uid, comm, cgroup, path, hook, ring_bytes, without, owner, tell_cgroups))]
#[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "they are Python's keyword arguments")]
pub(crate) fn load(
    py: Python<'_>,
    syscalls: &Bound<'_, PyAny>,
    are_all: bool,
    when: &str,
    buffers: &Bound<'_, PyAny>,
    results: bool,
    fields: &Bound<'_, PyAny>,
    pid: OptArg<'_, '_>,
    follow: bool,
    from_exec: bool,
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
    let who = FilterKwargs {
        pid,
        follow,
        from_exec,
        uid,
        comm,
        cgroup,
        path,
        exclude_self: false,
        outcome: "any",
        looks_up: false,
        // The other process finds out where paths lead.
        host_root: HostRoot::default(),
    };
    let asked = who.asked()?;
    let mut filters = py.detach(|| Filters::new(asked))?;
    limit(&mut filters, without, owner)?;
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
    config.are_all = are_all;
    Ok(hand_over(py.detach(|| crate::load::load(&config))?))
}

/// Gives what was loaded to Python.
pub(crate) fn hand_over(loaded: Loaded) -> LoadedFds {
    let Loaded { ring, counters, live, slots, attached, .. } = loaded;
    let rows = attached.coverage.into_iter().map(|part| (part.name.to_owned(), part.hook, part.reason)).collect();
    let maps = vec![ring, counters, live];
    (slots, rows, numbers(maps), numbers(released(attached.links)), numbers(attached.programs))
}

/// Gives links up, which then stay attached for as long as their descriptors are open.
pub(crate) fn released(links: Vec<CloseOnForkFd>) -> Vec<OwnedFd> {
    links.into_iter().map(CloseOnForkFd::release).collect()
}

/// Gives descriptors to Python.
pub(crate) fn numbers(fds: Vec<OwnedFd>) -> Vec<RawFd> {
    fds.into_iter().map(IntoRawFd::into_raw_fd).collect()
}

/// Leaves out another process, whose id is `without`, and all users but `owner`, if there is one.
pub(crate) fn limit(filters: &mut Filters, without: Option<u32>, owner: Option<u32>) -> PyResult<()> {
    match without {
        Some(0) => return Err(PyValueError::new_err("exclude_self: the caller has no process id here")),
        Some(pid) => filters.leave_out(pid)?,
        None => {}
    }
    if let Some(owner) = owner {
        filters.limit_to(owner);
    }
    Ok(())
}
