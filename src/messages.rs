//! What libbpf prints, kept for errors and off the terminal.

use std::cell::RefCell;
use std::sync::Once;

use libbpf_rs::{PrintLevel, set_print};

use crate::error::Result;
use crate::refused::explain;

/// A verifier's log can be megabytes; its end tells why.
const LOG_BYTES: usize = 1 << 20;

thread_local! {
    /// What libbpf prints on this thread, while it is wanted.
    static LOG: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is libbpf-rs's")]
fn capture(_level: PrintLevel, text: String) {
    // A thread that ends may have given its log back already. What nobody wants is dropped.
    let _ = LOG.try_with(|log| {
        if let Ok(mut log) = log.try_borrow_mut()
            && let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES)
        {
            log.push_str(&text);
        }
    });
}

/// Runs a load with libbpf's messages kept for the error.
///
/// # Errors
///
/// Those of [`explain`].
pub fn logged<T>(load: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T> {
    keep_off_stderr();
    LOG.set(Some(String::new()));
    let loaded = load();
    let log = LOG.take().unwrap_or_default();
    loaded.map_err(|error| explain(&error, &log))
}

/// Takes libbpf's messages over, on all threads and to the end of the process.
///
/// The module does so before anything else: libbpf prints not only while it loads. Of an unreadable
/// `/sys/devices/system/cpu/possible` or of a failed probe it complains on whatever thread asks.
pub fn keep_off_stderr() {
    static TAKEN: Once = Once::new();
    TAKEN.call_once(|| {
        set_print(Some((PrintLevel::Info, capture)));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_to_the_log_of_its_thread_and_nowhere_else() {
        let elsewhere = || std::thread::spawn(|| capture(PrintLevel::Warn, "libbpf: of another\n".into())).join();
        let failed = logged(|| -> libbpf_rs::Result<()> {
            capture(PrintLevel::Warn, "libbpf: the reason\n".into());
            elsewhere().expect("it does not panic");
            Err(libbpf_rs::Error::from_raw_os_error(libc::ENOMEM))
        });
        let message = failed.expect_err("it failed").to_string();
        assert!(message.ends_with("(the reason)"), "{message}");
        capture(PrintLevel::Warn, "libbpf: unwanted\n".into());
        assert_eq!(LOG.take(), None);
    }
}
