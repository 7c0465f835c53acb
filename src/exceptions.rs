//! The Python exceptions, and which error becomes which.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

create_exception!(rawtp, RawtpError, PyException, "The base of rawtp's own errors.");
create_exception!(
    rawtp,
    LoadError,
    RawtpError,
    "The kernel refused a BPF program. `verifier_log` (str) holds what its verifier printed, or \"\"."
);
create_exception!(
    rawtp,
    UnsupportedKernelError,
    RawtpError,
    "The running kernel lacks something that rawtp cannot do without; the message names it."
);

/// The command that a user without the privilege is to run.
fn sudo_hint(py: Python<'_>) -> String {
    let executable =
        py.import("sys").and_then(|sys| sys.getattr("executable")).and_then(|path| path.extract::<String>());
    executable.map_or_else(|_| String::new(), |path| format!(". Run it with: sudo {path}"))
}

/// What looks at everything that can stand in the way, where one error has named one thing.
const CHECK_HINT: &str = ". To see what this host allows, run: python -m rawtp check";

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Value(_) => PyValueError::new_err(message),
            Error::Permission(_) => {
                Python::attach(|py| PyPermissionError::new_err(message + &sudo_hint(py) + CHECK_HINT))
            }
            Error::UnsupportedKernel(_) => UnsupportedKernelError::new_err(message + CHECK_HINT),
            Error::Load { verifier_log, .. } => Python::attach(|py| {
                let error = LoadError::new_err(message);
                error.value(py).setattr("verifier_log", verifier_log).map_or_else(|failure| failure, |()| error)
            }),
            Error::Os { source, .. } => match source.raw_os_error() {
                // Python makes a PermissionError of these.
                Some(errno @ (libc::EPERM | libc::EACCES)) => PyOSError::new_err((errno, message + CHECK_HINT)),
                Some(errno) => PyOSError::new_err((errno, message)),
                None => PyOSError::new_err(message),
            },
            Error::HandedOver(_) | Error::Malformed(_) | Error::Columns(_) => RawtpError::new_err(message),
        }
    }
}
