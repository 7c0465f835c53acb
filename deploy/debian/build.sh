#!/bin/sh
# Makes a Debian package of a wheel, by dpkg-deb alone:
#
#     deploy/debian/build.sh dist/rawtp-*_x86_64.whl OUT_DIRECTORY
#
# It has rawtp in /opt/rawtp, /usr/bin/rawtp, and the units, which nobody starts unasked.
set -eu
umask 022
here=$(cd "$(dirname "$0")/.." && pwd)
wheel=$1
out=$2
name=$(basename "$wheel")
version=$(echo "$name" | cut -d - -f 2)
case $name in
*x86_64.whl) arch=amd64 ;;
*aarch64.whl) arch=arm64 ;;
*) echo "$name: neither x86_64 nor aarch64" >&2 && exit 2 ;;
esac

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
sh "$here/install.sh" "$wheel" "$root"
mkdir -p "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/DEBIAN" "$root/usr/share/doc/rawtp"
ln -s /opt/rawtp/bin/rawtp "$root/usr/bin/rawtp"
# As `rawtp record --install` would write it, but with this program.
PYTHONPATH="$root/opt/rawtp/lib" "${PYTHON:-/usr/bin/python3}" -Bc 'import sys
from rawtp._record import unit
print(unit.text("/opt/rawtp/bin/rawtp"), end="")' |
	sed 's#^ExecStart=/opt/rawtp/bin/rawtp -I -m rawtp #ExecStart=/opt/rawtp/bin/rawtp #' \
		>"$root/usr/lib/systemd/system/rawtp-record.service"
cp "$root"/opt/rawtp/lib/rawtp-*.dist-info/licenses/LICENSE-* "$root/usr/share/doc/rawtp/"
cat >"$root/DEBIAN/control" <<CONTROL
Package: rawtp
Version: $version
Architecture: $arch
Maintainer: rawtp <noreply@invalid>
Section: admin
Priority: optional
Depends: python3 (>= 3.10), libc6 (>= 2.17)
Installed-Size: $(du -sk "$root" | cut -f 1)
Description: Which process deleted my file?
 rawtp watches every deletion, rename and truncation on a host, live, from
 inside the kernel, and records who asked for it.
CONTROL
cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
# Its members may read the history.
getent group rawtp >/dev/null || groupadd --system rawtp
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
POSTINST
chmod 755 "$root/DEBIAN/postinst"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
dpkg-deb --root-owner-group --build "$root" "$out/rawtp_${version}_$arch.deb"
