#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages of the programs in BUILD_DIR, by debhelper, as any user, into OUT_DIR: the same bytes for the same commit.
# usage: deb.sh BUILD_DIR OUT_DIR VERSION [ARCHITECTURE]     environment: MAN_BIN, BIN_MAKE (further words for make)
set -eu
cd "$(dirname "$0")/.."
build=$1 out=$2 version=$3 arch=${4:-$(dpkg --print-architecture)}
for tool in dh dpkg-buildpackage; do
    command -v "$tool" >/dev/null || { echo "deb: no $tool; run: make deps-tests" >&2; exit 1; }
done
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1750000000)}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/quorate"
cp -r packaging/debian "$work/quorate/debian"
for engine in galera mongodb; do # a build without that engine has no package of it
    rm "$work/quorate/debian/control.$engine"
    if [ -x "$build/bin/quorate-agent-$engine" ]; then
        cat "packaging/debian/control.$engine" >>"$work/quorate/debian/control"
    else
        rm "$work"/quorate/debian/quorate-agent-"$engine".*
    fi
done
printf 'quorate (%s) bookworm; urgency=medium\n\n  * Version %s.\n\n -- Quorate developers <maintainers@quorate.example>  %s\n' \
    "$version" "$version" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$work/quorate/debian/changelog"
case $build in /*) ;; *) build=$PWD/$build ;; esac
if ! (cd "$work/quorate" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS TOP="$OLDPWD" LC_ALL=C.UTF-8 TZ=UTC \
        DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-noautodbgsym nocheck}" QUORATE_INSTALL="B=$build ${BIN_MAKE:-}" \
        dpkg-buildpackage -b -us -uc -d --no-sign --host-arch "$arch") >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    exit 1
fi
rm -f "$out"/quorate-*.deb "$out"/quorate_*
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out/"
ls "$out"/*.deb
