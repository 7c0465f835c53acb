//! `rawtp._core.CallCounter`, of which `rawtp.Counts` is made.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::config::check_syscalls;
use crate::config::filters::{FilterArgs, Filters};
use crate::counts::columns::{CountRow, batch};
use crate::counts::counter::Counter;
use crate::counts::loaded::{LoadedCounts, Options, kernel_bytes};
use crate::counts::slots::Slots;
use crate::counts::upper_ns;
use crate::error::Error;
use crate::mounts::host_root::HostRoot;
use crate::py::args::{Arg, Calls, FilterKwargs, OptArg, calls, count_arg, names};
use crate::py::batch::{Batch, Keys};
use crate::py::dict::Decoder;
use crate::py::errors::check_memory;
use crate::py::handover::{HandedOver, LoadedFds, Loader, limit, numbers, released, set_filters};
use crate::py::objects;
use crate::sys::close_on_fork::generation;
use crate::sys::errno::name as name_of;
use crate::syscall;

/// The rows of processes that there is room for, when the caller does not say.
const MAX_ROWS: usize = 65_536;

/// A bound on that: a row of times takes some 400 bytes of the kernel's memory.
const MOST_ROWS: usize = 1 << 22;

#[doc = py_doc!("CallCounter")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct CallCounter {
    counter: Mutex<Counter>,
    begin: Instant,
    /// When it was detached.
    end: OnceLock<Instant>,
    generation: u64,
}

impl CallCounter {
    /// Whether this is a forked child. A thread of the parent's may have held the lock, which then never opens here.
    fn is_forked(&self) -> bool {
        generation() != self.generation
    }

