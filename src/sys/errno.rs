//! Names of error numbers.

use std::sync::{LazyLock, OnceLock};

use nix::errno::Errno;

/// The kernel returns no error number above 4095 (`MAX_ERRNO`).
const NAMES: usize = 4096;

/// Returns the name of an error number: errno(3)'s, or one of the kernel's own that only a tracer sees
/// (include/linux/errno.h). A number without a name becomes its digits.
#[must_use]
pub fn name(errno: u16) -> &'static str {
    static MADE: LazyLock<Vec<OnceLock<Box<str>>>> = LazyLock::new(|| vec![OnceLock::new(); NAMES]);
    match errno {
        512 => "ERESTARTSYS",
        513 => "ERESTARTNOINTR",
        514 => "ERESTARTNOHAND",
        516 => "ERESTART_RESTARTBLOCK",
        // nix gives names through Debug only, and formatting one for each event would be slow.
        _ => MADE[usize::from(errno) % NAMES].get_or_init(|| match Errno::from_raw(errno.into()) {
            Errno::UnknownErrno => errno.to_string().into(),
            known => format!("{known:?}").into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            [2, 36, 512, 516, 4095].map(name),
            ["ENOENT", "ENAMETOOLONG", "ERESTARTSYS", "ERESTART_RESTARTBLOCK", "4095"]
        );
        assert!(std::ptr::eq(name(2), name(2)));
    }
}
