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
    LOG.with_borrow_mut(|log| {
        if let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES) {
            log.push_str(&text);
        }
    });
}

/// Runs a load with libbpf's messages kept for the error, and off the terminal in any case.
///
/// # Errors
///
/// Those of [`explain`].
pub fn logged<T>(load: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T> {
    LOG.set(Some(String::new()));
    let loaded = quietly(load);
    let log = LOG.take().unwrap_or_default();
    loaded.map_err(|error| explain(&error, &log))
}

/// The same for what may fail.
pub fn quietly<T>(load: impl FnOnce() -> T) -> T {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        set_print(Some((PrintLevel::Info, capture)));
    });
    load()
}
