#!/bin/sh
# Installs a wheel below DESTDIR, without pip: /opt/rawtp/lib, and /opt/rawtp/bin/rawtp, which runs it with Debian's
# Python. A wheel is a zip, and rawtp's needs nothing else.
#
#     deploy/install.sh dist/rawtp-*.whl [DESTDIR]
#
# COMPILE=no leaves the bytecode out, for a Python that is not this one.
set -eu
umask 022
wheel=$1
destdir=${2:-}
python=${PYTHON:-/usr/bin/python3}

rm -rf "$destdir/opt/rawtp"
mkdir -p "$destdir/opt/rawtp/lib" "$destdir/opt/rawtp/bin"
"$python" -m zipfile -e "$wheel" "$destdir/opt/rawtp/lib"
# zipfile keeps no permissions, and extension modules need none. Whoever runs it may not be its owner.
chmod -R u=rwX,go=rX "$destdir/opt/rawtp"
# Compiled now, because nothing can be written there later. By the hash of the source, so that two builds are the same.
[ "${COMPILE:-yes}" = no ] || "$python" -m compileall -q --invalidation-mode unchecked-hash -s "$destdir" -p / "$destdir/opt/rawtp/lib"
cat >"$destdir/opt/rawtp/bin/rawtp" <<'SCRIPT'
#!/usr/bin/python3 -IB
import sys

sys.path.insert(0, "/opt/rawtp/lib")
from rawtp.cli import main

sys.exit(main())
SCRIPT
chmod 755 "$destdir/opt/rawtp/bin/rawtp"
