#!/bin/sh
# Fills a directory with what a package has: rawtp in /opt/rawtp, /usr/bin/rawtp, the unit, which nobody starts unasked,
# and the licences.
#
#     deploy/tree.sh dist/rawtp-*.whl ROOT
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
wheel=$1
root=$2

COMPILE=no sh "$here/install.sh" "$wheel" "$root"
mkdir -p "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/share/doc/rawtp"
ln -s /opt/rawtp/bin/rawtp "$root/usr/bin/rawtp"
# As `rawtp record --install` would write it, but with this program. The module alone, because the extension may be
# for another machine.
unit=$("${PYTHON:-/usr/bin/python3}" -Bc 'import runpy, sys
print(runpy.run_path(sys.argv[1])["text"]("/opt/rawtp/bin/rawtp"), end="")' "$root/opt/rawtp/lib/rawtp/_record/unit.py")
printf '%s\n' "$unit" | sed 's#^ExecStart=/opt/rawtp/bin/rawtp -I -m rawtp #ExecStart=/opt/rawtp/bin/rawtp #' \
	>"$root/usr/lib/systemd/system/rawtp-record.service"
cp "$root"/opt/rawtp/lib/rawtp-*.dist-info/licenses/LICENSE-* "$root/usr/share/doc/rawtp/"
