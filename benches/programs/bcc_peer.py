"""bcc_peer.py perf|ring: the same with bcc's Python. Runs under the Python that Debian's python3-bpfcc belongs to."""

import os
import signal
import sys

from bcc import BPF

RING = sys.argv[1] == "ring"
SOURCE = """
#include <linux/sched.h>
struct event { u32 pid; char comm[16]; char filename[256]; };
%s
TRACEPOINT_PROBE(syscalls, sys_enter_unlinkat)
{
    %s
    event->pid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&event->comm, sizeof(event->comm));
    bpf_probe_read_user_str(&event->filename, sizeof(event->filename), args->pathname);
    %s
    return 0;
}
""" % (
    (
        "BPF_RINGBUF_OUTPUT(events, 4096);",
        "struct event *event = events.ringbuf_reserve(sizeof(*event)); if (!event) return 0;",
        "events.ringbuf_submit(event, 0);",
    )
    if RING
    else (
        "BPF_PERF_OUTPUT(events);",
        "struct event value = {}; struct event *event = &value;",
        "events.perf_submit(args, event, sizeof(*event));",
    )
)
program = BPF(text=SOURCE)
events = program["events"]
counted = 0
first = True
ended = False


def on_event(_cpu: int, data: int, _bytes: int) -> None:
    global counted, first
    event = events.event(data)
    counted += event.comm == b"rawtp-burst"
    if first and event.comm == b"rawtp-first":
        first = False
        print("first", flush=True)


def on_signal(_number: int, _frame: object) -> None:
    global ended
    ended = True


# An exception would be raised, and lost, in a callback from C.
signal.signal(signal.SIGINT, on_signal)
if RING:
    events.open_ring_buffer(on_event)
    poll = program.ring_buffer_poll
else:
    # The most that bcc's own tools ask for.
    events.open_perf_buffer(on_event, page_cnt=64, lost_cb=lambda _lost: None)
    poll = program.perf_buffer_poll
while not ended:
    poll(timeout=100)
print(counted, flush=True)
# bcc's own clean-up at the end of an interpreter prints a traceback.
os._exit(0)