    fn lock(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl CallCounter {
    #[new]
    #[expect(clippy::too_many_arguments, clippy::used_underscore_binding, reason = "Python's keyword arguments")]
    #[pyo3(signature = (syscalls=None, *, by_process=Arg(None), latency=Arg(None), pid=None, follow=Arg(None), uid=None,
                        comm=None, cgroup=None, exclude_self=Arg(None), max_rows=None, sudo=Arg(None), broker=None, _from_exec=Arg(None)),
           text_signature = "(syscalls=None, *, by_process=False, latency=False, pid=None, follow=False, uid=None, comm=None, cgroup=None, exclude_self=True, max_rows=65536, sudo=False, broker=None, _from_exec=False)")]
    fn new(
        py: Python<'_>,
        syscalls: OptArg<'_, '_>,
        by_process: Arg<'_, '_>,
        latency: Arg<'_, '_>,
        pid: OptArg<'_, '_>,
        follow: Arg<'_, '_>,
        uid: OptArg<'_, '_>,
        comm: OptArg<'_, '_>,
        cgroup: OptArg<'_, '_>,
        exclude_self: Arg<'_, '_>,
        max_rows: OptArg<'_, '_>,
        sudo: Arg<'_, '_>,
        broker: OptArg<'_, '_>,
        _from_exec: Arg<'_, '_>,
    ) -> PyResult<Self> {
        check_memory()?;
        let all = || Calls { names: syscall::names().map(ToString::to_string).collect(), are_all: true, is_each: true };
        let Calls { names, are_all, .. } = syscalls.map_or_else(|| Ok(all()), |it| calls("syscalls", it))?;
        let slots = Slots::new(&check_syscalls(&names)?, are_all);
        let route = Loader::of(sudo, broker)?;
        let max_rows = count_arg("max_rows", max_rows, MAX_ROWS)?;
        if max_rows > MOST_ROWS {
            return Err(PyValueError::new_err(format!("max_rows must be at most {MOST_ROWS}, not {max_rows}")));
        }
        let asked = FilterKwargs {
            pid,
            follow: follow.flag("follow", false)?,
            from_exec: _from_exec.flag("_from_exec", false)?,
            uid,
            comm,
            cgroup,
            path: None,
            exclude_self: exclude_self.flag("exclude_self", true)?,
            outcome: "any",
            looks_up: false,
            host_root: HostRoot::default(),
        }
        .asked()?;
        let (by_process, latency) = (by_process.flag("by_process", false)?, latency.flag("latency", false)?);
        if by_process && route.is_other() {
            return Err(PyValueError::new_err(
                "by=\"process\" takes privilege at each read, not only at the load: without it, choose processes by \
                 filters",
            ));
        }
        let filters = py.detach(|| Filters::new(asked.clone()))?;
        let options = Options { slots, filters, by_process, latency, max_rows: max_rows as u32 };
        let (loaded, connection) = route.load(
            py,
            || LoadedCounts::new(&options),
            || request(py, (&names, are_all), &options, &asked),
            |handed| handed_over(handed, &options),
        )?;
        let counter = Counter::new(loaded, options.slots, connection)?;
        Ok(Self { counter: Mutex::new(counter), begin: Instant::now(), end: OnceLock::new(), generation: generation() })
    }

    #[doc = py_doc!("CallCounter.read")]
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Found<'py>> {
        check_memory()?;
        if self.is_forked() {
            return Err(PyRuntimeError::new_err(
                "these counts belong to the process that began them; a forked child begins its own",
            ));
        }
        let (snapshot, known, seconds) = py.detach(|| {
            let counter = self.lock();
            let end = self.end.get().copied().unwrap_or_else(Instant::now);
            Ok::<_, PyErr>((
                counter.read()?,
                counter.slots().calls.clone(),
                end.duration_since(self.begin).as_secs_f64(),
            ))
        })?;
        let decoder = Decoder::new(py)?;
        let rows = objects::list(py)?;
        for row in &snapshot.rows {
            let Some((abi, name)) = known.get(row.slot) else { continue };
            let comm = row.process.as_ref().map(|process| decoder.text(py, &process.comm)).transpose()?;
            let times = row.times.as_ref();
            let histogram =
                times.map(|times| objects::tuple(py, times.buckets.iter(), |it| objects::unsigned(py, *it)));
            let errnos = objects::tuple(py, row.errnos.iter(), |(errno, count)| {
                let pair = [objects::text(py, name_of(*errno))?.into_any(), objects::unsigned(py, *count)?.into_any()];
                objects::tuple(py, pair.into_iter(), Ok)
            })?;
            let cells = [
                name.into_bound_py_any(py)?,
                abi.as_str().into_bound_py_any(py)?,
                row.process.as_ref().map(|process| process.pid).into_bound_py_any(py)?,
                comm.into_bound_py_any(py)?,
                row.calls.into_bound_py_any(py)?,
                row.errors.into_bound_py_any(py)?,
                errnos.into_any(),
                times.map(|times| times.total_ns).into_bound_py_any(py)?,
                times.map(|times| times.max_ns).into_bound_py_any(py)?,
                histogram.transpose()?.into_bound_py_any(py)?,
            ];
            rows.append(objects::tuple(py, cells.into_iter(), Ok)?)?;
        }
        Ok((seconds, snapshot.missed, snapshot.unfollowed, snapshot.ended, rows))
    }

    #[doc = py_doc!("CallCounter.close")]
    fn close(&self, py: Python<'_>) {
        if !self.is_forked() {
            py.detach(|| {
                self.lock().detach();
                self.end.get_or_init(Instant::now);
            });
        }
    }

    #[doc = py_doc!("CallCounter.closed")]
    #[getter]
    fn closed(&self) -> bool {
        self.end.get().is_some()
    }
}

/// The seconds, what was missed, what was not followed, why a broker has ended it, and the rows.
type Found<'py> = (f64, Option<u64>, u64, Option<String>, Bound<'py, PyList>);

/// The request to another process: the arguments of its `_load_counts`.
fn request<'py>(
    py: Python<'py>,
    (names, are_all): (&[String], bool),
    options: &Options,
    asked: &FilterArgs,
) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item("kind", "counts")?;
    request.set_item("syscalls", names)?;
    request.set_item("are_all", are_all)?;
    request.set_item("latency", options.latency)?;
    set_filters(&request, &options.filters, asked)?;
    Ok(request)
}

