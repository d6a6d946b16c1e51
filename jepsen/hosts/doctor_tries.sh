#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How the doctor tries each kind: try_KIND KIND TARGET puts it on, makes use of what is broken, and says whether
# the effect was that of the kind: TRY_WHY is what it was looking for.
pings() { client_exec "$1" ping -q -c 2 -i 0.02 -W 0.2 "$(host_address "$2")" >/dev/null 2>&1; }
on_and() { # KIND TARGET [ARGS] -- CMD...
    local args=()
    while [ "$1" != -- ]; do args+=("$1"); shift; done
    shift
    fault_on "${args[@]}" || return 1
    TRY_WHY="not so: $*"
    "$@"
}
cut_between() { # "A B" pairs that must not answer, "A B" pairs that must
    local pair
    for pair in ${1//,/ }; do ! pings "${pair%>*}" "${pair#*>}" || return 1; done
    for pair in ${2//,/ }; do pings "${pair%>*}" "${pair#*>}" || return 1; done
}
try_isolate() { on_and "$@" -- cut_between "d1>d2 q1>d1 c1>d1" "d2>q1"; }
try_halves() { on_and "$@" -- cut_between "d1>d2 d1>q1" "c1>d1 c1>q1"; }
try_bridge() { on_and "$@" -- cut_between "q2>q4 q3>q5" "q1>q2 q1>q5 q2>q3"; }
try_ring() { on_and "$@" -- cut_between "q1>q3 q1>q4 q2>q5" "q1>q2 q5>q1 q3>q4"; }
# Frames, or what they carry: where nothing of one host may arrive, others still find each other (ARP, IPv6).
arrived() { # HOST frames|echos
    case $2 in
    frames) ip -n "$1" -s -j link show eth0 | jq '.[0].stats64.rx.packets' ;;
    echos) host_exec "$1" awk '$1 == "Icmp:" { value = $10 } END { print value }' /proc/net/snmp ;;
    esac
}
send_and_count() { # FROM TO frames|echos: ARRIVED
    local before
    before=$(arrived "$2" "$3")
    pings "$1" "$2"
    ARRIVED=$(($(arrived "$2" "$3") - before))
    TRY_WHY="$1 sends to $2, and $ARRIVED $3 arrived"
}
arrives() { send_and_count "$1" "$2" frames && [ "$ARRIVED" -gt 0 ]; } # though answers may not
arrives_not() { send_and_count "$1" "$2" echos && [ "$ARRIVED" -eq 0 ]; }
try_one_way_in() { on_and "$@" -- eval 'arrives_not d2 d1 && arrives d1 d2'; }
try_one_way_out() { on_and "$@" -- eval 'arrives_not d1 d2 && arrives d2 d1'; }
try_cut_peers() { on_and "$@" -- cut_between "d1>d2" "d1>q1 c1>d1"; }
try_cut_quorum() { on_and "$@" -- cut_between "d1>q1 d1>q5" "d1>d2 c1>d1"; }
try_cut_clients() { on_and "$@" -- cut_between "d1>c1" "d1>d2 d1>q1"; }
connects() { client_exec "$1" timeout 0.5 bash -c "exec 3<>/dev/tcp/$(host_address "$2")/$3" 2>/dev/null; }
refused() { client_exec "$1" timeout 0.5 bash -c "exec 3<>/dev/tcp/$(host_address "$2")/$3" 2>&1 | grep -q refused; }
try_cut_replication() { on_and "$@" -- eval 'refused d2 d1 80 && ! refused d2 d1 5432 && refused c1 d1 5432'; }
try_flapping() { on_and "$@" 100 -- eval 'wait_for 20 eval "! pings d1 d2" && wait_for 20 pings d1 d2 && wait_for 20 eval "[ \$(fault_bit flapping d1) -gt 0 ]"'; }
lossy() { client_exec d1 ping -q -c 200 -i 0.002 -W 0.1 "$(host_address d2)" | grep -qE ' ([3-9][0-9])(\.[0-9]+)?% packet loss'; }
try_loss() { on_and "$@" 40 -- lossy; }
try_link_down() { on_and "$@" -- eval '! pings d2 d1'; }
unreachable() { client_exec "$1" ping -c 1 -W 0.2 "$(host_address "$2")" 2>&1 | grep -q unreachable; }
try_link_down_inside() { on_and "$@" -- unreachable d1 d2; }

