//! The choice between calls that succeeded and calls that failed.

/// The results that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// All.
    #[default]
    Any,
    /// What did not fail.
    Ok,
    /// What did.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Any, Self::Ok, Self::Failed];

    /// As a caller names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }

    /// Whether a call with this result is wanted. A result that is not known could be any.
    #[must_use]
    pub fn matches(self, ret: Option<i64>) -> bool {
        match (self, ret) {
            (Self::Any, _) | (_, None) => true,
            (Self::Ok, Some(ret)) => ret >= 0,
            (Self::Failed, Some(ret)) => ret < 0,
        }
    }
}
