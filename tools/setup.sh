#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Brings a machine to the state in which Skerry builds: Debian packages by
# name and major version, and the few sources that are built from elsewhere.
#
#   tools/setup.sh              what every make target runs first
#   tools/setup.sh debootstrap  the same, plus the named extra packages
#   tools/setup.sh +boards      the same, plus test data that is only unpacked, under build/deps:
#                               +boards       the device trees of Debian's arm64 kernel, and dtc
#                               +acpi-tables  the ACPI tables of QEMU's own tests
#
# A bare Debian 12 has sh, make and git and nothing else, so this file is
# POSIX sh and uses only what the essential packages have. It never edits the
# machine's own apt configuration: sources (and the security suite, which a
# minimal system lacks) are read through a private one under build/apt.
#
# When there is nothing to do it costs a few milliseconds: the stamp holds the
# checksum of this file, which holds every list, and of apt.sh.
set -eu

PACKAGES="clang-22 lld-22 llvm-22 clang-format-22 libclang-rt-22-dev libc6-dev
          qemu-system-x86 qemu-system-arm gdb-multiarch python3 xz-utils
          ovmf qemu-efi-aarch64 mtools"

# Commands whose presence shows that the packages are still there.
COMMANDS="clang-22 ld.lld-22 llvm-objcopy-22 llvm-symbolizer-22 clang-format-22
          qemu-system-x86_64 qemu-system-aarch64 gdb-multiarch /usr/bin/python3 xz
          lld-link-22 mformat"

# sha256 of the upstream archives of two source packages.
ATF_SHA256=a4ecc35e0b893fe8682c075fc1bdb858de87e4cb18fbed9a1597e2c9f6d320de
BEARSSL_SHA256=102a625bd8f6155260867a50c508df8d8c3f796985dd744df1a68e5cd1a79004

# Of all ACPI headers together. The kernel header package changes its name with
# every update, and only its newest version is on the mirror: a difference here
# is therefore reported, not fatal. Its origin is checked by apt.
ACPICA_SHA256=d4613d7b8f6cd293bcfc392133f061da447d8c7fcf6723d3f91d67394d224960

cd "$(dirname "$0")/.."
top=$(pwd)
extra= data=
for word in "$@"; do
    case $word in
    +*) data="$data ${word#+}" ;;
    *) extra="$extra $word" ;;
    esac
done
stamp=build/setup.stamp
deps=build/deps
apt=$top/build/apt

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

have_data() {
    for d in $data; do
        [ -f "$deps/$d/complete" ] || return 1
    done
}

have_commands() {
    for c in $COMMANDS $extra; do
        command -v "$c" >/dev/null 2>&1 || [ -x "/usr/sbin/$c" ] || return 1
    done
}

key=$(cat tools/setup.sh tools/apt.sh | cksum)
if [ -r $stamp ]; then
    read -r done_key <$stamp || true
    if [ "$done_key" = "$key" ] && have_commands && have_data; then
        exit 0
    fi
fi

# --- a private apt ---------------------------------------------------------

. tools/apt.sh

apt_is_ready=
need_apt() {
    [ -n "$apt_is_ready" ] || private_apt "$apt" $PACKAGES
    apt_is_ready=yes
}

# --- packages ---------------------------------------------------------------

missing=
for p in $PACKAGES $extra; do
    case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true) in
    *" installed") ;;
    *) missing="$missing $p" ;;
    esac
done