listen() { # HOST PORT: something that takes connections and holds them
    host_spawn "$1" /dev/null python3 -c "
import socket
s = socket.create_server(('', $2)); held = []
while True: held.append(s.accept())" >/dev/null
    wait_for 5 connects c1 "$1" "$2"
}
try_reject() { listen d1 7001 && on_and "$@" -- refused c1 d1 7001; }
try_kill_connections() {
    client_spawn c1 /dev/null bash -c "exec 3<>/dev/tcp/$(host_address d1)/7001; read -r -t 10 <&3" >/dev/null
    wait_for 5 eval 'client_exec d1 ss -Htn state established sport = 7001 | grep -q .' && on_and "$@" -- \
        wait_for 5 eval '! client_exec d1 ss -Htn state established sport = 7001 | grep -q .'
}
try_bandwidth() { on_and "$@" 1mbit -- client_exec d1 ping -q -f -c 60 -s 1400 -W 0.2 "$(host_address d2)" >/dev/null; }

working() { # HOST: a file that grows as long as processes of the host run
    COUNTED=$(host_data "$1")/counted
    : >"$COUNTED"
    host_spawn "$1" /dev/null bash -c "exec -a writer bash -c 'while :; do echo >>$COUNTED; sleep 0.01; done'" >/dev/null
    wait_for 5 test -s "$COUNTED"
}
grows() {
    local size
    size=$(stat -c %s "$COUNTED")
    wait_for "${1:-2}" eval "[ \$(stat -c %s $COUNTED) -gt $size ]" 2>/dev/null
}
stands_still() {
    local size
    size=$(stat -c %s "$COUNTED")
    sleep 0.2
    [ "$(stat -c %s "$COUNTED")" = "$size" ]
}
taken_back() { fault_off "$1" "$2" && grows; }
try_stop() { working d1 && on_and "$@" bash -- stands_still && taken_back "$@"; }
try_freeze_part() { working d1 && on_and "$@" bash -- stands_still && taken_back "$@"; }
try_freeze() { working d1 && on_and "$@" -- stands_still && taken_back "$@"; }
try_kill() { working d1 && on_and "$@" bash -- stands_still; }
try_power() {
    local data
    data=$(host_data d1)
    working d1 && host_exec d1 bash -c "echo kept >$data/synced; sync $data/synced; sync -f $data; echo lost >$data/unsynced" &&
        on_and "$@" -- test ! -e "$data/synced" || return 1
    TRY_WHY="after power on: what was synced, and only that"
    fault_off "$@" && grep -qx kept "$data/synced" && { [ "$(findmnt -n -o FSTYPE "$data")" != xfs ] || [ ! -s "$data/unsynced" ]; } &&
        wait_for 5 pings d2 d1
}
busy() { host_exec d1 timeout 0.4 bash -c 'while :; do :; done'; [ $? -eq 124 ]; }
try_throttle() { on_and "$@" 10 -- busy; }
try_memory() { on_and "$@" 8 -- eval '! host_exec d1 bash -c "head -c 100000000 /dev/zero | tail >/dev/null" 2>/dev/null'; }
try_pids() { on_and "$@" -- eval '! host_exec d1 sh -c "(:) & wait" 2>/dev/null'; } # bash would try again for long

try_disk_hang() {
    local wrote=$QUORATE_SANDBOX_DIR/wrote
    fault_on "$@" || return 1
    TRY_WHY="a writer waits until it is over"
    host_spawn d1 /dev/null bash -c "echo x >$(host_data d1)/hung; touch $wrote" >/dev/null
    sleep 0.2
    [ ! -e "$wrote" ] && wait_for 2 eval '[ "$(fault_bit disk-hang d1)" -gt 0 ]' && fault_off "$@" && wait_for 5 test -e "$wrote"
}
writes() { host_exec d1 dd if=/dev/zero of="$(host_data d1)/written" bs=64k count=${1:-4} conv=fsync 2>/dev/null; }
try_disk_full() { on_and "$@" -- eval '! writes' && fault_off "$@" && writes; }
try_disk_slow() { on_and "$@" 4194304 -- writes 16; }

