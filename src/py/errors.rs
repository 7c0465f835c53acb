//! The Python exceptions, and the exception that each error becomes.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyPermissionError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::Error;
use crate::memory::{OutOfMemory, probe_step};

create_exception!(rawtp, RawtpError, PyException, py_doc!("RawtpError"));
create_exception!(rawtp, LoadError, RawtpError, py_doc!("LoadError"));
create_exception!(rawtp, UnsupportedKernelError, RawtpError, py_doc!("UnsupportedKernelError"));

/// The interpreter, for a shell.
fn interpreter(py: Python<'_>) -> PyResult<String> {
    let path = py.import("sys")?.getattr("executable")?;
    py.import("shlex")?.getattr("quote")?.call1((path,))?.extract()
}

/// The advice at the end of a message.
struct Advice {
    hint: String,
    /// The command that the hint names last.
    command: String,
}

/// Advises `rawtp check`, which looks at everything that can stand in the way, where one error has named one thing.
fn check(py: Python<'_>) -> Advice {
    // Debian has no program "python".
    let path = interpreter(py).unwrap_or_else(|_| "python3".into());
    let command = format!("{path} -m rawtp check");
    Advice { hint: format!("To see what this host allows, run: {command}"), command }
}

/// Advises sudo, and then `rawtp check`.
fn sudo_or_check(py: Python<'_>) -> Advice {
    let advice = check(py);
    match interpreter(py) {
        Ok(path) => Advice { hint: format!("Run it with: sudo {path}. {}", advice.hint), ..advice },
        Err(_) => advice,
    }
}

/// An exception whose text ends with advice, and whose attributes `reason`, `hint` and `command` are the parts of it.
fn advised(advise: impl FnOnce(Python<'_>) -> Advice, reason: &str, make: impl FnOnce(String) -> PyErr) -> PyErr {
    Python::attach(|py| {
        let Advice { hint, command } = advise(py);
        let error = make(format!("{reason}. {hint}"));
        let value = error.value(py);
        for (name, text) in [("reason", reason), ("hint", &hint), ("command", &command)] {
            // Without memory for an attribute the text alone has to do.
            let _ = value.setattr(name, text);
        }
        error
    })
}

/// A `PermissionError` of Python code, with the attributes of those that the extension raises.
pub(crate) fn with_parts(py: Python<'_>, error: PyErr) -> PyErr {
    let value = error.value(py);
    if error.is_instance_of::<PyPermissionError>(py) && !value.hasattr("reason").unwrap_or(true) {
        let text = value.getattr("strerror").ok().filter(|text| !text.is_none());
        // Without memory for an attribute the text alone has to do.
        let _ = value.setattr("reason", text.map_or_else(|| value.str().map(Bound::into_any), Ok).ok());
        for name in ["hint", "command"] {
            let _ = value.setattr(name, py.None());
        }
    }
    error
}

/// A `MemoryError`. Without memory for its text it has none.
fn memory_error(py: Python<'_>, text: &str) -> PyErr {
    // SAFETY: pointer and length are those of the text. The new string is ours, and the exception takes a reference of its own.
    // Where there is no string, that failure has set a MemoryError, one of those that Python keeps for this.
    unsafe {
        let text = ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed());
        if !text.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_MemoryError, text);
            ffi::Py_DECREF(text);
        }
    }
    PyErr::fetch(py)
}

/// Checks that there is memory for a few small Python objects, whose makers in `PyO3` panic without.
pub(crate) fn check_memory() -> PyResult<()> {
    probe_step().map_err(|_| Error::Memory("go on").into())
}

impl From<OutOfMemory> for PyErr {
    fn from(refused: OutOfMemory) -> Self {
        Error::from(refused).into()
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Memory(_) => Python::attach(|py| memory_error(py, &message)),
            Error::Value(_) => PyValueError::new_err(message),
            Error::Permission(_) => advised(sudo_or_check, &message, PyPermissionError::new_err),
            Error::UnsupportedKernel(_) => advised(check, &message, UnsupportedKernelError::new_err),
            Error::NoHook(_) => advised(check, &message, |text| PyOSError::new_err((libc::EOPNOTSUPP, text))),
            Error::Load { verifier_log, .. } => Python::attach(|py| {
                let see = if verifier_log.is_empty() { "" } else { "; see verifier_log" };
                let error = LoadError::new_err(format!("{message}{see}"));
                let value = error.value(py);
                let set = value.setattr("reason", message).and_then(|()| value.setattr("verifier_log", verifier_log));
                set.map_or_else(|failure| failure, |()| error)
            }),
            Error::Os { source, .. } => match source.raw_os_error() {
                // Python makes a PermissionError of these.
                Some(errno @ (libc::EPERM | libc::EACCES)) => {
                    advised(check, &message, |text| PyOSError::new_err((errno, text)))
                }
                Some(errno) => PyOSError::new_err((errno, message)),
                None => PyOSError::new_err(message),
            },
            Error::HandedOver(_) | Error::Damaged(_) | Error::Malformed(_) | Error::Columns(_) => {
                RawtpError::new_err(message)
            }
        }
    }
}
