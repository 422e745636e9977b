#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does what a newcomer does, on a machine that has nothing: a minimal Debian 12
# with only make and git, a clone of the last commit, the README's commands.
# Needs root, and debootstrap (tools/setup.sh debootstrap). Its mirror is the
# one that this machine uses.
set -eu
cd "$(dirname "$0")/.."
top=$(pwd)
root=$top/build/fresh

say() { printf 'fresh: %s\n' "$*" >&2; }
[ "$(id -u)" = 0 ] || { say "error: this needs root"; exit 1; }

unmount() {
    for m in dev/pts dev proc; do
        umount "$root/$m" 2>/dev/null || umount -l "$root/$m" 2>/dev/null || true
    done
}

# Never while something of this machine is still mounted below.
remove() {
    unmount
    if grep -q " $root/" /proc/mounts; then
        say "error: something is still mounted below $root"
        exit 1
    fi
    rm -rf "$root"
}
trap 'status=$?; remove; exit $status' EXIT
trap 'exit 1' INT TERM
remove

# setup has written down where this machine gets its packages.
if [ ! -s build/apt/sources.list ]; then
    rm -f build/setup.stamp && rm -rf build/deps && sh tools/setup.sh debootstrap
fi
mirror=$(awk '$1 == "deb" && $(NF - 1) == "bookworm" { print $(NF - 2); exit }' build/apt/sources.list)
[ -n "$mirror" ] || { say "error: this machine has no mirror of Debian 12"; exit 1; }

say "a minimal system, with make and git"
debootstrap --variant=minbase --include=make,git,ca-certificates bookworm "$root" "$mirror" \
    >build/fresh.log 2>&1 || { tail -n 20 build/fresh.log >&2; exit 1; }
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$root/dev/pts"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
# A machine behind a proxy or a checking gateway is told so by its own settings.
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
if [ -d /usr/local/share/ca-certificates ]; then
    cp -r /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null || true
    chroot "$root" update-ca-certificates >/dev/null 2>&1 || true
fi

say "a clone of $(git rev-parse --short HEAD)"
git -c safe.directory='*' clone -q --no-hardlinks "file://$top" "$root/skerry"

inside() {
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        chroot "$root" sh -c "cd /skerry && $1" </dev/null
}

say "make test-host"
inside 'make test-host' >build/fresh-host.log 2>&1 || { tail -n 40 build/fresh-host.log >&2; exit 1; }
tail -n 1 build/fresh-host.log
for arch in x86_64 aarch64; do
    say "make run ARCH=$arch CMD='ls /disk'"
    inside "make run ARCH=$arch CMD='ls /disk'" >"build/fresh-$arch.log" 2>&1 || {
        tail -n 40 "build/fresh-$arch.log" >&2
        exit 1
    }
    tail -n 5 "build/fresh-$arch.log"
    grep -q README "build/fresh-$arch.log" || { say "error: no README in the listing"; exit 1; }
done
say "done"
