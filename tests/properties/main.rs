//! Properties of the pure parts that hold for any input. Tests of examples are next to the code, in `src/`.
//!
//! A failure prints the smallest failing input that was found. Turn that input into a plain test.

mod arguments;
mod btf;
mod cgroup;
mod glob;
mod lineage;
mod path;
mod record;
mod ring;

/// Returns a configuration with this many cases. A failing property writes nothing into the source tree.
fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::with_cases(cases) }
}

/// Turns an error into a failed case. A panic would print its message for every step of the shrinking.
fn sound<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, proptest::test_runner::TestCaseError> {
    result.map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))
}
