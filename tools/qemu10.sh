#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fetches QEMU 10 beside the distribution's 7.2, for what only it emulates
# (x2APIC): from the suite NAME-backports of the mirror that this machine uses,
# unpacked under build/deps/qemu10 and never installed. Which packages that
# takes, libraries that are missing here included, apt finds out.
#
#   tools/qemu10.sh     fetches it where it is not there yet; silent if it is
#
# tools/machine.py starts it, with its own libraries, modules and firmware.
set -eu

PACKAGES="qemu-system-x86 qemu-system-arm"
MAJOR=10

cd "$(dirname "$0")/.."
target=build/deps/qemu10
stamp=$target/packages

say() { printf 'qemu10: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

[ -s $stamp ] && [ -x $target/usr/bin/qemu-system-x86_64 ] && exit 0

. tools/apt.sh

# Tests that run at the same time want it once.
mkdir -p build/deps
exec 9>build/deps/qemu10.lock
flock 9
[ -s $stamp ] && exit 0

more_suites=backports
private_apt "$(pwd)/build/apt/qemu10" $PACKAGES
suite=$(sed -n 's/^deb .* \([a-z]*-backports\) main$/\1/p' "$apt/sources.list" | head -n 1)
for p in $PACKAGES; do
    apt-cache -c "$apt/apt.conf" policy "$p" | grep -q " 1:$MAJOR\." ||
        die "the suite $suite of this machine's mirror has no package $p of version $MAJOR"
done

say "fetching from $suite: $PACKAGES, and what they need"
# Only downloaded: neither root nor the lock of the machine's own packages is needed.
apt-get -q -y -c "$apt/apt.conf" -o Debug::NoLocking=true -t "$suite" install --download-only \
    --no-install-recommends $PACKAGES >"$apt/download.log" 2>&1 || {
    grep -E '^(E|W|Err)' "$apt/download.log" >&2 || tail -n 20 "$apt/download.log" >&2
    die "could not fetch $PACKAGES or what they need (the whole log: $apt/download.log)"
}
rm -rf $target.new
mkdir -p $target.new
for deb in "$apt"/cache/archives/*.deb; do
    [ -f "$deb" ] || die "apt fetched none of: $PACKAGES"
    dpkg-deb -x "$deb" $target.new || die "the package $(basename "$deb") cannot be unpacked"
    basename "$deb" >>$target.new/packages
done
for p in $PACKAGES; do
    # Where the machine has this version itself, nothing was fetched.
    grep -q "^${p}_" $target.new/packages || die "the package $p was not fetched"
done
rm -rf $target
mv $target.new $target
rm -rf "$apt"
say "done: $(tr '\n' ' ' <$stamp)"
