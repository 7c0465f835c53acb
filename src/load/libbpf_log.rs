//! What libbpf prints, kept for errors and off the terminal.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem;
use std::sync::Once;

use crate::error::Result;
use crate::load::diagnose::diagnose;
use crate::memory::fallible;

/// What one message may take: libbpf's largest verifier log, 16 MiB, and what it prints around that; or less of it where there
/// is no memory for so much. Untouched but for the text. Above 32 MiB malloc draws no conclusions from a block that is freed.
const ROOMS: [usize; 3] = [33 << 20, 256 << 10, 4 << 10];

/// A verifier's log can be megabytes; after one of those no more is kept.
const LOG_BYTES: usize = 1 << 20;

thread_local! {
    /// What libbpf prints on this thread, while it is wanted.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    /// `stdio.h`'s. A `va_list` that is passed on is a pointer on every ABI that rawtp is built for.
    fn vsnprintf(text: *mut c_char, bytes: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// Not by `libbpf_rs::set_print`, which makes a `String` of each message and cannot do without the memory for it.
///
/// # Safety
///
/// To be called by libbpf, with a format and what it asks for.
unsafe extern "C" fn capture(level: c_uint, format: *const c_char, arguments: *mut c_void) -> c_int {
    if level <= libbpf_sys::LIBBPF_INFO {
        // SAFETY: the caller's promise; so many bytes there are.
        keep(|text, bytes| unsafe { vsnprintf(text, bytes, format, arguments) });
    }
    0
}

/// Adds to this thread's log what `print` writes: as `snprintf` does, and gives what that returns.
fn keep(print: impl FnOnce(*mut c_char, usize) -> c_int) {
    // A thread that ends may have given its log back already. What nobody wants is dropped.
    let _ = LOG.try_with(|log| {
        let Ok(mut log) = log.try_borrow_mut() else { return };
        let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES) else { return };
        let Some(room) = ROOMS.into_iter().find(|&room| fallible(|| log.try_reserve_exact(room)).is_ok()) else {
            return;
        };
        // SAFETY: behind what there is, that much was reserved.
        let wanted = print(unsafe { log.as_mut_ptr().add(log.len()) }.cast(), room);
        // Without the NUL, which stands there too.
        let written = usize::try_from(wanted).map_or(0, |wanted| wanted.min(room - 1));
        // SAFETY: it has written so many, which is fewer than were reserved.
        unsafe { log.set_len(log.len() + written) };
    });
}

/// All up to the first byte that is not UTF-8, without a copy: there may be no memory for one.
fn text(mut log: Vec<u8>) -> String {
    let valid = log.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    log.truncate(valid);
    String::from_utf8(log).unwrap_or_default()
}

/// Runs a load with libbpf's messages kept for the error.
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

/// Takes libbpf's messages over, on all threads and to the end of the process.
///
/// The module does so before anything else: libbpf prints not only while it loads. Of an unreadable
/// `/sys/devices/system/cpu/possible` or of a failed probe it complains on whatever thread asks.
pub fn keep_off_stderr() {
    static TAKEN: Once = Once::new();
    TAKEN.call_once(|| {
        // SAFETY: the same function but for the type of its last argument, a pointer whose name differs by ABI.
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
        // SAFETY: so many bytes may be written, with their NUL; the format asks for a C string.
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
    fn a_log_ends_before_what_is_no_text() {
        assert_eq!(text(b"all of it\n".to_vec()), "all of it\n");
        assert_eq!(text(b"up to\xff here".to_vec()), "up to");
        assert_eq!(text(b"\xff".to_vec()), "");
        assert_eq!(text(Vec::new()), "");
    }
}
