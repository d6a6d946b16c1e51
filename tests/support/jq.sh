# SPDX-License-Identifier: Apache-2.0
# Sourced by every script that ends a check in jq -e: jq 1.6 answers 0 when nothing came in, so that a command that failed
# would pass for one that said what was wanted. Here -e in front demands a last value that is true, and that there is one.
jq() {
    local out status
    case ${1:-} in
        -e*)
            out=$(command jq "$@")
            status=$?
            [ -n "$out" ] && printf '%s\n' "$out"
            [ "$status" -eq 0 ] && [ -n "$out" ]
            ;;
        *) command jq "$@" ;;
    esac
}
