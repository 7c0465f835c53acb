#!/bin/sh
# fuzz.sh TARGET SECONDS [CARGO'S OPTIONS]: builds fuzz/fuzz_targets/TARGET.rs with libFuzzer and lets it look for faults.
#
# What cargo-fuzz would do, without a nightly toolchain and without a tool to install: coverage is a pass of LLVM's that the
# stable compiler takes by name. Who has cargo-fuzz can use it: the layout is its own.
set -eu
cd "$(dirname "$0")/.."
target=$1
seconds=$2
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')

flags="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1"
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
	flags="$flags -Cllvm-args=-sanitizer-coverage-$flag"
done
# Reads beyond a buffer in unsafe code are seen with it only. Not every distribution's compiler has it, and to the stable one
# it is unstable still: without it all of the rest is worth the same.
if ls "$(rustc --print target-libdir)"/librustc*_rt.asan.a >/dev/null 2>&1; then
	export RUSTC_BOOTSTRAP=1
	flags="$flags -Zsanitizer=address"
else
	echo "fuzz: this rustc has no address sanitizer: a panic is found, a read beyond a buffer is not" >&2
fi

# With --target the flags are not for build scripts.
RUSTFLAGS="$flags" cargo build --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --release \
	--target "$host" --bin "$target" "$@"
mkdir -p "fuzz/target/corpus/$target" "fuzz/artifacts/$target"
# What it finds goes to the first directory; the seeds, which are committed, are only read.
exec "fuzz/target/$host/release/$target" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
	-artifact_prefix="fuzz/artifacts/$target/" "fuzz/target/corpus/$target" "fuzz/corpus/$target"
