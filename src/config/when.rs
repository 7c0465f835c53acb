//! When a call that does many things is an event.

use crate::error::{Error, Result};
use crate::skel::types::{call, call_condition, request_call};
use crate::syscall::{Call, FILE_CHANGES};

/// The opens, and the calls of fallocate(2) and ioctl(2), that are events. Every other call is one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// Those that make content or names go.
    #[default]
    Loss,
    /// Those, opens that make a file, and every fallocate(2).
    Change,
    /// All.
    Always,
}

impl When {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Loss, Self::Change, Self::Always];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Change => "change",
            Self::Always => "always",
        }
    }

    /// Returns the one of this word.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which lists the words.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|when| when.as_str() == name)
            .ok_or_else(|| Error::Value(format!("when must be \"loss\", \"change\" or \"always\", not {name:?}")))
    }

    /// Returns what is meant where nobody says: with words that mean each call, all; with all calls that change files,
    /// what changes some.
    #[must_use]
    pub fn of(names: &[String], is_each: bool) -> Self {
        match () {
            () if is_each => Self::Always,
            () if FILE_CHANGES.iter().all(|call| names.iter().any(|name| name == call)) => Self::Change,
            () => Self::Loss,
        }
    }

    fn condition(self, condition: call_condition) -> call_condition {
        match (self, condition) {
            (Self::Change, call_condition::CALL_O_TRUNC) => call_condition::CALL_O_CHANGES,
            (Self::Change, call_condition::CALL_HOW_O_TRUNC) => call_condition::CALL_HOW_CHANGES,
            (Self::Always, call_condition::CALL_HOW_O_TRUNC) => call_condition::CALL_HOW_ANY,
            (Self::Change | Self::Always, call_condition::CALL_FALLOCATE)
            | (Self::Always, call_condition::CALL_O_TRUNC | call_condition::CALL_IOCTL) => call_condition::CALL_ALWAYS,
            _ => condition,
        }
    }

    /// Returns what the programs must know of a call.
    #[must_use]
    pub fn shape(self, call: &Call) -> call {
        let condition = self.condition(call_condition(call.shape.condition.into())).0 as u8;
        call { condition, ..call.shape }
    }

    /// Returns what the programs must know of a request.
    #[must_use]
    pub fn request(self, request: request_call) -> request_call {
        request_call { condition: self.condition(call_condition(request.condition.into())).0 as u8, ..request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::{LOSS, by_name};

    #[test]
    fn words() {
        assert!(When::ALL.iter().all(|when| When::from_name(when.as_str()).unwrap() == *when));
        let error = When::from_name("never").unwrap_err().to_string();
        assert_eq!(error, "when must be \"loss\", \"change\" or \"always\", not \"never\"");
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(When::of(&names(FILE_CHANGES), false), When::Change);
        assert_eq!(When::of(&names(LOSS), false), When::Loss);
        assert_eq!(When::of(&names(&["openat"]), true), When::Always);
    }

    #[test]
    fn conditions() {
        let of = |when: When, name| call_condition(when.shape(by_name(name).unwrap()).condition.into());
        assert_eq!(of(When::Loss, "openat"), call_condition::CALL_O_TRUNC);
        assert_eq!(of(When::Change, "openat2"), call_condition::CALL_HOW_CHANGES);
        assert_eq!(of(When::Always, "openat2"), call_condition::CALL_HOW_ANY);
        assert_eq!(of(When::Change, "ioctl"), call_condition::CALL_IOCTL);
        assert_eq!(of(When::Always, "ioctl"), call_condition::CALL_ALWAYS);
        assert_eq!(of(When::Change, "fallocate"), call_condition::CALL_ALWAYS);
        assert_eq!(of(When::Change, "unlink"), call_condition::CALL_ALWAYS);
    }
}
