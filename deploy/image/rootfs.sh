#!/bin/sh
# Turns the root file system of a minimal Debian, in which it runs as root, into that of the image. The Containerfile
# and the test of the image both call it.
#
#     rootfs.sh INSTALL_SH WHEEL
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3
sh "$1" "$2"
# Members may read a history that is mounted from the host; the number is that of the files.
groupadd --system --gid 987 rawtp
mkdir -m 0750 /var/lib/rawtp
chgrp rawtp /var/lib/rawtp
ln -s /opt/rawtp/bin/rawtp /usr/local/bin/rawtp
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man
