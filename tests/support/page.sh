# SPDX-License-Identifier: Apache-2.0
# Commands of a page of the documentation, for a test that runs them: sourced. PAGE is its path.
#
#   page_block NAME     the code behind its mark, an HTML comment "run: NAME"; and remembers that it was asked for
#   page_is_done        exits 0 when each mark was asked for, and each fence has a mark or is no command (yaml, text, ...)
page_block() { # NAME
    local text
    text=$(awk -v mark="<!-- run: $1 -->" '$0 == mark { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' "$PAGE")
    [ -n "$text" ] || { echo "no block $1 in $PAGE"; return 1; }
    echo "$1" >>"$DIR/blocks"
    echo "$text"
}
page_is_done() {
    local name
    for name in $(sed -n 's/^<!-- run: \(.*\) -->$/\1/p' "$PAGE"); do
        grep -qx -e "$name" "$DIR/blocks" || { echo "not run: $name"; return 1; }
    done
    awk '/^```/ { if (!inside && $0 == "```" && last !~ /^<!-- run: /) { print FILENAME ": line " FNR ": no mark"; bad = 1 } inside = !inside } { last = $0 } END { exit bad }' "$PAGE"
}