if [ -n "$missing" ]; then
    need_apt
    for p in $missing; do
        apt-cache -c "$apt/apt.conf" show "$p" >/dev/null 2>&1 ||
            die "package $p is not on this machine's mirror (see $apt/sources.list)"
    done
    say "installing:$missing"
    install="apt-get -q -y -o DPkg::Lock::Timeout=600 -c $apt/apt.conf install --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        as_root="env"
    elif command -v sudo >/dev/null 2>&1; then
        as_root="sudo env"
    else
        say "these packages are missing; as root, run this, then run make again:"
        printf '%s\n' "$install"
        exit 1
    fi
    # shellcheck disable=SC2086  # both are lists of words
    $as_root DEBIAN_FRONTEND=noninteractive $install >"$apt/install.log" 2>&1 </dev/null || {
        tail -n 30 "$apt/install.log" >&2
        die "installing failed:$missing (the whole log: $apt/install.log)"
    }
    rm -f "$apt"/cache/archives/*.deb 2>/dev/null || true
fi

# --- sources ----------------------------------------------------------------

mkdir -p $deps

# fetch_source PACKAGE SHA256: leaves its upstream archive at $deps/PACKAGE.tar
# with whatever compression it has (tar finds out by itself).
fetch_source() {
    if [ -f "$deps/$1.tar" ] && echo "$2  $deps/$1.tar" | sha256sum -c --status 2>/dev/null; then
        return
    fi
    need_apt
    say "fetching the source of $1"
    rm -rf "$apt/source" && mkdir -p "$apt/source"
    # Only the upstream archive: Debian's own revision of it may move on the
    # mirror, and the checksum here must not.
    (cd "$apt/source" &&
        apt-get -q -c "$apt/apt.conf" source --download-only --tar-only "$1") \
        >"$apt/source.log" 2>&1 || {
        cat "$apt/source.log" >&2
        die "could not fetch the source package $1"
    }
    file=$(find "$apt/source" -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)
    [ -n "$file" ] || die "the source package $1 has no upstream archive"
    got=$(sha256sum <"$file" | cut -d' ' -f1)
    [ "$got" = "$2" ] ||
        die "source package $1 ($(basename "$file")) has sha256 $got, expected $2"
    mv "$file" "$deps/$1.tar"
}

# unpack PACKAGE FOLDER MEMBERS...: these members of its archive, flat or as
# they are, end in $deps/FOLDER.
unpack() {
    package=$1 folder=$2
    shift 2
    rm -rf "$deps/$folder" "$deps/tmp" && mkdir -p "$deps/tmp"
    tar -xf "$deps/$package.tar" -C "$deps/tmp" --strip-components=1 --wildcards "$@" ||
        die "the archive of $package does not hold: $*"
}

fetch_source arm-trusted-firmware $ATF_SHA256
unpack arm-trusted-firmware libfdt '*/lib/libfdt/*'
mkdir -p $deps/libfdt
mv $deps/tmp/lib/libfdt/*.[ch] $deps/tmp/include/lib/libfdt/*.h $deps/libfdt/

fetch_source bearssl $BEARSSL_SHA256
unpack bearssl bearssl '*/inc/*' '*/src/*'
mkdir -p $deps/bearssl
mv $deps/tmp/inc $deps/tmp/src $deps/bearssl/

fetch_acpica() {
    need_apt
    meta=linux-headers-$(dpkg --print-architecture)
    real=$(apt-cache -c "$apt/apt.conf" depends "$meta" 2>/dev/null |
        sed -n 's/.*Depends: \(linux-headers-[^ ]*\)$/\1/p' | head -n 1)
    [ -n "$real" ] || die "package $meta cannot be resolved"
    common=$(apt-cache -c "$apt/apt.conf" depends "$real" 2>/dev/null |
        sed -n 's/.*Depends: \(linux-headers-[^ ]*-common\)$/\1/p' | head -n 1)
    [ -n "$common" ] || die "package $real names no common headers"
    say "fetching the ACPI headers from $common"
    rm -rf "$apt/deb" && mkdir -p "$apt/deb/tree"
    (cd "$apt/deb" && apt-get -q -c "$apt/apt.conf" download "$common") >"$apt/deb.log" 2>&1 || {
        cat "$apt/deb.log" >&2
        die "could not fetch the package $common"
    }
    dpkg-deb --fsys-tarfile "$apt"/deb/*.deb |
        tar -xf - -C "$apt/deb/tree" --wildcards '*/include/acpi/actypes.h' '*/include/acpi/actbl*.h' ||
        die "the package $common holds no ACPI table headers"
    rm -rf $deps/acpica && mkdir -p $deps/acpica/acpi
    find "$apt/deb/tree" -name 'act*.h' -exec mv {} $deps/acpica/acpi/ \;
    rm -rf "$apt/deb"
    got=$(cat $deps/acpica/acpi/act*.h | sha256sum | cut -d' ' -f1)
    [ "$got" = "$ACPICA_SHA256" ] ||
        say "warning: the ACPI headers of $common have sha256 $got, not $ACPICA_SHA256"
}

