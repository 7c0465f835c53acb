# shellcheck shell=sh
# What a package's build is given: a wheel, and where to. Sourced; it sets `wheel`, `out`, `version`, and `arch` as the
# kernel says it.
wheel=$1
out=$2
name=$(basename "$wheel")
version=$(echo "$name" | cut -d - -f 2)
case $name in
*x86_64.whl) arch=x86_64 ;;
*aarch64.whl) arch=aarch64 ;;
*) echo "$name: neither x86_64 nor aarch64" >&2 && exit 2 ;;
esac
