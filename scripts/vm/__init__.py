"""Debian's kernels in qemu, with Debian's Python and the built wheel."""
