#!/bin/sh
# Installs the peers that the benchmark compares with, as far as this Debian has them, and says what it has not. As root.
set -u
export DEBIAN_FRONTEND=noninteractive
command -v apt-get >/dev/null || {
	echo "bench-deps: no apt-get here: install bpftrace, bcc's Python, perf and strace by hand" >&2
	exit 1
}
apt-get update >/dev/null 2>&1 </dev/null || true
install() {
	apt-get -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$1" >/dev/null 2>&1 </dev/null
}
for package in bpftrace python3-bpfcc linux-perf strace; do
	if install "$package"; then
		echo "bench-deps: $package is there"
	else
		echo "bench-deps: $package: not in this Debian"
	fi
done
# bcc compiles against headers. Another kernel's are better than none: what it reads of them here has not changed in years.
if install "linux-headers-$(uname -r)"; then
	echo "bench-deps: headers of $(uname -r) are there"
elif install "linux-headers-cloud-$(dpkg --print-architecture)"; then
	echo "bench-deps: no headers of $(uname -r); those of Debian's cloud kernel will be lent to bcc"
else
	echo "bench-deps: no headers: bcc will not run"
fi
