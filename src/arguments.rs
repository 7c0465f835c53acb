//! What Python passes to a method, checked.

use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

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

/// When a wait that starts now ends; `None` is never.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(seconds) = timeout else { return Ok(None) };
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "timeout must be None or a number of seconds >= 0, not {seconds:?}"
        )));
    }
    // What does not fit is centuries away.
    Ok(Duration::try_from_secs_f64(seconds).ok().and_then(|wait| Instant::now().checked_add(wait)))
}
