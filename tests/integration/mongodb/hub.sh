# SPDX-License-Identifier: Apache-2.0
# mongosim (tests/mongosim) for scenarios: sourced, after tests/support/cluster.sh.
#
#   hub_start [OPTION...]        the hub that holds the model, its sockets in $SIM_DIR; hub_stop
#   sim WORD...                  one line of its faults port
#   node_says NODE FIELD         of its status line, as JSON; truth FIELD      of the ground truth
#   ask PORT COMMAND             a command document (JSON) to one node, through pymongo; prints JSON     can_ask

hub_start() {
    SIM_DIR=$DIR/sim
    mkdir -p "$SIM_DIR" && own
    spawn hub "$DIR/bin/mongosim" hub "$SIM_DIR" "$@"
    wait_until 10 sim status || die "mongosim does not run: $(tail -n 3 "$DIR/log/hub")"
}
hub_stop() {
    kill -TERM "$(pid_of hub)" 2>/dev/null
    wait_until 5 eval '! is_running hub'
}
sim() { "$DIR/bin/mongosim" ctl "$SIM_DIR" "$@"; }
node_says() { sim status | jq -r --arg n "$1" --arg f "$2" 'select((.host | endswith(":" + $n)) or .host == $n) | .[$f] | tostring'; }
truth() { sim truth | jq -r --arg f "$1" '.[$f] | tostring'; }
writable_port() { sim status | jq -r 'select(.up and .writable) | [.term, .host] | @tsv' | sort -n | tail -n 1 | sed 's/.*://'; }
has_writable() { [ -n "$(writable_port)" ]; }
can_ask() { /usr/bin/python3 -c 'import pymongo' 2>/dev/null; }
ask() {
    /usr/bin/python3 - "$@" <<'PY'
import sys
from bson import json_util
from pymongo import MongoClient
client = MongoClient("127.0.0.1", int(sys.argv[1]), serverSelectionTimeoutMS=3000, socketTimeoutMS=8000)
print(json_util.dumps(client.admin.command(json_util.loads(sys.argv[2])), json_options=json_util.RELAXED_JSON_OPTIONS))
PY
}
