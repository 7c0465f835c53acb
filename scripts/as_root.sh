#!/bin/sh
# Runs one command as root: as_root.sh [NAME=value ...] command [argument ...]. Only what needs the kernel goes through here.
if [ "$(id -u)" -eq 0 ]; then
	exec env "$@"
fi
if command -v sudo >/dev/null; then
	# Python as root would leave bytecode in the tree that its owner cannot remove.
	exec sudo env PYTHONDONTWRITEBYTECODE=1 "$@"
fi
echo "this needs root, and there is no sudo: run make as root" >&2
exit 1
