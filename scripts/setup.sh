#!/bin/sh
# Makes sure that what make works with is there: setup.sh build, or test, or engines, or lab, or wheel, or wheels, or lint, or fuzz, or vm, or fresh, or image, or several of them.
# It looks for the tools, not for packages, so that a machine of any distribution that has them just goes on.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

say() {
	printf 'setup: %s\n' "$*" >&2
}

fail() {
	say "$*"
	exit 1
}

# The versions asked for stand in the manifests and nowhere else.
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
pymin=$(sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)

older() {
	IFS=. read -r major minor _ <<-EOF
		$1
	EOF
	IFS=. read -r want_major want_minor _ <<-EOF
		$2
	EOF
	[ "$major" -lt "$want_major" ] || { [ "$major" -eq "$want_major" ] && [ "$minor" -lt "$want_minor" ]; }
}

check_rust() {
	hint="install Rust $msrv or newer, from https://rustup.rs"
	command -v cargo >/dev/null || fail "no cargo: $hint"
	found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2)
	[ -n "$found" ] || fail "cargo without a rustc that runs: $hint"
	! older "$found" "$msrv" || fail "rustc $found is too old: $hint (with rustup: rustup update)"
	case " $* " in
	*" lint "*)
		{ cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1 ||
			fail "no rustfmt or no clippy: rustup component add rustfmt clippy"
		;;
	esac
}

check_rust_target() {
	! ls "$(rustc --print target-libdir --target "$1")"/libstd-*.rlib >/dev/null 2>&1 || return 0
	command -v rustup >/dev/null || fail "rustc has no standard library for $1, and there is no rustup to add it"
	rustup target add "$1" >&2
}

check_python() {
	hint="install CPython $pymin or newer, or name one: make PYTHON=/path/to/python3"
	found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || fail "no $python: $hint"
	! older "$found" "$pymin" || fail "$python is Python $found, too old: $hint"
}

have() {
	case $1 in
	# A compiler without the C library's headers is common where recommended packages are left out.
	cc) echo '#include <stdlib.h>' | cc -E -x c - ;;
	c++) echo '#include <cstdlib>' | c++ -E -x c++ - ;;
	clang) command -v "${RAWTP_CLANG:-clang}" ;;
	libelf | zlib) pkg-config --exists "$1" ;;
	# Debian's python3 has the module venv, but not what it puts into one.
	venv) "$python" -c 'import ensurepip, venv' ;;
	# Not on the PATH of those who are not root.
	rsyslogd) command -v rsyslogd || command -v /usr/sbin/rsyslogd ;;
	chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	cross-cc) echo '#include <stdlib.h>' | aarch64-linux-gnu-gcc -E -x c - ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

missing_of() {
	for need in "$@"; do
		have "$need" || printf '%s ' "$need"
	done
}

# Columns: what is looked for, and its package for apt, dnf, pacman, apk, zypper.
table() {
	cat <<-'EOF'
		autopoint     autopoint      gettext-devel          gettext  gettext-dev                 gettext-tools
		autoreconf    autoconf       autoconf               autoconf autoconf                    autoconf
		c++           g++            gcc-c++                gcc      g++                         gcc-c++
		cc            gcc,libc6-dev  gcc                    gcc      gcc,musl-dev,linux-headers  gcc
		chromium      chromium       chromium               chromium chromium                    chromium
		clang-format  clang-format   clang-tools-extra      clang    clang-extra-tools           clang-tools
		cross-cc      gcc-aarch64-linux-gnu,libc6-dev-arm64-cross
		java          openjdk-17-jre-headless java-17-openjdk-headless jre17-openjdk-headless openjdk17-jre-headless java-17-openjdk-headless
		libelf        libelf-dev     elfutils-libelf-devel  libelf   elfutils-dev                libelf-devel
		pkg-config    pkg-config     pkgconf-pkg-config     pkgconf  pkgconf                     pkgconf-pkg-config
		readelf       binutils       binutils               binutils binutils                    binutils
		qemu-system-aarch64 qemu-system-arm
		qemu-system-x86_64  qemu-system-x86
		rpmbuild      rpm            rpm-build              rpm-tools rpm                         rpm-build
		rsyslogd      rsyslog,rsyslog-gnutls rsyslog,rsyslog-gnutls              rsyslog  rsyslog                     rsyslog
		venv          python3-venv   python3                python   python3                     python3
		zlib          zlib1g-dev     zlib-devel             zlib     zlib-dev                    zlib-devel
	EOF
}

