#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Merges inputs into a target's corpus: the smallest ones that together reach what all of them reach, at most 80, and seed-*.
# usage: keep.sh BUILD_DIR NAME DIRECTORY...
set -u
build=$1 name=$2
shift 2
corpus=tests/fuzz/corpus/$name
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
mkdir -p "$corpus"
"$build/$name" -merge=1 -max_len=1024 -close_fd_mask=3 "$fresh" "$corpus" "$@" >/dev/null 2>&1
[ -n "$(find "$fresh" -type f -print -quit)" ] || exit 1 # the merge has failed: the corpus stays
# Named ones stay: a planted bug may be caught by one of them alone.
find "$corpus" -type f ! -name 'seed-*' -delete
find "$fresh" -type f | sort | head -n 80 | while read -r path; do cp "$path" "$corpus/"; done
