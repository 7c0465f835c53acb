//! What must hold of the pure parts for any input, not for examples only: those are beside the code, in `src/`.
//!
//! A failure prints the smallest input that it was found for: make a plain test of that.

mod btf;
mod cgroup;
mod glob;
mod lineage;
mod path;
mod record;
mod ring;

/// Nothing is written into the tree when a property fails.
fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::with_cases(cases) }
}

/// An error as a failed case: a panic would print its message for every step of the shrinking.
fn sound<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, proptest::test_runner::TestCaseError> {
    result.map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))
}