if [ ! -f $deps/acpica/acpi/actbl3.h ]; then
    fetch_acpica
fi

# --- test data ----------------------------------------------------------------

# Packages of another architecture need its lists; they are downloaded, never installed.
download_arm64() {
    arm=$apt/arm64
    mkdir -p "$arm/lists/partial" "$arm/cache/archives/partial"
    sed "s#$apt/lists#$arm/lists#; s#$apt/cache#$arm/cache#" "$apt/apt.conf" >"$arm/apt.conf"
    echo 'APT::Architectures {"amd64"; "arm64";}; Dir::Etc::sourcelist "'"$apt/sources.list"'";' \
        >>"$arm/apt.conf"
    apt-get -q -c "$arm/apt.conf" update >"$arm/update.log" 2>&1 || {
        cat "$arm/update.log" >&2
        die "apt-get update for arm64 failed"
    }
    real=$(apt-cache -c "$arm/apt.conf" depends "$1:arm64" 2>/dev/null |
        sed -n 's/.*Depends: \([^ ]*\)$/\1/p' | head -n 1)
    [ -n "$real" ] || die "package $1:arm64 cannot be resolved"
    say "fetching $real (60 MB)"
    (cd "$apt/deb" && apt-get -q -c "$arm/apt.conf" download "$real") >"$apt/deb.log" 2>&1 || {
        cat "$apt/deb.log" >&2
        die "could not fetch the package $real"
    }
}

fetch_boards() {
    need_apt
    rm -rf "$apt/deb" $deps/boards && mkdir -p "$apt/deb/tree" $deps/boards
    download_arm64 linux-image-arm64
    dpkg-deb --fsys-tarfile "$apt"/deb/linux-image-*.deb |
        tar -xf - -C "$apt/deb/tree" --wildcards './usr/lib/linux-image-*/*.dtb' ||
        die "the kernel package holds no device trees"
    mv "$apt"/deb/tree/usr/lib/linux-image-*/* $deps/boards/
    say "fetching device-tree-compiler"
    (cd "$apt/deb" && apt-get -q -c "$apt/apt.conf" download device-tree-compiler) \
        >"$apt/deb.log" 2>&1 || die "could not fetch the package device-tree-compiler"
    dpkg-deb --fsys-tarfile "$apt"/deb/device-tree-compiler_*.deb |
        tar -xf - -C $deps/boards --strip-components=3 ./usr/bin/dtc ||
        die "the package device-tree-compiler holds no dtc"
    rm -rf "$apt/deb" "$apt/arm64"
    touch $deps/boards/complete
}

fetch_acpi_tables() {
    need_apt
    rm -rf $deps/acpi-tables && mkdir -p $deps/acpi-tables "$apt/source"
    say "fetching the source of qemu (24 MB)"
    (cd "$apt/source" &&
        apt-get -q -c "$apt/apt.conf" source --download-only --tar-only qemu) \
        >"$apt/source.log" 2>&1 || die "could not fetch the source package qemu"
    tar -xf "$apt"/source/qemu_*.orig.tar.* -C $deps/acpi-tables --strip-components=4 \
        --wildcards '*/tests/data/acpi/*' || die "the source of qemu holds no ACPI tables"
    touch $deps/acpi-tables/complete
}

for d in $data; do
    [ ! -f "$deps/$d/complete" ] || continue
    case $d in
    boards) fetch_boards ;;
    acpi-tables) fetch_acpi_tables ;;
    *) die "there is no test data called $d" ;;
    esac
done

rm -rf $deps/tmp "$apt/source" "$apt/cache" # some tens of megabytes that nobody reads again
have_commands || die "the packages are installed, yet one of these is not found: $COMMANDS $extra"
printf '%s\n' "$key" >$stamp
say "done"
