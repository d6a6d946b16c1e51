#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The rules of the tree that a compiler does not check. usage: lint.sh BUILD_DIR
# Each rule prints its offenders and counts as one test. Purity needs the archives of BUILD_DIR.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1
here=tests/lint
verdicts=$(mktemp)
trap 'rm -f "$verdicts"' EXIT

# rule NAME: offenders on standard input, none means passed.
rule() {
    local name=$1 offenders
    offenders=$(cat)
    if [ -z "$offenders" ]; then
        echo ok >>"$verdicts"
        printf 'ok    %s\n' "$name"
    else
        echo FAIL >>"$verdicts"
        printf 'FAIL  %s\n' "$name"
        sed 's/^/      /' <<<"$offenders" | head -n 40
    fi
}

list() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done | sort; }
mapfile -t code < <(list '*.c' '*.h')
mapfile -t text < <(list '*.c' '*.h' '*.mk' '*.sh' '*.md' '*.proto' '*.awk' '*.yml' '*.yaml' 'Makefile' '.ci/run')

for f in "${code[@]}"; do
    head -n 1 "$f" | grep -q '^/\* SPDX-License-Identifier: Apache-2.0 \*/$' || echo "$f: first line is not the licence line"
done | rule "licence line"

for f in $(list '*.sh' '.ci/run'); do
    sed -n 1,2p "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f: no licence line at its top"
    bash -n "$f" 2>&1
done | rule "shell scripts"

# jq -e says yes to nothing, unless it is the one of tests/support/jq.sh, which knows -e in front.
for f in $(list '*.sh' ':!tests/lint' ':!tests/support/jq.sh'); do
    grep -v '^ *#' "$f" | grep -qE '\bjq( +-[a-zA-Z]+)* +(-[a-zA-Z]*e|--exit-status)' || continue
    grep -qE '^\. .*tests/support/jq\.sh"?$' "$f" || echo "$f: jq -e without '. tests/support/jq.sh': it would take no answer for a good one"
    grep -nE '\bjq( +-[a-zA-Z]+)* +(-[a-df-zA-Z]+e|--exit-status)' "$f" | sed "s|^|$f:|; s|\$|: write -e in front|"
done | rule "jq -e wants an answer"

for f in "${code[@]}"; do
    case $f in *.h) ;; *) continue ;; esac
    want=QUORATE_$(tr 'a-z/.-' 'A-Z___' <<<"$f")
    grep -q "^#ifndef $want\$" "$f" && grep -q "^#define $want\$" "$f" || echo "$f: header guard is not $want"
done | rule "header guards"

awk 'length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns" }' "${code[@]}" | rule "100 columns"
grep -nHE '[ 	]+$' "${text[@]}" | cut -c1-120 | rule "trailing space"
grep -nHP '\t' "${code[@]}" | cut -c1-120 | rule "no tabs in C"
# The simulator leaves a broken run by longjmp: nothing of it is used afterwards.
grep -nHE '\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|alloca|strncpy|strncat|setjmp|longjmp)\(' "${code[@]}" |
    grep -vE '^tests/sim/[a-z_]+\.c:[0-9]+:.*(setjmp|longjmp)\(' | rule "banned calls"
grep -nHwE 'TODO|FIXME|XXX|HACK' "${code[@]}" $(list '*.sh' '*.mk' '*.proto' Makefile) | grep -v '^tests/lint/lint.sh' | rule "no loose ends"
grep -nHE '/(work|root)/|/tmp/q/' "${text[@]}" | grep -v '^tests/lint/lint.sh' | cut -c1-120 | rule "no path of one machine"
awk -f $here/sizes.awk "${code[@]}" | sort >"$build/lint-sizes"
comm -23 <(cut -d: -f1,2 "$build/lint-sizes" | sort -u) <(grep -v '^#' $here/ratchet.txt | sort -u) |
    while IFS= read -r key; do grep -F -- "$key:" "$build/lint-sizes"; done | rule "function and file sizes"
awk -f $here/layers.awk "${code[@]}" | rule "layers"

# So is a mark: MARK(ID) may stand at several places.
diff <(sed -n 's/^    X(\([A-Z0-9_]*\), "[a-z0-9-]*",.*/\1/p' base/mark.h | sort -u) \
    <(git grep -hoE '\bMARK\([A-Z][A-Z0-9_]*\)' -- '*.c' ':!base' | sed 's/MARK(//; s/)//' | sort -u) |
    grep '^[<>]' | sed 's/^</in the table, but passed nowhere:/; s/^>/passed, but not in the table:/' | rule "marks"
# A failpoint that is not in the table does not compile; one that no code passes is a lie.
diff <(sed -n 's/^    X(\([A-Z_]*\), "[a-z.]*", ".*/\1/p' base/failpoint.h | sort) \
    <(grep -oE '\bFAILPOINT\([A-Z_]+\)' "${code[@]}" | grep -v '^tests/\|(ID)' | sed 's/.*FAILPOINT(\(.*\))/\1/' | sort) |
    grep '^[<>]' | sed 's/^</in the table, but passed nowhere or not once:/; s/^>/passed more than once:/' | rule "failpoints"

# Events of the log are a table as well; those of the arbiter's own sentences stand in arbiter/core/note.h.
diff <(sed -n 's/^    X("\([a-z_]*\)", "\([a-z_-]*\)",.*/\1 \2/p' proto/io/log_events.h | sort) \
    <(awk -f $here/log_events.awk $(list 'base/*.c' 'proto/*.c' 'raft/*.c' 'kv/*.c' 'arbiter/*.c' 'agents/*.c') | sort -u) |
    grep '^[<>]' | sed 's/^</in proto\/io\/log_events.h, but nobody writes it:/; s/^>/written, but not in proto\/io\/log_events.h:/' | rule "events of the log"

for dir in $(list '*.c' | xargs -n1 dirname | sort -u); do
    [ -f "$dir/README.md" ] || [ -f "$(dirname "$dir")/README.md" ] || echo "$dir: no README.md"
done | rule "a README in every folder"

# Objects that no rule builds are dead files.
make --no-print-directory -s print-sources 2>/dev/null | tr ' ' '\n' | sort -u >"$build/lint-sources"
list '*.c' | comm -23 - "$build/lint-sources" | sed 's/$/: in no module.mk/' | rule "no dead files"

allowed='^(memcpy|memmove|memset|memcmp|memchr|strlen|strcmp|strncmp|strnlen|base_panic|__cpu_model|__stack_chk_fail|__memcpy_chk|__memset_chk|__memmove_chk|_GLOBAL_OFFSET_TABLE_|__asan_.*|__ubsan_.*) '
nm --defined-only "$build/libbase.a" "$build/libcores.a" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$build/lint-defined"
for lib in base cores; do
    [ -f "$build/lib$lib.a" ] || { echo "$build/lib$lib.a is not built"; continue; }
    nm -A -u "$build/lib$lib.a" | awk '{print $NF, $1}' | sort |
        join -v 1 - "$build/lint-defined" | grep -vE "$allowed"
done | rule "cores are pure (no malloc, time, printf, open, rand)"

if command -v clang-format >/dev/null; then
    clang-format --dry-run -Werror "${code[@]}" 2>&1 | grep -E 'error|warning' | cut -c1-160 | rule "formatting"
fi

passed=$(grep -c ok "$verdicts") failed=$(grep -c FAIL "$verdicts")
printf 'lint: %d passed, %d failed\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
