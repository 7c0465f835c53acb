"""The BPF sources, for both architectures: what is compiled here is what another machine would load."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Helpers that Linux 5.10 has (enum bpf_func_id of its include/uapi/linux/bpf.h), out of those that are of use here; and
# two that it does not have, which are called only where CO-RE finds them.
HELPERS = {
    "bpf_current_task_under_cgroup",
    "bpf_get_current_cgroup_id",
    "bpf_get_current_task",
    "bpf_get_current_task_btf",
    "bpf_get_ns_current_pid_tgid",
    "bpf_get_smp_processor_id",
    "bpf_ktime_get_boot_ns",
    "bpf_ktime_get_ns",
    "bpf_map_delete_elem",
    "bpf_map_lookup_elem",
    "bpf_map_update_elem",
    "bpf_probe_read_kernel",
    "bpf_probe_read_kernel_str",
    "bpf_probe_read_user",
    "bpf_probe_read_user_str",
    "bpf_ringbuf_discard",
    "bpf_ringbuf_output",
    "bpf_ringbuf_query",
    "bpf_ringbuf_reserve",
    "bpf_seq_write",
    "bpf_task_pt_regs",
}


@pytest.mark.parametrize("architecture", ["x86", "arm64"])
@pytest.mark.parametrize("source", sorted((ROOT / "bpf").rglob("*.bpf.c")), ids=lambda path: path.name)
def test_compiles(source: Path, architecture: str, tmp_path: Path) -> None:
    headers = max(ROOT.glob("target/*/build/libbpf-sys-*/out/include"), key=lambda path: path.stat().st_mtime)
    compiled = tmp_path / "compiled.o"
    clang = [os.environ.get("RAWTP_CLANG", "clang"), "-target", "bpf", "-g", "-O2", "-Wall", "-Werror"]
    subprocess.run(
        [
            *clang,
            f"-D__TARGET_ARCH_{architecture}",
            f"-I{headers}",
            f"-I{ROOT / 'bpf'}",
            "-c",
            str(source),
            "-o",
            str(compiled),
        ],
        check=True,
    )
    sections = subprocess.check_output(["readelf", "-SW", compiled], text=True)
    assert ("raw_tp/sys_enter" in sections) == (source.name != "live_maps.bpf.c")
    assert ("iter/bpf_map" in sections) == (source.name == "live_maps.bpf.c")
    assert ("tp_btf/sys_exit" in sections) == (source.name in {"rawtp.bpf.c", "counts.bpf.c"})
    assert ("tracepoint/syscalls/sys_enter_unlinkat" in sections) == (source.name == "cost.bpf.c")
    assert "Dual BSD/GPL" in subprocess.check_output(["readelf", "-p", "license", compiled], text=True)


def test_no_helper_that_5_10_cannot_do_without() -> None:
    text = "".join(path.read_text() for path in (ROOT / "bpf").rglob("*.[ch]") if path.name != "vmlinux.h")
    called = {name for name in re.findall(r"\b(bpf_\w+)\(", text) if not name.startswith("bpf_core_")}
    assert called <= HELPERS
    assert text.count("bpf_get_current_task_btf(") == text.count("bpf_task_pt_regs(") == 1
    assert {"bpf_ringbuf_output", "bpf_probe_read_user_str"} <= called
