#!/bin/sh
# asan.sh [PYTEST'S ARGUMENTS]: the Rust tests, and, as root, Python's with an extension that AddressSanitizer watches.
#
# In the stable compiler the sanitizer is unstable still. What it needs at run time gcc brings along: the two share it.
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
libdir=$(rustc --print target-libdir)
ls "$libdir"/librustc*_rt.asan.a >/dev/null 2>&1 || {
	echo "asan: this rustc has no address sanitizer: take rustup's" >&2
	exit 1
}
runtime=$(gcc -print-file-name=libasan.so)
runtime=$(readlink -f "$runtime")
[ -f "$runtime" ] || {
	echo "asan: this gcc has no libasan: install libgcc's -dev package" >&2
	exit 1
}

# What finds no C++ at its start ends at the first exception of a module's in C++, such as matplotlib's.
preload="$runtime $(readlink -f "$(gcc -print-file-name=libstdc++.so.6)")"

export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
# A Python that ends leaves most of what it has to the kernel.
export ASAN_OPTIONS=detect_leaks=0
cargo test --release --no-default-features --target "$host" --target-dir target/asan --lib --tests
cargo build --release --lib --target "$host" --target-dir target/asan

place=target/asan/python
rm -rf "$place"
mkdir -p "$place"
cp -R python/rawtp "$place"
rm -f "$place"/rawtp/_core*.so
cp "target/asan/$host/release/lib_core.so" "$place/rawtp/_core.abi3.so"
unset RUSTC_BOOTSTRAP RUSTFLAGS
# What was freed it keeps back for a while, as if there were a leak; and it cannot begin without /proc.
left_out="--deselect tests/kernel/columns/test_batch.py::test_a_capsule_that_nobody_reads_is_released
	--deselect tests/kernel/check/test_check.py::test_without_proc --deselect tests/kernel/load/test_start.py::test_it_sees_the_same[no-proc]"
# These start a Python without this environment, as sudo and a service's manager do.
for file in tests/kernel/privilege/*.py; do
	left_out="$left_out --ignore $file"
done
# pytest has standard error to itself, and what ends the process there would be lost with it.
report=$PWD/target/asan/report
rm -f "$report".*
# Python's own allocator would hide what lies beyond an object.
# shellcheck disable=SC2086 # words
scripts/as_root.sh LD_PRELOAD="$preload" ASAN_OPTIONS="$ASAN_OPTIONS:log_path=$report" PYTHONMALLOC=malloc \
	PYTHONPATH="$PWD/$place" RAWTP_SLOWER=4 .venv/bin/python -m pytest $left_out "$@" || {
	code=$?
	cat "$report".* 2>/dev/null || true
	exit "$code"
}
