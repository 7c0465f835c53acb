#!/bin/sh
# namespace.sh COMMAND...: runs it in a mount namespace of its own, where tracefs and debugfs are mounted. bcc wants headers of
# the running kernel: where Debian has none for it, the newest that are installed are lent.
set -eu
[ -e /sys/kernel/tracing/README ] || mount -t tracefs tracefs /sys/kernel/tracing
[ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug
running=/lib/modules/$(uname -r)
lent=$(find /lib/modules/ -mindepth 2 -maxdepth 2 -name build 2>/dev/null | sort -V | tail -n 1)
if [ ! -e "$running/build" ] && [ -n "$lent" ]; then
	build=$(readlink -f "$lent")
	source=$(readlink -f "$(dirname "$lent")/source")
	mount -t tmpfs tmpfs /lib/modules
	mkdir "$running"
	ln -s "$build" "$running/build"
	ln -s "$source" "$running/source"
fi
exec "$@"
