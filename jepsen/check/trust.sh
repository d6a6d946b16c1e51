#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Can the checkers be trusted? The corpus through jepsen-check, and then through two broken checkers, which the corpus must
# expose: one that always says ok, one that always complains. usage: trust.sh JEPSEN_CHECK
set -u
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/corpus.sh" "$1" || exit 1
failed=0
always() { # NAME OUTPUT STATUS
    local broken
    broken=$(mktemp)
    printf '#!/bin/sh\necho '\''%s'\''\nexit %s\n' "$2" "$3" >"$broken"
    chmod +x "$broken"
    if QUORATE_COUNTS='' bash "$here/corpus.sh" "$broken" >/dev/null; then
        echo "FAIL  a checker that $1 passes the corpus"
        failed=$((failed + 1))
    else
        echo "ok    a checker that $1 is exposed"
    fi
    rm -f "$broken"
}
always "always says ok" '{"kind":"x","verdict":"ok","rule":"ok"}' 0
always "always complains" '{"kind":"x","verdict":"violated","rule":"lost"}' 1
[ -n "${QUORATE_COUNTS:-}" ] && echo "$((2 - failed)) $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
