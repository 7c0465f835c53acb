//! The filter by result: calls that succeeded, calls that failed, or both.

/// The results that pass the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// All results.
    #[default]
    Any,
    /// Calls that did not fail.
    Ok,
    /// Calls that failed.
    Failed,
}

impl Outcome {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Any, Self::Ok, Self::Failed];

    /// The name that a caller uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }

    /// Whether a call with this result passes. An unknown result always does.
    #[must_use]
    pub fn matches(self, ret: Option<i64>) -> bool {
        match (self, ret) {
            (Self::Any, _) | (_, None) => true,
            (Self::Ok, Some(ret)) => ret >= 0,
            (Self::Failed, Some(ret)) => ret < 0,
        }
    }
}
