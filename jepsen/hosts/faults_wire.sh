#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of the switch of jepsen/wire, for hosts that stand on it (HOSTS_ON=wire): on every link from and to a host.
fault_table <<'TABLE'
wire-delay wire host MS,JITTER_MS frames take so much longer (40,10)
wire-loss wire host PERCENT of the frames are lost (20)
wire-burst wire host FRAMES one of a hundred frames begins a row of so many lost ones (10)
wire-duplicate wire host PERCENT of the frames come twice (20)
wire-reorder wire host PERCENT of the frames are overtaken (20)
wire-corrupt wire host PERCENT,PORT of the TCP segments have one bit of their payload flipped and a right checksum (5, any port)
wire-rate wire host BYTES_PER_S at most, with a queue of a quarter second (250000)
TABLE

wire_both() { wire set "$1" '*' "${@:2}" && wire set '*' "$1" "${@:2}"; }
wire_sum() { # HOST COUNTER...
    { wire counts "$1" '*'; wire counts '*' "$1"; } |
        awk -v names=" ${*:2} " 'index(names, " " $1 " ") { n += $2 } END { print n + 0 }'
}
wire_kind() { # KIND "COUNTER..." "RULE=0..."
    local f=${1//-/_}
    eval "raise_$f() {
            echo \"\${2:-}\" | fault_keep $1 \$1 how
            wire_sum \$1 $2 | fault_keep $1 \$1 base && set_$f \"\$1\" \"\${2:-}\"
        }
        live_$f() { echo \$((\$(wire_sum \$1 $2) - \$(fault_kept $1 \$1 base))); }
        lower_$f() { wire_both \$1 $3 && wire_again $1 \$1; }
        may_$f() { wire_may; }"
}
wire_again() { # KIND HOST: other hosts at which it is on want their links to this one as they were
    local kind host
    while read -r kind host; do
        [ "$kind" != "$1" ] || [ "$host" = "$2" ] || "set_${kind//-/_}" "$host" "$(fault_kept "$kind" "$host" how)"
    done < <(faults_on)
}
wire_may() { is_wire || { echo "hosts stand on the bridge; HOSTS_ON=wire puts them on the switch"; return 1; }; }
wire_kind wire-delay delayed "delay_us=0 jitter_us=0"
wire_kind wire-loss lost "loss_ppm=0"
wire_kind wire-burst burst "burst_ppm=0 burst_end_ppm=1000000"
wire_kind wire-duplicate duplicated "duplicate_ppm=0"
wire_kind wire-reorder reordered "reorder_ppm=0"
wire_kind wire-corrupt corrupted "corrupt_ppm=0"
wire_kind wire-rate "delayed queue_full" "rate=0 queue_bytes=0"

set_wire_delay() {
    local ms=${2:-40,10}
    wire_both "$1" "delay_us=$((${ms%,*} * 1000))" "jitter_us=$([[ $ms == *,* ]] && echo $((${ms#*,} * 1000)) || echo 0)"
}
set_wire_loss() { wire_both "$1" "loss_ppm=$((${2:-20} * 10000))"; }
set_wire_burst() { wire_both "$1" burst_ppm=10000 "burst_end_ppm=$((1000000 / ${2:-10}))"; }
set_wire_duplicate() { wire_both "$1" "duplicate_ppm=$((${2:-20} * 10000))"; }
set_wire_reorder() { wire_both "$1" "reorder_ppm=$((${2:-20} * 10000))"; }
set_wire_corrupt() {
    local how=${2:-5,0}
    [[ $how == *,* ]] || how=$how,0
    wire_both "$1" "corrupt_ppm=$((${how%,*} * 10000))" "corrupt_port=${how#*,}"
}
set_wire_rate() { wire_both "$1" "rate=${2:-250000}" "queue_bytes=$((${2:-250000} / 4))"; }
