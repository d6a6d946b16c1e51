#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the packages of the committed tree twice, in directories, times, locales and with masks that differ, and compares them.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-repro.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export CCACHE_DISABLE=1 SOURCE_DATE_EPOCH
commit=$(git rev-parse HEAD) SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
build() { # DIRECTORY JOBS
    mkdir -p "$1" && git archive "$commit" | tar -x -C "$1" &&
        (cd "$1" && env -u MAKEFLAGS -u MAKELEVEL -u B -u VARIANT make --no-print-directory "-j$2" deb) >"$1.log" 2>&1 || { tail -n 20 "$1.log"; return 1; }
}
check "built once" build "$work/a" 2
(umask 077 && TZ=Asia/Kathmandu LC_ALL=C.UTF-8 build "$work/a-much-longer-name-of-a-directory/b" 1)
check "built again elsewhere" test -d "$work/a-much-longer-name-of-a-directory/b/build/deb"
sums() { (cd "$1/build/deb" && sha256sum ./*.deb); }
check_output "the packages are the same, byte by byte" "" diff <(sums "$work/a") <(sums "$work/a-much-longer-name-of-a-directory/b")
note "$(sums "$work/a" | wc -l) packages"
report_end repro