packages() {
	column=$1
	shift
	for need in "$@"; do
		table | awk -v need="$need" -v column="$column" '$1 == need { name = $column } END { print name ? name : need }'
	done | tr ',' '\n' | sort -u | paste -s -d ' ' -
}

install_by_apt() {
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || fail "missing: $missing; there is no sudo, so as root: apt-get install $*"
		sudo=sudo
	fi
	say "these packages are missing, and are installed now with ${sudo:+$sudo }apt-get: $*"
	if [ -t 2 ]; then
		say "Ctrl-C within 5 seconds leaves the machine as it is"
		sleep 5
	fi
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# A fresh cloud machine upgrades itself in its first minutes: wait for that instead of failing.
	apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300"
	# A stale list still installs most things, so only the install decides.
	$apt update >"$log" 2>&1 </dev/null || true
	if ! $apt install --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		fail "apt-get could not install: $*"
	fi
}

install() {
	if command -v apt-get; then
		# shellcheck disable=SC2046,SC2086 # lists of words, here and below
		install_by_apt $(packages 2 $missing) >&2
		return
	fi >/dev/null
	column=3
	for by in "dnf install" "pacman -S" "apk add" "zypper install"; do
		# shellcheck disable=SC2086
		! command -v "${by%% *}" >/dev/null || fail "missing: $missing; as root: $by $(packages $column $missing)"
		column=$((column + 1))
	done
	# shellcheck disable=SC2086
	fail "missing: $missing; Debian's packages for that: $(packages 2 $missing)"
}

check_rust "$@"
check_python
needs="cc make clang pkg-config venv"
for target in "$@"; do
	case $target in
	build) needs="$needs libelf zlib" ;;
	lint) needs="$needs clang-format" ;;
	# A tracer without root is tested with sudo, if it is there. Nothing else here needs it for root; where no test may
	# be left out it has to be there.
	test)
		if [ "$(id -u)" -ne 0 ] || [ -n "${CI:-}${RAWTP_REQUIRE_KERNEL:-}" ]; then
			needs="$needs sudo"
		fi
		# A receiver of `rawtp ship`, of which PyPI has the others; and what calls are compared with.
		if [ -n "${CI:-}${RAWTP_REQUIRE_KERNEL:-}" ]; then
			needs="$needs rpmbuild rsyslogd strace"
		fi
		;;
	# libFuzzer's own source is C++.
	fuzz) needs="$needs c++" ;;
	# Spark.
	engines) needs="$needs java" ;;
	lab) needs="$needs chromium" ;;
	# The wheel brings its own libelf and zlib, and those are built with their authors' tools.
	wheel) needs="$needs autoreconf automake autopoint flex bison gawk readelf" ;;
	wheels)
		for machine in x86_64 aarch64; do
			check_rust_target $machine-unknown-linux-gnu
			check_rust_target $machine-unknown-linux-musl
		done
		;;
	vm)
		command -v apt-get >/dev/null || fail "the kernels of test-vm are Debian's: that needs apt-get"
		needs="$needs cross-cc qemu-system-aarch64 qemu-system-x86_64"
		# Without it, arm64's kernels are counted as not tested.
		(check_rust_target aarch64-unknown-linux-gnu) || say "going on without aarch64"
		;;
	fresh)
		command -v apt-get >/dev/null || fail "the machines of test-fresh are Debian's: that needs apt-get"
		needs="$needs debootstrap git"
		;;
	image)
		command -v apt-get >/dev/null || fail "the image of test-image is Debian's: that needs apt-get"
		needs="$needs crun debootstrap"
		;;
	*) fail "unknown target: $target" ;;
	esac
done
if [ -n "${RAWTP_CLANG:-}" ] && ! have clang; then
	fail "RAWTP_CLANG is set, but there is no program $RAWTP_CLANG"
fi
# shellcheck disable=SC2086
missing=$(missing_of $needs | sed 's/ $//')
[ -n "$missing" ] || exit 0
install
# shellcheck disable=SC2086
missing=$(missing_of $needs | sed 's/ $//')
[ -z "$missing" ] || fail "installed, and still missing: $missing"
