#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can be said of the packages without a machine to install them on: built, twice the same, checked by lintian, nothing in them
# that does not belong; units, manual pages, completions and samples are good. usage: check.sh
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/support/report.sh
B=build/release BIN=$PWD/build/release/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-packages.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export SOURCE_DATE_EPOCH=1750000000
version=$(make -s print-version)

check "make deb" make --no-print-directory deb DEB_OUT="$work/debs"
debs=("$work"/debs/*.deb)
[ "$FAILED" -eq 0 ] || report_end packages
names=$(for deb in "${debs[@]}"; do dpkg-deb -f "$deb" Package; done | sort | paste -sd' ')
note "$names: $(cat "${debs[@]}" | wc -c) bytes, version $version"
check "lintian finds nothing" lintian --no-cfg --fail-on error,warning --profile debian "$work"/debs/*.changes

mkdir "$work/root"
for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$work/root"; done
root=$work/root
depends() { dpkg-deb -f "$work/debs/$1_"*.deb Depends; }
has_only() { # PACKAGE LIBRARY...: of the databases' client libraries
    local lib
    for lib in libpq5 libmariadb3 libmongoc-1.0-0; do
        if [[ " ${*:2} " == *" $lib "* ]]; then grep -q "$lib" <<<"$(depends "$1")" || return 1
        elif grep -q "$lib" <<<"$(depends "$1")"; then return 1; fi
    done
}
for name in $names; do
    case $name in
    quorate-agent-postgresql) check "$name pulls libpq in and no other client library" has_only "$name" libpq5 ;;
    quorate-agent-galera) check "$name pulls libmariadb in and no other client library" has_only "$name" libmariadb3 ;;
    quorate-agent-mongodb) check "$name pulls libmongoc in and no other client library" has_only "$name" libmongoc-1.0-0 ;;
    *) check "$name pulls no client library in" has_only "$name" ;;
    esac
done
check_output "nothing is writable for others, and nothing has a setuid bit" "" find "$root" ! -type l \( -perm /6000 -o -perm /022 \)
check_output "every file belongs to root" "" eval 'for deb in "${debs[@]}"; do dpkg-deb -c "$deb"; done | awk "\$2 != \"root/root\""'
check_output "no maintainer script stops a service that runs a database" "" eval \
    'for name in $names; do case $name in quorate-agent-*|quorate-guard) dpkg-deb -I "$work/debs/${name}_"*.deb prerm postinst 2>/dev/null; esac; done | grep -vE "^ *(echo|#)" | grep -E "systemctl (stop|restart)|invoke (stop|restart)"'

# --- units
units=("$root"/lib/systemd/system/*)
check "there are units" test "${#units[@]}" -ge 3
verify_units() {
    local unit at=$work/units out
    mkdir -p "$at"
    for unit in "${units[@]}"; do # programs as they lie here, users of this machine
        sed -E "s|^ExecStart=/usr/bin/|ExecStart=$root/usr/bin/|; s/^(User|Group|SupplementaryGroups)=.*/\1=root/; s/^Documentation=man:.*//" "$unit" >"$at/${unit##*/}"
    done
    cd "$at" && for unit in *.service; do
        case $unit in *@.service) unit=${unit/@/@pg-main}; ln -sf "${unit/@pg-main/@}" "$unit" ;; esac
        out=$(systemd-analyze verify "./$unit" 2>&1 | grep -F "${unit%%@*}")
        [ -z "$out" ] || { echo "$out"; return 1; }
    done
}
check "every unit passes systemd-analyze verify" verify_units
exposure=$(systemd-analyze security --offline=yes --threshold=100 "$root/lib/systemd/system/quorated.service" 2>/dev/null | tail -n 1 | grep -oE '[0-9]+\.[0-9]')
check "quorated's sandbox is scored at most 2.5 by systemd-analyze security (${exposure:-none})" awk -v e="${exposure:-10}" 'BEGIN { exit !(e <= 2.5) }'
for unit in "$root"/lib/systemd/system/quorate-agent-*@.service; do
    for line in Type=notify KillMode=process Delegate=yes Restart=always OOMScoreAdjust= LimitMEMLOCK= LimitRTPRIO= WatchdogSec=; do
        check "${unit##*/}: $line" grep -q "^$line" "$unit"
    done
    check_output "${unit##*/}: nothing changes what the database may do" "" grep -E \
        '^(Protect|Private|Restrict|NoNewPriv|SystemCall|Capability|MemoryDeny|ReadOnly|Inaccessible|Limit(NOFILE|NPROC|CORE|AS|FSIZE)|TasksMax|Memory(Max|High)|UMask)' "$unit"
