//! The names of errors.

use std::sync::{LazyLock, OnceLock};

use nix::errno::Errno;

/// As many as the kernel can return.
const NAMES: usize = 4096;

/// errno(3)'s names, and those of the kernel's own that only a tracer sees (include/linux/errno.h); a number has itself.
#[must_use]
pub fn name(errno: u16) -> &'static str {
    static MADE: LazyLock<Vec<OnceLock<Box<str>>>> = LazyLock::new(|| vec![OnceLock::new(); NAMES]);
    match errno {
        512 => "ERESTARTSYS",
        513 => "ERESTARTNOINTR",
        514 => "ERESTARTNOHAND",
        516 => "ERESTART_RESTARTBLOCK",
        // The crate gives names through Debug only, which is no way to spell one for each event.
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
