# SPDX-License-Identifier: Apache-2.0
# What the clock saw: one JSON object. Input: faults ("F KIND TARGET RULE ON_US OFF_US", in order), then operations
# ("RETURN_US CALL_US o|f|u w|r", in order of return). -v bound_us=: within it writes must be acknowledged again;
# -v settle_us=: so long after a fault is not calm yet; -v minority_us=: the longest pause that a fault of a minority may cause.
$1 == "F" { n++; kind[n] = $2; target[n] = $3; rule[n] = $4; on[n] = $5; off[n] = $6; next }
# A pause is a fault's when it begins with it, before it is over and settled, and before the next one.
!first { for (i = 1; i <= n; i++) { end[i] = off[i] + settle_us; if (i < n && on[i + 1] < end[i] && on[i + 1] > off[i]) end[i] = on[i + 1] } }
!first { first = $2; last_ack = $2 }
{
    ops++; last = $1
    if ($3 == "o") ok++
    slot = int(($1 - first) / 5000000); all[slot]++; good[slot] += ($3 == "o")
    # Calm: the whole operation between the end of one fault, settled, and the beginning of the next.
    calm = 1
    for (i = 1; i <= n; i++) if ($1 >= on[i] && $2 <= off[i] + settle_us) calm = 0
    if (calm) { calm_all++; calm_good += ($3 == "o") }
    if ($3 == "o" && $4 == "w") {
        gap = $1 - last_ack
        if (gap > 200000) away += gap
        for (i = 1; i <= n; i++) {
            if ($1 > on[i] && last_ack > on[i] - 300000 && last_ack < end[i] && gap > longest[i]) longest[i] = gap
            if ($1 >= off[i] && !resumed[i]) resumed[i] = $1 - off[i] + 1
        }
        last_ack = $1
    }
}
# A fault of a minority must not stop writes for long; any other one must not once it is over.
function is_late(i) {
    return !resumed[i] || resumed[i] > bound_us || (rule[i] ~ /^(leader|follower|one|minority|leader-minority)$/ && longest[i] > minority_us)
}
END {
    printf "{\"ops\": %d, \"ok\": %d, \"seconds\": %.1f, \"away_ms\": %d, \"calm\": [%d, %d], \"slots\": [", ops, ok, (last - first) / 1e6, away / 1000, calm_good, calm_all
    for (i = 0; i <= slot; i++) printf "%s%d", (i ? ", " : ""), (all[i] ? 100 * good[i] / all[i] : 0)
    printf "], \"late\": ["
    for (i = 1; i <= n; i++) if (is_late(i)) { printf "%s\"%s %s\"", (late++ ? ", " : ""), kind[i], target[i] }
    printf "], \"gaps\": ["
    for (i = 1; i <= n; i++) printf "%s{\"kind\": \"%s\", \"rule\": \"%s\", \"ms\": %d, \"for_ms\": %d}", (i > 1 ? ", " : ""), kind[i], rule[i], longest[i] / 1000, (off[i] - on[i]) / 1000
    print "]}"
}