/// Takes what another process has loaded.
fn handed_over(handed: HandedOver, options: &Options) -> PyResult<LoadedCounts> {
    let HandedOver { slots: cpus, maps, links, programs, .. } = handed;
    let wrong = || Error::HandedOver("it has another number of maps".into());
    let mut maps = maps.into_iter();
    let (counts, errnos, times) = (maps.next(), maps.next(), maps.next());
    if times.is_some() != options.latency || maps.next().is_some() {
        return Err(wrong().into());
    }
    let (counts, errnos) = (counts.ok_or_else(wrong)?, errnos.ok_or_else(wrong)?);
    let loaded = LoadedCounts { cpus, counts, errnos, times, processes: None, programs, links };
    loaded.check(&options.slots)?;
    Ok(loaded)
}

/// Loads and attaches programs that count, for another process, whose id `without` is to be left out. They count only
/// what the user `owner` does, if there is one.
#[pyfunction]
#[pyo3(name = "_load_counts", signature = (*, syscalls, are_all, latency, pid, follow, from_exec, uid, comm, cgroup, without, owner))]
#[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "they are Python's keyword arguments")]
pub(crate) fn load_counts(
    py: Python<'_>,
    syscalls: &Bound<'_, PyAny>,
    are_all: bool,
    latency: bool,
    pid: OptArg<'_, '_>,
    follow: bool,
    from_exec: bool,
    uid: OptArg<'_, '_>,
    comm: OptArg<'_, '_>,
    cgroup: OptArg<'_, '_>,
    without: Option<u32>,
    owner: Option<u32>,
) -> PyResult<LoadedFds> {
    let who = FilterKwargs {
        pid,
        follow,
        from_exec,
        uid,
        comm,
        cgroup,
        path: None,
        exclude_self: false,
        outcome: "any",
        looks_up: false,
        host_root: HostRoot::default(),
    };
    let asked = who.asked()?;
    let mut filters = py.detach(|| Filters::new(asked))?;
    limit(&mut filters, without, owner)?;
    let slots = Slots::new(&check_syscalls(&names("syscalls", syscalls)?)?, are_all);
    let options = Options { slots, filters, by_process: false, latency, max_rows: 1 };
    let loaded = py.detach(|| LoadedCounts::new(&options))?;
    let maps = [loaded.counts, loaded.errnos].into_iter().chain(loaded.times).collect();
    Ok((loaded.cpus, Vec::new(), numbers(maps), numbers(released(loaded.links)), numbers(loaded.programs)))
}

/// A bound on the kernel's memory that counting by call takes, in bytes.
#[pyfunction]
#[pyo3(name = "_counts_bytes")]
pub(crate) fn counts_bytes(latency: bool) -> PyResult<u64> {
    let all: Vec<_> = syscall::names().filter_map(syscall::by_name).collect();
    Ok(kernel_bytes(&Slots::new(&all, true), latency)?)
}

type Cells = (
    Option<String>,
    String,
    Option<u32>,
    Option<OsString>,
    u64,
    u64,
    Vec<(String, u64)>,
    Option<u64>,
    Option<u64>,
    Option<Vec<u64>>,
);

/// Makes columns of rows.
#[pyfunction]
#[pyo3(name = "_count_columns")]
pub(crate) fn count_columns(py: Python<'_>, rows: Vec<Cells>) -> PyResult<Batch> {
    check_memory()?;
    let row = |(syscall, abi, pid, comm, calls, errors, errnos, total_ns, max_ns, histogram): Cells| CountRow {
        syscall,
        abi,
        pid,
        comm: comm.map(OsStringExt::into_vec),
        calls,
        errors,
        errnos,
        total_ns,
        max_ns,
        histogram,
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    Ok(Batch::new(py.detach(|| batch(&rows))?, Keys::Counts))
}

/// The upper bounds of the buckets in nanoseconds; `None` for the last one.
#[pyfunction]
#[pyo3(name = "_bucket_bounds")]
pub(crate) fn bucket_bounds(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    objects::tuple(py, 0..crate::counts::BUCKETS, |bucket| upper_ns(bucket).into_bound_py_any(py))
}
