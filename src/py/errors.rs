//! The Python exceptions, and which error becomes which.

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

/// The command that a user without the privilege is to run.
fn sudo_hint(py: Python<'_>) -> String {
    interpreter(py).map_or_else(|_| String::new(), |path| format!(". Run it with: sudo {path}"))
}

/// What looks at everything that can stand in the way, where one error has named one thing.
fn check_hint(py: Python<'_>) -> String {
    // Debian has no program "python".
    let path = interpreter(py).unwrap_or_else(|_| "python3".into());
    format!(". To see what this host allows, run: {path} -m rawtp check")
}

/// A `MemoryError`. It is made while there may be no memory for its text: then it has none.
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

/// Whether there is memory for a few small objects of Python's, whose makers in `PyO3` panic without.
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
            Error::Permission(_) => {
                Python::attach(|py| PyPermissionError::new_err(message + &sudo_hint(py) + &check_hint(py)))
            }
            Error::UnsupportedKernel(_) => {
                Python::attach(|py| UnsupportedKernelError::new_err(message + &check_hint(py)))
            }
            Error::Load { verifier_log, .. } => Python::attach(|py| {
                let error = LoadError::new_err(message);
                error.value(py).setattr("verifier_log", verifier_log).map_or_else(|failure| failure, |()| error)
            }),
            Error::Os { source, .. } => match source.raw_os_error() {
                // Python makes a PermissionError of these.
                Some(errno @ (libc::EPERM | libc::EACCES)) => {
                    Python::attach(|py| PyOSError::new_err((errno, message + &check_hint(py))))
                }
                Some(errno) => PyOSError::new_err((errno, message)),
                None => PyOSError::new_err(message),
            },
            Error::HandedOver(_) | Error::Malformed(_) | Error::Columns(_) => RawtpError::new_err(message),
        }
    }
}
