//! The choice of tracepoints by which system calls are seen.

use crate::error::{Error, Result};

/// The tracepoints that a caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hook {
    /// Raw tracepoints where they are exact, classic ones where they are not.
    #[default]
    Auto,
    /// `raw_tp/sys_enter` and `tp_btf/sys_exit`: the cheapest.
    RawTp,
    /// `tracepoint/raw_syscalls`.
    Tracepoint,
}

impl Hook {
    /// The hook of this name.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], with the names that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "raw_tp" => Ok(Self::RawTp),
            "tracepoint" => Ok(Self::Tracepoint),
            _ => Err(Error::Value(format!("hook must be \"auto\", \"raw_tp\" or \"tracepoint\", not {name:?}"))),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::RawTp => "raw_tp",
            Self::Tracepoint => "tracepoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            ["auto", "raw_tp", "tracepoint"].map(|name| Hook::from_name(name).unwrap()),
            [Hook::Auto, Hook::RawTp, Hook::Tracepoint]
        );
        assert_eq!(
            Hook::from_name("kprobe").unwrap_err().to_string(),
            "hook must be \"auto\", \"raw_tp\" or \"tracepoint\", not \"kprobe\""
        );
    }
}
