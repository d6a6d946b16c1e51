#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packages for arm64 by Debian's cross-compiler, in a Debian root of its own, so that this machine's packages stay as they are.
# --test: unit tests too, cross-compiled and run by qemu-user. usage: arm64.sh [--test]
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
[ "$(id -u)" -eq 0 ] || { skip "arm64" "a Debian root is made as root"; report_end arm64; }
root=$PWD/build/roots/arm64
host=aarch64-linux-gnu
dev="libuv1-dev liblmdb-dev libssl-dev libcrypt-dev libprotobuf-c-dev libnghttp2-dev libjansson-dev libyaml-dev libpq-dev libmariadb-dev libmongoc-dev libcmocka-dev"
make_root() {
    [ ! -e "$root.made" ] || return 0
    rm -rf "$root"
    debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} &&
        inside dpkg --add-architecture arm64 && inside apt-get update -qq &&
        inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends make pkg-config protobuf-c-compiler debhelper dpkg-dev git \
            gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libc6:arm64 $(for p in $dev; do echo "$p:arm64"; done) && touch "$root.made"
}
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }
cross() { # WORDS for make, in the tree that is mounted inside
    unshare --mount --propagation private bash -c 'mkdir -p "$1/src" && mount --bind . "$1/src" && mount -t proc proc "$1/proc" && shift && exec "$@"' - "$root" \
        chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
        PKG_CONFIG_LIBDIR=/usr/lib/$host/pkgconfig:/usr/share/pkgconfig CC=$host-gcc bash -c "git config --global --add safe.directory /src; cd /src && $1"
}
logged() { "$@" >build/arm64.log 2>&1 || { tail -n 25 build/arm64.log; return 1; }; }
mkdir -p build/roots
check "a Debian root with a cross-compiler" logged make_root
version=$(make -s print-version)
programs=$(make -s print-installed)
# manual pages come out of the programs of this machine
check "programs of this machine" logged make --no-print-directory -j2 man
check "programs for arm64" logged cross "make CC=$host-gcc B=build/arm64 -j2 $(printf 'build/arm64/bin/%s ' $programs)"
check "packages for arm64" logged cross "BIN_MAKE='CC=$host-gcc MAN_FROM=/src/build/release/doc' bash packaging/deb.sh build/arm64 build/deb-arm64 $version arm64"
check_output "each is for arm64 or for all" "" eval 'for deb in build/deb-arm64/*.deb; do dpkg-deb -f "$deb" Architecture; done | grep -vE "^(arm64|all)$"'
for program in $programs; do
    check "$program is for arm64, and runs under qemu" eval \
        'file=build/arm64/bin/$program; readelf -h "$file" | grep -q AArch64 && cross "qemu-aarch64 /src/$file --version" | grep -q "$version"'
done
[ "${1:-}" = --test ] || report_end arm64
tests="base_test wal_test raft_core_test raft_wire_test wire_link_test kv_core_test guard_core_test agt_core_test arb_lease_test snapshot_test"
check "unit tests for arm64" logged cross "make VARIANT=debug CC=$host-gcc B=build/arm64-debug -j2 $(printf 'build/arm64-debug/test/%s ' $tests)"
for test in $tests; do check "$test on arm64, under qemu" logged cross "qemu-aarch64 /src/build/arm64-debug/test/$test"; done
report_end arm64
