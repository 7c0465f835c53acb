//! Captures libbpf's output for errors and keeps it off the terminal.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem;
use std::sync::Once;

use crate::error::Result;
use crate::load::diagnose::diagnose;
use crate::memory::fallible;

/// Buffer sizes for one message, tried in turn: libbpf's largest verifier log is 16 MiB, and it prints some more around
/// that. Without memory for that much, a smaller buffer does. Only the pages with text are touched. malloc does not
/// adapt its thresholds to a freed block above 32 MiB.
const ROOMS: [usize; 3] = [33 << 20, 256 << 10, 4 << 10];

/// How long a log may be before further messages are dropped. A single verifier log can be megabytes.
const LOG_BYTES: usize = 1 << 20;

thread_local! {
    /// libbpf's output on this thread, while a load wants it.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    /// The function of `stdio.h`. A `va_list` that is passed on is a pointer on every ABI that rawtp is built for.
    fn vsnprintf(text: *mut c_char, bytes: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// The callback for libbpf. `libbpf_rs::set_print` is not used because it makes a `String` of each message, which needs
/// memory that may be missing.
///
/// # Safety
///
/// libbpf calls it with a format and the arguments that the format asks for.
unsafe extern "C" fn capture(level: c_uint, format: *const c_char, arguments: *mut c_void) -> c_int {
    if level <= libbpf_sys::LIBBPF_INFO {
        // SAFETY: the caller guarantees the format and its arguments; the buffer has room for `bytes`.
        keep(|text, bytes| unsafe { vsnprintf(text, bytes, format, arguments) });
    }
    0
}

/// Adds the output of `print` to this thread's log. `print` writes and returns as `snprintf` does.
fn keep(print: impl FnOnce(*mut c_char, usize) -> c_int) {
    // A thread that ends may have freed its log already. Output that no load wants is dropped.
    let _ = LOG.try_with(|log| {
        let Ok(mut log) = log.try_borrow_mut() else { return };
        let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES) else { return };
        let Some(room) = ROOMS.into_iter().find(|&room| fallible(|| log.try_reserve_exact(room)).is_ok()) else {
            return;
        };
        // SAFETY: `room` bytes were reserved behind the log's end.
        let wanted = print(unsafe { log.as_mut_ptr().add(log.len()) }.cast(), room);
        // The NUL is written too, but does not count.
        let written = usize::try_from(wanted).map_or(0, |wanted| wanted.min(room - 1));
        // SAFETY: `written` bytes were written, which are fewer than were reserved.
        unsafe { log.set_len(log.len() + written) };
    });
}

/// Returns the log up to the first byte that is not UTF-8. It makes no copy, because there may be no memory for one.
fn text(mut log: Vec<u8>) -> String {
    let valid = log.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    log.truncate(valid);
    String::from_utf8(log).unwrap_or_default()
}

/// Runs a load and keeps libbpf's output for its error.
///
/// # Errors
///
/// Those of [`diagnose`].
pub fn with_log<T>(load: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T> {
    keep_off_stderr();
    LOG.set(Some(Vec::new()));
    let loaded = load();
    let log = LOG.take().unwrap_or_default();
    loaded.map_err(|error| diagnose(&error, &text(log)))
}

/// Takes over libbpf's output on all threads until the process ends.
///
/// The module calls this before anything else, because libbpf prints not only during loads. It also complains about an
/// unreadable `/sys/devices/system/cpu/possible` or a failed probe, on whatever thread asks.
pub fn keep_off_stderr() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // SAFETY: the function types differ only in the last argument, a pointer whose name differs by ABI.
        let capture = unsafe {
            mem::transmute::<
                unsafe extern "C" fn(c_uint, *const c_char, *mut c_void) -> c_int,
                libbpf_sys::libbpf_print_fn_t,
            >(capture)
        };
        // SAFETY: a function that lives as long as the process.
        unsafe { libbpf_sys::libbpf_set_print(capture) };
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn print(message: &CStr) {
        // SAFETY: there is room for `bytes`, NUL included, and the format asks for a C string.
        keep(|text, bytes| unsafe { libc::snprintf(text, bytes, c"%s".as_ptr(), message.as_ptr()) });
    }

    #[test]
    fn a_message_goes_to_the_log_of_its_thread_and_nowhere_else() {
        let elsewhere = || std::thread::spawn(|| print(c"libbpf: of another\n")).join();
        let failed = with_log(|| -> libbpf_rs::Result<()> {
            print(c"libbpf: the reason\n");
            elsewhere().expect("it does not panic");
            Err(libbpf_rs::Error::from_raw_os_error(libc::EIO))
        });
        let message = failed.expect_err("it failed").to_string();
        assert!(message.ends_with("(the reason)"), "{message}");
        print(c"libbpf: unwanted\n");
        assert_eq!(LOG.take(), None);
    }

    #[test]
    fn a_log_ends_before_the_first_byte_that_is_not_utf8() {
        assert_eq!(text(b"all of it\n".to_vec()), "all of it\n");
        assert_eq!(text(b"up to\xff here".to_vec()), "up to");
        assert_eq!(text(b"\xff".to_vec()), "");
        assert_eq!(text(Vec::new()), "");
    }
}
