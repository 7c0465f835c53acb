"""What need not run on a kernel, and why. A skip that is not here fails the run."""

from __future__ import annotations

from fnmatch import fnmatchcase

LEFT_OUT = {
    "tests/kernel/benches/test_bench_run.py": "the benchmark compiles its programs, and a machine has no compiler",
    "tests/kernel/cli/test_pictured.py": "the picture is of GNU sed, and a machine has none",
    "tests/kernel/notebook/test_live.py": "a machine has no Jupyter",
    "tests/kernel/notebook/test_notebooks.py": "a machine has no Jupyter",
    "tests/kernel/raw_tracepoint/test_any_value.py": "a machine has no hypothesis",
    "tests/kernel/top/test_screen.py": "a machine has no textual",
}

# Kernel, test, reason: patterns of the shell's.
KNOWN = (
    ("*", "kernel.columns.test_batch.*", "could not import '*"),
    ("*", "kernel.tracer.test_async*", "could not import 'uvloop'*"),
    ("*", "kernel.read.test_happened.*", "could not import 'uvloop'*"),
    ("*", "kernel.test_readme.test_the_line_of_each_library*", "could not import '*"),
    ("*", "kernel.run.test_run_patched.test_under_eventlet", "could not import 'eventlet'*"),
    ("*", "kernel.notebook.test_shown.*", "could not import '*"),
    ("*", "kernel.columns.test_stream.*", "could not import '*"),
    ("*", "kernel.raw_tracepoint.test_life.test_the_columns_have_types", "could not import '*"),
    ("*", "kernel.counts.test_*", "could not import '*"),
    ("*", "kernel.counts.test_counts.test_as_many_as_strace_counts", "there is no strace"),
    ("*", "kernel.run.test_as_strace.*", "there is no strace"),
    # Modules have types of their own since Linux 5.11.
    ("5.10*", "kernel.raw_tracepoint.test_content.test_a_module*", "this kernel has no types of its modules"),
    ("5.10*", "kernel.raw_tracepoint.test_content.*", "this kernel tells no reason"),
    ("*", "kernel.columns.test_to_arrow.*", "could not import '*"),
    ("*", "kernel.session.test_exact.test_out_of_memory_while_dicts_are_made", "this Python has no _testcapi,*"),
    ("*", "kernel.event.test_paths.test_through_an_overlay", "this kernel has no overlayfs"),
    ("*", "kernel.event.test_who.test_a_container_by_its_cgroup_of_version_1", "this host has no cgroups of version 1"),
    ("*", "kernel.event.test_exe.test_columns_and_schemas_have_the_same", "could not import '*"),
    ("*", "kernel.event.test_cgroups.*[[]v1*", "no hierarchy of version 1 is mounted here"),
    ("5.10*", "kernel.truth.test_fanotify.*", "no fanotify of a file system here: No such device"),
    ("*", "kernel.truth.test_hook.test_a_silent_hook_is_none", "kernel.ftrace_enabled cannot be written here: *"),
    # ksmbd came with 5.15.
    ("5.10*", "kernel.truth.test_kernel_threads.test_a_server_of_smb*", "no SMB server here: this kernel has no ksmbd"),
    # Its ksmbd finds no share, not even IPC$, by what Debian's ksmbd.mountd of that release tells it.
    ("6.1", "kernel.truth.test_kernel_threads.test_a_server_of_smb*", "no SMB server here: mount *"),
    ("6.1-arm64", "kernel.truth.test_kernel_threads.test_a_server_of_smb*", "no SMB server here: mount *"),
    ("5.10*", "kernel.truth.test_vfs.test_a_security_module_refuses", "this kernel has no Landlock"),
    ("*-arm64", "kernel.truth.test_vfs.*[[]compat]", "int 0x80 is x86's"),
    # No kind of hook on functions works there.
    ("5.10-arm64", "kernel.truth.*", "no hook on the kernel's functions: *"),
    ("5.10*", "kernel.truth.test_hook.test_requests*", "a thread of this kernel's io_uring does not tell its request"),
    ("6.12-*", "vm.test_variants.*", "another variant"),
    ("6.12-*", "vm.test_variants.test_everything_is_live", "blocked there"),
    ("6.12-cgroup1", "kernel.event.test_who.test_the_container_of_its_cgroup", "no cgroup v2 is mounted here"),
    ("*", "kernel.event.test_walk.*", "no FUSE here: *"),
    ("*", "kernel.syscall.test_in_flight.test_calls_that_hang_*", "no ext4 can be made and mounted here"),
    ("5.10*", "kernel.syscall.test_in_flight.*tracepoint*", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.syscall.test_loss.test_native[[]tracepoint]", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.syscall.test_unnamed.*tracepoint]", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.run.test_launcher.*tracepoint]", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.filter.test_unknown_paths.*tracepoint]", 'hook="tracepoint" needs *'),
    ("6.12-cgroup1", "kernel.event.test_cgroups.*[[]v2*", "no hierarchy of version 2 is mounted here"),
    ("5.10*", "kernel.session.test_close.*-tracepoint]", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.filter.test_filters.*tracepoint]", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.read.test_happened.*", 'hook="tracepoint" needs *'),
    ("5.10*", "kernel.load.test_hook.*", 'hook="tracepoint" needs *'),
    # IOSQE_CQE_SKIP_SUCCESS came with 5.17.
    ("5.10*", "kernel.syscall.test_io_uring.test_without_a_completion", "this kernel has no io_uring, or forbids it *"),
    (
        "5.10*",
        "kernel.syscall.test_io_uring.test_linked_to_one_that_fails",
        "this kernel has no io_uring, or forbids it *",
    ),
    (
        "5.10*",
        "kernel.syscall.test_io_uring.test_a_chain_that_fails_leaves_nothing",
        "this kernel has no io_uring_fail_link with *",
    ),
    ("newest", "kernel.load.test_hook.test_both_see_the_same[[]*", "raw tracepoints miss events on this kernel: *"),
    ("*-arm64", "kernel.args.test_*[[]i386]", "32-bit calls are made by int 0x80"),
    ("*-arm64", "kernel.run.test_exec.*", "its programs are x86's"),
    ("*-arm64", "kernel.syscall.test_unnamed.test_those_of_x32", "x32 is x86's"),
    ("*-arm64", "kernel.syscall.test_unnamed.test_those_of_the_32_bit_table", "32-bit calls are made by int 0x80"),
    ("*-arm64", "kernel.load.test_hook.test_both_see_the_same[[]compat]", "int 0x80 is x86's"),
    ("*-arm64", "kernel.syscall.test_ways.test_of_a_32_bit_program", "int 0x80 is x86's"),
    ("*-arm64", "kernel.syscall.test_loss.test_of_a_32_bit_program", "int 0x80 is x86's"),
    ("*-arm64", "kernel.syscall.test_loss.test_x32_has_an_ioctl_of_its_own", "x32 is x86's"),
    ("*-arm64", "kernel.syscall.test_ways.test_x32_is_told_by_its_bit", "x32 is x86's"),
)


def is_known(kernel: str, test: str, reason: str) -> bool:
    return any(
        fnmatchcase(kernel, kernels) and fnmatchcase(test, tests) and fnmatchcase(reason, reasons)
        for kernels, tests, reasons in KNOWN
    )
