#!/bin/sh
# miri.sh: the Rust tests of the parts that ask nothing of the kernel, by the interpreter that knows what unsafe code may do.
#
# What it has no system calls or no C for is left out: loading, the mapped ring, the queue's descriptor (tests/model has that).
set -eu
cd "$(dirname "$0")/.."
cargo +nightly miri --version >/dev/null 2>&1 || {
	echo "miri: needs rustup toolchain install nightly --component miri,rust-src" >&2
	exit 1
}
# With /proc and statfs, and with thousands of cases, it can do nothing.
exec cargo +nightly miri test --no-default-features --lib --target-dir target/miri -- \
	event:: sys::errno:: fields:: path::resolve::tests read::join::tests record::tests \
	--skip open_calls_are_bounded "$@"
