#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command that the documentation shows is run by a test, or stands in commands.txt with the reason why not; every `kv ...`
# in a sentence names a command and options that exist. usage: KV=PROGRAM commands.sh
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
list=${LIST:-tests/reference/commands.txt}
pages=(README.md docs/*.md)

# PAGE TAB COMMAND of each line in a fence without a language; comments and the prompt taken off.
shown() {
    awk -v OFS='\t' '
        FNR == 1 { inside = 0 }
        /^ *```/ { if (!inside) { plain = $0 ~ /^ *```$/ } inside = !inside; next }
        inside && plain {
            sub(/^ +/, ""); sub(/ +# .*/, ""); sub(/^#.*/, "")
            if ($0 != "") print FILENAME, $0
        }' "${pages[@]}"
}
# Rows: PAGE | COMMAND | RUNNER | WORDS. COMMAND is how it begins, or "*". RUNNER "-": not run, WORDS is the reason; else the
# script runs it, and WORDS stand in it ("" when it reads the page itself).
rows() { sed -e '/^#/d' -e '/^ *$/d' "$list"; }

covered() { # prints what no row covers, and rows that cover nothing or lie
    awk -F'\t' '
        FNR == NR {
            count = split($0, part, / *\| */); if (count < 4) { print "a row with " count " parts: " $0; next }
            n++; page[n] = part[1]; begin[n] = part[2]; row[n] = $0; next
        }
        {
            found = 0
            for (i = 1; i <= n; i++) if (page[i] == $1 && (begin[i] == "*" || index($2, begin[i]) == 1)) { used[i] = 1; found = 1; break }
            if (!found) print "nothing runs it: " $1 ": " $2
        }
        END { for (i = 1; i <= n; i++) if (!used[i]) print "no such command: " row[i] }' <(rows) <(shown)
}
told() { # runners that are there, are part of a target, and say so
    local page begin runner words
    rows | sed 's/ *| */|/g' | while IFS='|' read -r page begin runner words; do
        case $runner in
        -) [ -n "$words" ] || echo "no reason: $page $begin" ;;
        *)
            [ -f "$runner" ] || { echo "no such test: $runner"; continue; }
            grep -rqF "${runner#tests/integration/}" --include=module.mk --include=Makefile . || grep -qF "$(basename "$runner" .sh)" packaging/module.mk tests/integration/module.mk \
                tests/integration/*/*.sh || echo "no target runs $runner"
            if [ -n "$words" ]; then grep -qF -e "$words" "$runner" || echo "$runner does not say: $words"
            else grep -qF -e "$page" "$runner" || echo "$runner does not read $page"; fi
            ;;
        esac
    done
}
check_output "every command in a fence is run by a test, or has a reason" "" covered
check_output "the tests that are named run it" "" told
check "there are commands" eval '[ "$(shown | wc -l)" -gt 150 ]'
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-commands.XXXXXX")
trap 'rm -rf "$work"' EXIT
grep -v '^docs/routing' "$list" >"$work/list"
check "a command that nobody runs is found" eval 'list=$work/list; covered | grep -q "nothing runs it: docs/routing.md"'

# --- kv in sentences: `kv db switchover C --wait`
inline() { # PAGE TAB TEXT
    awk -v OFS='\t' 'FNR == 1 { inside = 0 } /^ *```/ { inside = !inside; next } !inside {
        n = split($0, part, "`")
        for (i = 2; i <= n; i += 2) if (part[i] ~ /^kv [a-z]/) print FILENAME, part[i]
    }' "${pages[@]}"
}
unknown() {
    local page text words word command option help
    declare -A HELP=()
    inline | sort -u | while IFS=$'\t' read -r page text; do
        words=${text#kv }
        command=""
        for word in $words; do
            [[ $word =~ ^[a-z][a-z-]*$ ]] && grep -q "^  ${command:+$command }$word\b" <<<"$COMMANDS" || break
            command=${command:+$command }$word
        done
        [ -n "$command" ] || { echo "$page: no such command: $text"; continue; }
        # shellcheck disable=SC2086
        help=${HELP[$command]:-$("$KV" $command --help 2>&1; "$KV" help)}
        HELP[$command]=$help
        for option in $(grep -oE -- '--[a-z][a-z-]*' <<<"$words"); do
            grep -qE -- "$option\b" <<<"$help" || echo "$page: no such option: $text"
        done
    done
}
COMMANDS=$("$KV" help; echo "  help")
check_output "every kv in a sentence is a command with such options" "" unknown
check "there are some" eval '[ "$(inline | wc -l)" -gt 100 ]'
report_end commands
