#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the PostgreSQL integration tests as an unprivileged user: as root it drops to `postgres`.
# Usage: run.sh BUILD_DIRECTORY TEST...
set -u
build=$1
shift
if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then
    echo "SKIP pg-test: PostgreSQL 15 is not installed"
    exit 0
fi
failed=0
for test in "$@"; do
    # A copy: the build directory may be closed to the other user.
    copy=$(mktemp -d /tmp/quorate-pg-bin-XXXXXX)
    cp "$build/test/$test" "$copy/$test"
    cp -R "$(dirname "$0")/../../../packaging/samples" "$copy/samples"
    chmod -R a+rX "$copy"
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$copy/$test") || failed=1
    else
        "$copy/$test" || failed=1
    fi
    rm -rf "$copy"
done
exit $failed
