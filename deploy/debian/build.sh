#!/bin/sh
# Makes a Debian package of a wheel, by dpkg-deb alone:
#
#     deploy/debian/build.sh dist/rawtp-*_x86_64.whl OUT_DIRECTORY
#
# It has rawtp in /opt/rawtp, /usr/bin/rawtp, and the units, which nobody starts unasked.
set -eu
umask 022
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=deploy/wheel.sh
. "$here/wheel.sh"
case $arch in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
esac

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
sh "$here/tree.sh" "$wheel" "$root"
mkdir "$root/DEBIAN"
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
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/rawtp/lib
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
POSTINST
cat >"$root/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
set -e
find /opt/rawtp/lib -name __pycache__ -prune -exec rm -rf {} +
PRERM
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
dpkg-deb --root-owner-group --build "$root" "$out/rawtp_${version}_$arch.deb"
