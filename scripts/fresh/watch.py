"""Runs on the fresh machine, with its Python: a command that shows deletions, until it has shown one of ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PATH = Path("/tmp/fresh/deleted")  # noqa: S108


def delete(stop: threading.Event) -> None:
    """Until it has been seen: nobody says when the command is ready."""
    while not stop.wait(0.5):
        PATH.touch()
        subprocess.run(["rm", PATH], check=True)


def main() -> None:
    PATH.parent.mkdir(exist_ok=True)
    stop = threading.Event()
    threading.Thread(target=delete, args=(stop,), daemon=True).start()
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in child.stdout or ():
        if not line.startswith("{"):
            # What make says before.
            print(line, end="", flush=True)
        elif (event := json.loads(line)).get("path") == str(PATH):
            break
    else:
        sys.exit(f"{sys.argv[1:]} ended with {child.wait()} and showed no deletion")
    stop.set()
    # Ctrl-C, as a terminal sends it.
    os.killpg(child.pid, signal.SIGINT)
    child.communicate()
    status = child.returncode
    seen = {key: event[key] for key in ("syscall", "comm", "path", "ret")}
    print(f"seen: {json.dumps(seen)}; after Ctrl-C it ended with {status}", flush=True)
    # rawtp ends as it should; make, which had the Ctrl-C as well, dies of it.
    expected = -signal.SIGINT if sys.argv[1] == "make" else 0
    if seen != {"syscall": "unlinkat", "comm": "rm", "path": str(PATH), "ret": 0} or status != expected:
        sys.exit("that is not what was expected")


if __name__ == "__main__":
    main()
