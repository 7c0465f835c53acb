"""rawtp_peer.py basic|all: prints "first" at the first event of rawtp-first, at Ctrl-C how many rawtp-burst made."""

import signal
import sys

import rawtp

# A shell ignores it in what it starts in the background, and Python then leaves it at that.
signal.signal(signal.SIGINT, signal.default_int_handler)
is_basic = sys.argv[1] == "basic"
tracer = rawtp.Tracer(fields=rawtp.BASIC_FIELDS, results=False) if is_basic else rawtp.Tracer()
counted = 0
try:
    for event in tracer:
        if event["comm"] == "rawtp-first":
            print("first", flush=True)
            break
    for event in tracer:
        counted += event["comm"] == "rawtp-burst"
except KeyboardInterrupt:
    print(counted)
