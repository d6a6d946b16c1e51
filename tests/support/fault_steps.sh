# SPDX-License-Identifier: Apache-2.0
# Faults as steps of a scenario: sourced after jepsen/hosts/faults.sh (or a list of faults of its form) and report.sh. NAME is
# the scenario's; AT becomes the microsecond at which the last fault began.

raise() { # KIND TARGET [ARGS]: skips the scenario where this kind is not offered
    local reason
    if ! reason=$(fault_can "$1"); then skip "$NAME" "$reason"; return 1; fi
    AT=$(now_us)
    fault_on "$@" || { bad "$NAME: $1 at $2 could not be made"; return 1; }
}
lower() { # KIND TARGET: it must have had effect
    local bit
    bit=$(fault_bit "$1" "$2")
    check "$NAME: $1 had effect (${bit:-0})" test "${bit:-0}" -gt 0
    fault_off "$1" "$2" || bad "$NAME: $1 at $2 could not be taken away"
}
