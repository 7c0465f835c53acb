//! Checks the arguments that Python passes to a method.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString};

use crate::config::filter_values::Cgroup;
use crate::config::filters::FilterArgs;
use crate::config::outcome::Outcome;
use crate::mounts::host_root::HostRoot;
use crate::syscall::{self, ALL_CALLS, GROUPS, groups};

/// An int argument.
///
/// # Errors
///
/// `TypeError` names the argument, `ValueError` an int that no machine word holds.
pub(crate) fn int_arg(name: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err(format!("{name} must be an int, not {}", value.get_type().name()?)));
    }
    value.extract().map_err(|_| PyValueError::new_err(format!("{name} is out of range: {value}")))
}

/// A count argument: an int from 1 up.
pub(crate) fn count_arg(name: &str, value: OptArg<'_, '_>, default: usize) -> PyResult<usize> {
    let Some(value) = value else { return Ok(default) };
    let count = int_arg(name, value)?;
    usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be at least 1, not {count}")))
}

/// An argument that may be left out, or be None.
pub(crate) type OptArg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// An argument that may be left out, but not be None. pyo3's own checks do not name the argument in their messages.
pub(crate) struct Arg<'a, 'py>(pub(crate) Option<Borrowed<'a, 'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Arg<'a, 'py> {
    type Error = Infallible;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(value)))
    }
}

impl<'a, 'py> Arg<'a, 'py> {
    /// The value, or the default of an argument that was not given.
    fn or<T: FromPyObject<'a, 'py>>(self, default: T, name: &str, wanted: &str) -> PyResult<T> {
        let Some(value) = self.0 else { return Ok(default) };
        value.extract().map_err(|error: T::Error| refused(name, wanted, error.into(), &value))
    }

    pub(crate) fn flag(self, name: &str, default: bool) -> PyResult<bool> {
        self.or(default, name, "True or False")
    }

    pub(crate) fn word(self, name: &str, default: &str) -> PyResult<String> {
        self.or(default.to_owned(), name, "a str")
    }
}

/// Replaces a `TypeError` by one that names the argument.
pub(crate) fn refused(name: &str, wanted: &str, error: PyErr, value: &Bound<'_, PyAny>) -> PyErr {
    if !error.is_instance_of::<PyTypeError>(value.py()) {
        return error;
    }
    let kind = value.get_type().name();
    kind.map_or(error, |kind| PyTypeError::new_err(format!("{name} must be {wanted}, not {kind}")))
}

/// An iterable of names. A lone str is refused: it is an iterable too, but of letters.
pub(crate) fn names(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("{argument} must be an iterable of names, not a str")));
    }
    let names = value.try_iter().map_err(|error| refused(argument, "an iterable of names", error, value))?;
    names
        .map(|name| {
            let name = name?;
            name.extract().map_err(|error| refused(&format!("a name in {argument}"), "a str", error, &name))
        })
        .collect()
}

/// Names of system calls.
pub(crate) struct Calls {
    pub(crate) names: Vec<String>,
    /// Whether they are all there are.
    pub(crate) are_all: bool,
    /// Whether a word stands for them that means every call of that name.
    pub(crate) is_each: bool,
}

/// Names of system calls and words for groups of them. A single word may stand alone.
pub(crate) fn calls(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Calls> {
    let find = |groups: &[(&str, &'static [&'static str])], name: &str| {
        groups.iter().find(|(word, _)| *word == name).map(|(_, calls)| *calls)
    };
    let group = |name: &str| find(GROUPS, name).or_else(|| find(groups::GROUPS, name));
    let given = match value.extract::<String>() {
        Ok(word) if group(&word).is_some() || word == ALL_CALLS => vec![word],
        Ok(_) => {
            let words: Vec<_> = GROUPS.iter().chain(groups::GROUPS).map(|(word, _)| format!("\"{word}\"")).collect();
            return Err(PyTypeError::new_err(format!(
                "{argument} must be an iterable of names, not a str: [\"unlink\"], rawtp.DELETE, rawtp.LOSS or \
                 rawtp.FILE_CHANGES; or one of the words {} and \"{ALL_CALLS}\"",
                words.join(", ")
            )));
        }
        Err(_) => names(argument, value)?,
    };
    let are_all = given.iter().any(|name| name == ALL_CALLS);
    let is_each = are_all || given.iter().any(|name| find(groups::GROUPS, name).is_some());
    let each = |name: String| match group(&name) {
        Some(calls) => calls.iter().map(ToString::to_string).collect(),
        None if name == ALL_CALLS => syscall::names().map(ToString::to_string).collect(),
        None => vec![name],
    };
    Ok(Calls { names: given.into_iter().flat_map(each).collect(), are_all, is_each })
}

