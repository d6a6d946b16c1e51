#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The table of faults and the one way to use them. Each kind KIND (with _ for - in functions) has
#   fault_KIND_can                 status 1 and a reason when this kernel or container does not offer it
#   fault_KIND_on TARGET [ARGS]    TARGET is a host, or hosts joined by commas where the table says hosts
#   fault_KIND_off TARGET          gone again; a kind marked "once" has nothing to take back
#   fault_KIND_bit TARGET          a number > 0 when it really had an effect, while it is on and afterwards
#   fault_on KIND TARGET [ARGS]   fault_off, fault_bit, fault_can KIND: the same with the kind as a word
#
# The functions are made from what a faults_*.sh file says of a kind: raise_KIND and lower_KIND, live_KIND, which
# prints the effect so far, and may_KIND. A kind that another file brings whole only adds its line to the table.
FAULT_KINDS=() # lines "KIND CLASS TARGET ARGUMENTS WHAT"
fault_kinds() { printf '%s\n' "${FAULT_KINDS[@]}"; }

fault_function() { echo "fault_${1//-/_}_$2"; }
fault_call() { # WHAT KIND ARGS...
    local function
    function=$(fault_function "$2" "$1")
    shift 2
    "$function" "$@"
}
fault_on() { fault_call on "$@"; }
fault_off() { fault_call off "$@"; }
fault_bit() { fault_call bit "$@"; }
fault_can() { fault_call can "$@"; }

# What a fault that is on remembers, in files: FAULT_DIR/{base,...}, and bit when it is over.
fault_dir() { echo "$QUORATE_SANDBOX_DIR/faults/$1.$2"; }
fault_keep() { cat >"$(fault_dir "$1" "$2")/$3"; } # KIND TARGET NAME < text
fault_kept() { cat "$(fault_dir "$1" "$2")/$3" 2>/dev/null; }

fault_raise() { # KIND TARGET [ARGS]
    local kind=$1 target=$2 dir
    shift
    dir=$(fault_dir "$kind" "$target")
    if [ -e "$dir" ] && [ ! -e "$dir/bit" ]; then
        echo "fault $kind is on at $target already" >&2
        return 1
    fi
    rm -rf "$dir" && mkdir -p "$dir"
    "raise_${kind//-/_}" "$@" || { "lower_${kind//-/_}" "$target" >/dev/null 2>&1; echo 0 >"$dir/bit"; return 1; }
}
fault_lower() { # KIND TARGET
    local dir
    dir=$(fault_dir "$1" "$2")
    [ -d "$dir" ] && [ ! -e "$dir/bit" ] || return 0
    "live_${1//-/_}" "$2" >"$dir/.bit"
    "lower_${1//-/_}" "$2" || return 1
    mv "$dir/.bit" "$dir/bit"
}
fault_read_bit() { # KIND TARGET
    local dir
    dir=$(fault_dir "$1" "$2")
    if [ -e "$dir/bit" ]; then
        cat "$dir/bit"
    elif [ -d "$dir" ]; then
        "live_${1//-/_}" "$2"
    else
        echo 0
    fi
}
# A kind for one host is put on several by their names joined by commas, at one moment as far as that goes, since
# what one of them still does in between may be what matters. It bit when it bit at each of them.
fault_each() { # raise|lower|read_bit KIND TARGETS [ARGS]
    local what=$1 kind=$2 hosts=${3//,/ } host status=0 pids=()
    shift 3
    case $what in
    raise)
        for host in $hosts; do
            fault_raise "$kind" "$host" "$@" &
            pids+=($!)
        done
        for host in "${pids[@]}"; do wait "$host" || status=1; done
        ;;
    lower) for host in $hosts; do fault_lower "$kind" "$host" || status=1; done ;;
    read_bit) for host in $hosts; do fault_read_bit "$kind" "$host"; done | sort -n | head -n 1 ;;
    esac
    return $status
}
fault_table() { # lines of FAULT_KINDS on standard input: their functions are made
    local kind class target rest by
    while read -r kind class target rest; do
        FAULT_KINDS+=("$kind $class $target $rest")
        by="fault_"
        [ "$target" = hosts ] || by="fault_each "
        eval "$(fault_function "$kind" on)() { ${by}raise $kind \"\$@\"; }
            $(fault_function "$kind" off)() { ${by}lower $kind \"\$@\"; }
            $(fault_function "$kind" bit)() { ${by}read_bit $kind \"\$@\"; }
            $(fault_function "$kind" can)() { may_${kind//-/_}; }"
    done
}

# What of ours is still on: lines "KIND TARGET".
faults_on() {
    local dir
    for dir in "$QUORATE_SANDBOX_DIR"/faults/*; do
        [ -d "$dir" ] && [ ! -e "$dir/bit" ] && dir=${dir##*/} && echo "${dir%.*} ${dir##*.}"
    done
}
faults_off() { # everything
    local kind target
    while read -r kind target; do fault_off "$kind" "$target"; done < <(faults_on)
}

needs() { # TOOL...
    local tool
    for tool; do command -v "$tool" >/dev/null || { echo "$tool is not installed"; return 1; }; done
}

. "$HOSTS_LIB/faults_net.sh"
. "$HOSTS_LIB/faults_host.sh"
. "$HOSTS_LIB/faults_disk.sh"
. "$HOSTS_LIB/faults_bend.sh"
. "$HOSTS_LIB/faults_wire.sh"
