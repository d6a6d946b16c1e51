#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over files, as many at a time as there are processors. usage: tidy.sh FLAG... -- FILE...
set -u
flags=()
while [ "$1" != -- ]; do
    flags+=("$1")
    shift
done
shift
most=$(nproc) failed=0
for file; do
    [ "$(jobs -rp | wc -l)" -lt "$most" ] || wait -n || failed=1
    clang-tidy --quiet "$file" -- -std=gnu17 -D_GNU_SOURCE "${flags[@]}" 2>/dev/null &
done
while [ -n "$(jobs -p)" ]; do
    wait -n || failed=1
done
printf 'tidy: %d files, %s\n' "$#" "$([ $failed = 0 ] && echo clean || echo 'see above')"
exit $failed
