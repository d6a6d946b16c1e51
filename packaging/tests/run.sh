#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script of this folder in a sandbox, with packages of an older version and of the present one (setup: of that alone; readme: no packages): the older
# is the newest release (tag v*) of the clone, or this one built as if its protocol were one lower. usage: run.sh packages|servers|ansible|setup|readme
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
script=$1
if [ "$(id -u)" -ne 0 ] || ! unshare --net --mount --pid --cgroup --fork true 2>/dev/null; then
    skip "$script" "whole machines need root and namespaces"
    report_end "$script"
fi
grep -q ' - cgroup2 .*rw' /proc/self/mountinfo || { skip "$script" "no cgroup v2 that may be written to"; report_end "$script"; }
export BIN=$PWD/build/release/bin DEBS=$PWD/build/debs-older DEBS_NEWER=$PWD/build/debs-present
tag=$(git tag -l 'v*' --sort=-v:refname | head -n 1)
version=$(make -s print-version)
older() {
    if [ -n "$tag" ]; then
        rm -rf build/older-tree && mkdir -p build/older-tree && git archive "$tag" | tar -x -C build/older-tree &&
            make -C build/older-tree --no-print-directory -j2 deb DEB_OUT="$DEBS"
    else
        make --no-print-directory -j2 B=build/older EXTRA_CPPFLAGS=-DQUORATE_PROTOCOL=1 man &&
            BIN_MAKE=EXTRA_CPPFLAGS=-DQUORATE_PROTOCOL=1 bash packaging/deb.sh build/older "$DEBS" "$version~1"
    fi >"$DEBS.log" 2>&1 || { tail -n 20 "$DEBS.log" >&2; return 1; }
}
mkdir -p build
export INSTALLED=$PWD/build/installed
case $script in
readme) rm -rf "$INSTALLED" && check "make install PREFIX=/usr" make --no-print-directory -j2 VARIANT=release install PREFIX=/usr DESTDIR="$INSTALLED" ;;
setup) ;;
*) check "packages of the older version: ${tag:-this one with its protocol one lower}" older ;;
esac
[ "$script" = readme ] || check "packages of the present version" make --no-print-directory -j2 deb DEB_OUT="$DEBS_NEWER"
check "a Debian root" bash packaging/tests/root.sh
make --no-print-directory VARIANT=release build/release/bin/pgload build/release/bin/jepsen-wire build/release/bin/mongosim >/dev/null
[ "$FAILED" -eq 0 ] || report_end "$script"
ROOT=$(bash packaging/tests/root.sh) exec bash jepsen/hosts/sandbox.sh -t 900 "packaging/tests/$script.sh"