done

# --- manual pages and completions
for page in "$root"/usr/share/man/man*/*.gz; do
    check_output "${page##*/} is sound" "" eval 'MANROFFSEQ= MANWIDTH=120 LC_ALL=C.UTF-8 man --warnings -l "$page" 2>&1 >/dev/null'
    program=${page##*/} program=${program%.[18].gz}
    check "$program: every option has its place" eval \
        'missing=$(diff <("$BIN/$program" --help | grep -oE "^  --[a-z][a-z0-9._-]*" | tr -d " " | sort -u) <(LC_ALL=C.UTF-8 MANWIDTH=120 man -l "$page" | col -b | grep -oE "^ +--[a-z][a-z0-9._-]*" | tr -d " " | sort -u) | grep "^<"); echo "$missing"; [ -z "$missing" ]'
done
check_output "every command of kv has a section" "" comm -23 \
    <("$BIN/kv" help | awk '/^for all/ { exit } /^  [a-z]/ { sub(/^  /, ""); print }' | sed -E 's/  .*//; s/ [A-Z].*//' | sort) \
    <(zcat "$root/usr/share/man/man1/kv.1.gz" | sed -n 's/^\.SS "\(.*\)"$/\1/p' | sed 's/\\-/-/g' | sort)
for file in "$root"/usr/share/bash-completion/completions/*; do check "bash reads completion of ${file##*/}" bash -n "$file"; done
for file in "$root"/usr/share/zsh/vendor-completions/*; do check "zsh reads completion of ${file##*/}" zsh -n "$file"; done
for file in "$root"/usr/share/fish/vendor_completions.d/*; do check "fish reads completion of ${file##*/}" fish -n "$file"; done
check_output "fish completes options of a daemon" "--data_dir" fish -c \
    "source $root/usr/share/fish/vendor_completions.d/quorated.fish; complete -C 'quorated --data_d' | string split '='"

# --- samples, with certificates of their names in another place
mkdir "$work/samples" && "$BIN/kv" cert ca --dir "$work/tls" >/dev/null
"$BIN/kv" cert issue --dir "$work/tls" --role node --name a --host 192.0.2.1 >/dev/null
"$BIN/kv" cert issue --dir "$work/tls" --role viewer --name proxy1 >/dev/null
(umask 077 && printf 'replication:a\nrewind:b\nagent:a\ncheck:b\nsst:c\n' >"$work/passwords")
for pair in quorated:quorated proxy:quorate-proxy agent-postgresql:quorate-agent-postgresql agent-galera:quorate-agent-galera agent-mongodb:quorate-agent-mongodb; do
    sample=$root/usr/share/quorate/samples/${pair%:*}.yml program=${pair#*:}
    [ -e "$sample" ] || continue
    if [ "${pair%-*}" = agent ]; then
        for role in agent member; do # of the cluster and the member that it names
            name=$(grep -oE '/agent-[a-z0-9-]+\.crt' "$sample" | head -n 1) name=${name#/agent-} name=${name%.crt}
            "$BIN/kv" cert issue --dir "$work/tls" --role "$role" --cluster "${name%-*}" --name "${name##*-}" --host 192.0.2.1 >/dev/null 2>&1 ||
                "$BIN/kv" cert issue --dir "$work/tls" --role "$role" --cluster "${name%-*}" --name "${name##*-}" >/dev/null
        done
    fi
    sed "s|/etc/quorate/tls/|$work/tls/|; s|/etc/quorate/passwords[a-z-]*|$work/passwords|" "$sample" >"$work/samples/${sample##*/}"
    check "the sample for $program is good" "$BIN/$program" --config "$work/samples/${sample##*/}" --check-config
done
check_fails "a sample with a word too much is refused" "unknown" "$BIN/quorated" --config <(cat "$work/samples/quorated.yml"; echo 'nonsense: 1') --check-config
if command -v yamllint >/dev/null; then
    check "role, play and compose file pass yamllint" yamllint -s -c packaging/ansible/.yamllint packaging/ansible packaging/compose packaging/samples/*.yml
else
    bad "yamllint is not installed; run make deps-tests"
fi

# --- the same bytes again
check "built again from the same programs" bash packaging/deb.sh "$B" "$work/again" "$version"
check_output "every package is the same, byte by byte" "" diff <(cd "$work/debs" && sha256sum ./*.deb) <(cd "$work/again" && sha256sum ./*.deb)
report_end packages