/// One value or an iterable of values; `None` when the argument was not given.
pub(crate) fn one_or_many<T>(
    value: OptArg<'_, '_>,
    one: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<Vec<T>>> {
    let Some(value) = value else { return Ok(None) };
    let is_one = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    match value.try_iter() {
        Ok(values) if !is_one => values.map(|value| one(&value?)).collect::<PyResult<_>>().map(Some),
        // The check of a single value says best what is wrong with it.
        _ => Ok(Some(vec![one(value)?])),
    }
}

fn comm(value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    value.extract().map_err(|error| refused("comm", "a str, or an iterable of them", error, value))
}

fn cgroup(value: &Bound<'_, PyAny>) -> PyResult<Cgroup> {
    if value.is_instance_of::<PyInt>() {
        let id = u64::try_from(int_arg("cgroup", value)?);
        return id.map(Cgroup::Id).map_err(|_| PyValueError::new_err(format!("cgroup is out of range: {value}")));
    }
    Ok(Cgroup::Path(path("cgroup", "a path, an id, or an iterable of them", value)?.into()))
}

/// A path argument.
pub(crate) fn path(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    value.extract().map_err(|error| refused(name, wanted, error, value))
}

fn outcome(value: &str) -> PyResult<Outcome> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == value).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::as_str).join(", ");
        PyValueError::new_err(format!("unknown outcome {value:?}: there are {known}"))
    })
}

/// The filters among `Tracer`'s keyword arguments.
#[expect(clippy::struct_excessive_bools, reason = "they are Python's keyword arguments")]
pub(crate) struct FilterKwargs<'a, 'py> {
    pub(crate) pid: OptArg<'a, 'py>,
    pub(crate) follow: bool,
    pub(crate) from_exec: bool,
    pub(crate) uid: OptArg<'a, 'py>,
    pub(crate) comm: OptArg<'a, 'py>,
    pub(crate) cgroup: OptArg<'a, 'py>,
    pub(crate) path: OptArg<'a, 'py>,
    pub(crate) exclude_self: bool,
    pub(crate) outcome: &'a str,
    pub(crate) looks_up: bool,
    pub(crate) host_root: HostRoot,
}

impl FilterKwargs<'_, '_> {
    pub(crate) fn asked(self) -> PyResult<FilterArgs> {
        Ok(FilterArgs {
            pid: one_or_many(self.pid, |pid| int_arg("pid", pid))?,
            follow: self.follow,
            from_exec: self.from_exec,
            uid: one_or_many(self.uid, |uid| int_arg("uid", uid))?,
            comm: one_or_many(self.comm, comm)?,
            cgroup: one_or_many(self.cgroup, cgroup)?,
            path: one_or_many(self.path, |it| Ok(path("path", "a path, or an iterable of them", it)?.into()))?,
            exclude_self: self.exclude_self,
            outcome: outcome(self.outcome)?,
            looks_up: self.looks_up,
            host_root: self.host_root,
        })
    }
}

/// A timeout in seconds; `None` is for ever.
pub(crate) fn timeout_arg(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<f64>> {
    let Some(value) = value else { return Ok(None) };
    let wanted = "None or a number of seconds >= 0";
    let seconds: f64 = value.extract().map_err(|error| refused(name, wanted, error, value))?;
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be {wanted}, not {seconds:?}")));
    }
    Ok(Some(seconds))
}

/// The end of a wait that starts now; `None` is never.
pub(crate) fn deadline(wait_s: Option<f64>) -> Option<Instant> {
    // A time that does not fit is centuries away.
    Duration::try_from_secs_f64(wait_s?).ok().and_then(|wait| Instant::now().checked_add(wait))
}
