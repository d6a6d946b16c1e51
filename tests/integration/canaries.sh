#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proof that scenarios can fail: each row runs one with a planted bug of the canary build, or with its harness spoilt, and one of
# its checks must fail that the row names; the control rows must pass. usage: canaries.sh [SCENARIO...]   environment: BIN
set -u
cd "$(dirname "$0")/../.." || exit 2
export BIN=${BIN:-build/canary/bin}
out=build/results/scenario-canaries
mkdir -p "$out"
# folder | scenario | what is planted | words of the check that must fail (empty: none may)
ROWS=(
    'postgresql|diverged|QUORATE_CANARY=rejoin-without-rewind|gone everywhere'
    'postgresql|diverged|SABOTAGE=local-commit|no acknowledged commit is lost'
    'postgresql|paused|SABOTAGE=no-pause|writes go on without a quorum'
    'postgresql|wait_cancelled||'
    'network|cut_from_quorum|QUORATE_CANARY=agent-ignores-lease-end|dual acknowledged'
    'network|cut_from_quorum|QUORATE_CANARY=promote-without-waiting|dual acknowledged'
    'network|disk_full|QUORATE_CANARY=full-disk-holds-on|another one is promoted'
    'network|cut_from_quorum||'
    'galera|switched|SABOTAGE=one-row-gone|no acknowledged row is missing'
)
passed=0 failed=0 skipped=0
for row in "${ROWS[@]}"; do
    IFS='|' read -r folder scenario planted words <<<"$row"
    [ $# -eq 0 ] || [[ " $* " == *" $scenario "* ]] || continue
    log=$out/$scenario-${planted##*=}.log
    # shellcheck disable=SC2086 # one assignment or none
    env -u QUORATE_COUNTS $planted timeout 600 bash "tests/integration/$folder/run.sh" "$scenario" >"$log" 2>&1
    code=$?
    if grep -q "^$folder: 0 passed, 0 failed" "$log" || grep -q '^skipped' "$log"; then
        skipped=$((skipped + 1)) && echo "skip  $scenario with ${planted:-nothing}"
    elif { [ -n "$words" ] && grep '^FAIL' "$log" | grep -q "$words"; } || { [ -z "$words" ] && [ "$code" -eq 0 ]; }; then
        passed=$((passed + 1)) && echo "ok    $scenario with ${planted:-nothing}${words:+: \"$words\" fails}"
    else
        failed=$((failed + 1)) && echo "FAIL  $scenario with ${planted:-nothing}: ${words:+\"$words\" does not fail, }see $log"
    fi
done
printf 'scenario-canaries: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ -z "${QUORATE_COUNTS:-}" ] || echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
