//! What Python passes to a method, checked.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString};

use crate::filters::{Asked, Cgroup, Filters};
use crate::refine::Outcome;

/// An int argument; anything else is refused by name, and what no machine word holds by its value.
pub(crate) fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err(format!("{name} must be an int, not {}", value.get_type().name()?)));
    }
    value.extract().map_err(|_| PyValueError::new_err(format!("{name} is out of range: {value}")))
}

/// How many to take at the most.
pub(crate) fn most(name: &str, value: Option<&Bound<'_, PyAny>>, default: usize) -> PyResult<usize> {
    let Some(value) = value else { return Ok(default) };
    let most = whole(name, value)?;
    usize::try_from(most)
        .ok()
        .filter(|most| *most > 0)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be at least 1, not {most}")))
}

/// An iterable of names. A lone str is one, too, but of letters: never what was meant.
pub(crate) fn names(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("{argument} must be an iterable of names, not a str")));
    }
    value.try_iter()?.map(|name| name?.extract()).collect()
}

/// One value, or an iterable of them; `None` when there is none.
fn several<T>(
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
    one: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<Vec<T>>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Ok(Some(vec![one(value)?]));
    }
    match value.try_iter() {
        Ok(values) => values.map(|value| one(&value?)).collect::<PyResult<_>>().map(Some),
        // What is wrong with it, its own check says best.
        Err(_) => Ok(Some(vec![one(value).map_err(|error| named(name, error, value))?])),
    }
}

/// Of an exception that says only what the type is not.
fn named(name: &str, error: PyErr, value: &Bound<'_, PyAny>) -> PyErr {
    let py = value.py();
    if !error.is_instance_of::<PyTypeError>(py) || error.to_string().contains(name) {
        return error;
    }
    value.get_type().name().map_or(error, |kind| PyTypeError::new_err(format!("{name} cannot be of type {kind}")))
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    value.extract().map_err(|error| named(name, error, value))
}

fn cgroup(value: &Bound<'_, PyAny>) -> PyResult<Cgroup> {
    if value.is_instance_of::<PyInt>() {
        let id = u64::try_from(whole("cgroup", value)?);
        return id.map(Cgroup::Id).map_err(|_| PyValueError::new_err(format!("cgroup is out of range: {value}")));
    }
    let path: PathBuf = value.extract().map_err(|error| named("cgroup", error, value))?;
    Ok(Cgroup::Path(path.into()))
}

fn path(value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    let path: PathBuf = value.extract().map_err(|error| named("path", error, value))?;
    Ok(path.into())
}

fn outcome(value: &str) -> PyResult<Outcome> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == value).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::as_str).join(", ");
        PyValueError::new_err(format!("unknown outcome {value:?}: there are {known}"))
    })
}

/// Whose calls are wanted.
pub(crate) struct Who<'a, 'py> {
    pub(crate) pid: Option<&'a Bound<'py, PyAny>>,
    pub(crate) follow: bool,
    pub(crate) uid: Option<&'a Bound<'py, PyAny>>,
    pub(crate) comm: Option<&'a Bound<'py, PyAny>>,
    pub(crate) cgroup: Option<&'a Bound<'py, PyAny>>,
    pub(crate) path: Option<&'a Bound<'py, PyAny>>,
    pub(crate) exclude_self: bool,
    pub(crate) outcome: &'a str,
}

impl Who<'_, '_> {
    pub(crate) fn check(&self) -> PyResult<Filters> {
        Ok(Filters::new(self.asked()?)?)
    }

    pub(crate) fn asked(&self) -> PyResult<Asked> {
        Ok(Asked {
            pid: several("pid", self.pid, |pid| whole("pid", pid))?,
            follow: self.follow,
            uid: several("uid", self.uid, |uid| whole("uid", uid))?,
            comm: several("comm", self.comm, |comm| text("comm", comm))?,
            cgroup: several("cgroup", self.cgroup, cgroup)?,
            path: several("path", self.path, path)?,
            exclude_self: self.exclude_self,
            outcome: outcome(self.outcome)?,
        })
    }
}

/// When a wait that starts now ends; `None` is never.
pub(crate) fn deadline(name: &str, seconds: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(seconds) = seconds else { return Ok(None) };
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be None or a number of seconds >= 0, not {seconds:?}")));
    }
    // What does not fit is centuries away.
    Ok(Duration::try_from_secs_f64(seconds).ok().and_then(|wait| Instant::now().checked_add(wait)))
}