wall_is() { # HOST SECONDS: ahead of the machine's, to five seconds
    local ahead
    ahead=$(($(host_exec "$1" date +%s) - $(date +%s) - $2))
    [ "$ahead" -ge -5 ] && [ "$ahead" -le 5 ]
}
try_wall_jump() { on_and "$@" -60 -- wall_is d1 -60 && wall_is d2 0 && fault_off "$@" && wall_is d1 0; }
try_wall_strobe() { on_and "$@" 600 -- eval 'wait_for 5 wall_is d1 600 && wait_for 5 wall_is d1 0 && wait_for 5 wall_is d1 600'; }
# What python3 calls a fifth of a second by a clock of the host, in microseconds of the machine's.
ahead_us() { # HOST CLOCK: difference between the host's clock and the machine's
    host_exec "$1" python3 -c "
import time, sys
mine = time.clock_gettime_ns(time.CLOCK_$2)
print(mine // 1000 - int(open('/proc/uptime').read().split()[0].replace('.', '')) * 10000)"
}
moves() { # HOST: what its monotonic clock gains on the machine's in half a second
    local before
    before=$(ahead_us "$1" BOOTTIME)
    sleep 0.5
    MOVED=$(($(ahead_us "$1" BOOTTIME) - before))
}
try_clock_rate() { on_and "$@" 1000000 -- eval 'moves d1 && [ $MOVED -gt 400000 ]'; }
try_clock_freeze() { on_and "$@" -- eval 'moves d1 && [ $MOVED -lt -400000 ]' && fault_off "$@" && moves d1 && [ "$MOVED" -gt -100000 ]; }
try_suspend() {
    local before
    before=$(($(ahead_us d1 BOOTTIME) - $(ahead_us d1 MONOTONIC)))
    on_and "$@" 60 -- eval 'after=$(($(ahead_us d1 BOOTTIME) - $(ahead_us d1 MONOTONIC)))'
    TRY_WHY="$after - $before is 60 s"
    [ $((after - before)) -gt 59000000 ] && [ $((after - before)) -lt 65000000 ]
}
flush() { host_exec d1 dd if=/dev/zero of="$(host_data d1)/flushed" bs=4k count=1 conv=fsync 2>/dev/null; }
try_slow_sync() { on_and "$@" 50 -- flush; }
try_sync_error() { on_and "$@" -- eval '! flush' && fault_off "$@" && flush; }
try_sync_lies() { on_and "$@" -- flush; }
try_write_error() { on_and "$@" EIO -- eval '! flush' && fault_off "$@" && flush; }

many_pings() { client_exec d1 ping -q -c "${1:-100}" -i 0.002 -W 0.3 "$(host_address d2)" >/dev/null; }
rtt_is() { # LOW HIGH in ms, of the average
    local ms
    ms=$(client_exec d1 ping -q -c 5 -i 0.05 "$(host_address d2)" | sed -n 's|^rtt .* = [^/]*/\([0-9]*\).*|\1|p')
    [ "${ms:-0}" -ge "$1" ] && [ "$ms" -le "$2" ]
}
try_wire_delay() { on_and "$@" 40,10 -- rtt_is 60 150; }
try_wire_loss() { on_and "$@" 40 -- eval '! many_pings 20 || [ "$(fault_bit wire-loss d1)" -gt 0 ]'; }
try_wire_burst() { on_and "$@" -- many_pings 300; }
try_wire_duplicate() { on_and "$@" -- eval 'client_exec d1 ping -q -c 50 -i 0.002 -W 0.3 "$(host_address d2)" | grep -q duplicates'; }
try_wire_reorder() { on_and "$@" -- many_pings; }
try_wire_rate() { on_and "$@" 100000 -- client_exec d1 ping -q -f -c 60 -s 1400 -W 0.2 "$(host_address d2)" >/dev/null; }
# What arrives is not what was sent, and TCP has not noticed.
try_wire_corrupt() {
    local got=$QUORATE_SANDBOX_DIR/got
    client_spawn d2 "$QUORATE_SANDBOX_DIR/got.log" python3 -c "
import socket
s = socket.create_server(('', 7002)); c = s.accept()[0]; data = b''
while len(data) < 2000000:
    part = c.recv(65536)
    if not part: break
    data += part
open('$got', 'w').write(str(sum(bin(b).count('1') for b in data)) + ' ' + str(len(data)))" >/dev/null
    wait_for 5 eval 'client_exec d2 ss -Hltn sport = 7002 | grep -q .' && on_and "$@" 20 -- \
        client_exec d1 bash -c "exec 3<>/dev/tcp/$(host_address d2)/7002; head -c 2000000 /dev/zero >&3" || return 1
    TRY_WHY="flipped bits among $(cat "$got" 2>/dev/null) (bits, bytes)"
    wait_for 5 test -s "$got" && grep -qE '^[1-9][0-9]* 2000000$' "$got"
}
