# SPDX-License-Identifier: Apache-2.0
# Checks every #include "module/..." against the layer table of the design: own module at the own layer or below;
# another module only below, or in L4 to L6 at the same layer from a module earlier in the order.
BEGIN {
    split("base proto raft kv arbiter agents", names, " ")
    for (i in names) order[names[i]] = i
}
function layer(path) {
    if (path ~ /^base\//) return 0
    if (path ~ /^proto\/(msg|wire|schema)\//) return 1
    if (path == "raft/port_store.h") return 1 # types and calls through a table only: kv/core is written against it
    if (path ~ /\/port_[a-z_]*\.h$/) return 3
    if (path ~ /^agents\/(guard|proxy)\/core/) return 2
    if (path ~ /^[a-z]+\/core\//) return 2
    if (path ~ /\/main_[a-z_]*\.c$/) return 6
    if (path ~ /^proto\/io\//) return 5
    if (path ~ /^raft\/env_lmdb/) return 5
    if (path ~ /^(raft|kv|arbiter|agents)\/[a-z_]+\.[ch]$/) return 4
    if (path ~ /^(kv|arbiter|agents)\/[a-z_]+\//) return 5
    return -1
}
/^#include "/ {
    path = $2
    gsub(/"/, "", path)
    split(FILENAME, mine, "/")
    split(path, theirs, "/")
    if (!(mine[1] in order) || !(theirs[1] in order)) next
    a = layer(FILENAME)
    b = layer(path)
    if (a < 0 || b < 0) next
    if (mine[1] == theirs[1] ? b > a : (b > a || (b == a && (a < 4 || order[theirs[1]] > order[mine[1]]))))
        print FILENAME ":" FNR ": L" a " may not include " path " (L" b ")"
}
