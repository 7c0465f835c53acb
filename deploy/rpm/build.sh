#!/bin/sh
# Makes an rpm of a wheel, by rpmbuild alone:
#
#     deploy/rpm/build.sh dist/rawtp-*_x86_64.whl OUT_DIRECTORY
#
# It has rawtp in /opt/rawtp, /usr/bin/rawtp, and the units, which nobody starts unasked.
set -eu
umask 022
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=deploy/wheel.sh
. "$here/wheel.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$here/tree.sh" "$wheel" "$work/root"
# rpm takes 0 for none.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
# Nothing is stripped, compiled or looked through for dependencies: the files are those of the wheel.
rpmbuild -bb --quiet --target "$arch-linux" \
	--define "_topdir $work/rpm" \
	--define "_rpmdir $work/out" \
	--define "version_of_wheel $version" \
	--define "root_of_files $work/root" \
	--define "use_source_date_epoch_as_buildtime 1" \
	--define "clamp_mtime_to_source_date_epoch 1" \
	--define "_buildhost localhost" \
	"$here/rpm/rawtp.spec"
mv "$work/out/$arch"/rawtp-*.rpm "$out/"
