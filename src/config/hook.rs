//! The choice of the hooks that see system calls.

use crate::error::{Error, Result};

/// The hooks a caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hook {
    /// Raw tracepoints where they see every call, else classic ones.
    #[default]
    Auto,
    /// `raw_tp/sys_enter` and `tp_btf/sys_exit`, the cheapest.
    RawTp,
    /// `tracepoint/raw_syscalls`.
    Tracepoint,
    /// The kernel's own functions that remove, and no system call.
    Vfs,
}

impl Hook {
    /// Returns the hook of this name.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which lists the valid names.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "raw_tp" => Ok(Self::RawTp),
            "tracepoint" => Ok(Self::Tracepoint),
            "vfs" => Ok(Self::Vfs),
            _ => {
                Err(Error::Value(format!("hook must be \"auto\", \"raw_tp\", \"tracepoint\" or \"vfs\", not {name:?}")))
            }
        }
    }

    /// The hook's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::RawTp => "raw_tp",
            Self::Tracepoint => "tracepoint",
            Self::Vfs => "vfs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            ["auto", "raw_tp", "tracepoint", "vfs"].map(|name| Hook::from_name(name).unwrap()),
            [Hook::Auto, Hook::RawTp, Hook::Tracepoint, Hook::Vfs]
        );
        assert_eq!(
            Hook::from_name("kprobe").unwrap_err().to_string(),
            "hook must be \"auto\", \"raw_tp\", \"tracepoint\" or \"vfs\", not \"kprobe\""
        );
    }
}
