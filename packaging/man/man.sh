#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Manual pages and completions out of the programs' own tables: what --help, `kv help` and `kv completion` print.
# usage: man.sh BIN_DIR OUT_DIR VERSION PROGRAM...     OUT_DIR/man/*.{1,8}, OUT_DIR/{bash,zsh,fish}/
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=$1 out=$2 version=$3
shift 3
export LC_ALL=C
unset QUORATE_ENDPOINTS QUORATE_CACERT QUORATE_CERT QUORATE_KEY
date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}" +%Y-%m-%d)
mkdir -p "$out"/{man,bash,zsh,fish}

page() { # NAME SECTION SUMMARY: the help is on standard input
    awk -v name="$1" -v section="$2" -v fallback="$3" -v date="$date" -v version="$version" -v text="$here/$1.man" \
        -f "$here/man.awk" >"$out/man/$1.$2"
}
kv_help() {
    local command
    "$bin/kv" help | sed '1a\\' | awk '/^for all commands:/ { on = 1 } NR == 1 || on' | sed 's/^for all commands:$//'
    "$bin/kv" help | awk '/^for all commands:/ { exit } /^  [a-z]/ { sub(/^  /, ""); print }' | while IFS= read -r command; do
        # "db list           All database clusters": the name ends at two spaces, or at a capital letter
        command=$(sed -E 's/  .*//; s/ [A-Z].*//' <<<"$command")
        echo "@$command"
        # shellcheck disable=SC2086 # words are meant
        "$bin/kv" help $command
    done
}
# Completion of a daemon: its long options.
daemon_completion() { # PROGRAM
    local program=$1 options
    options=$("$bin/$program" --help | grep -oE '^  --[a-z][a-z0-9._-]*=?' | tr -d ' ' | sort -u)
    printf 'complete -o default -o nospace -W "%s" %s\n' "$(tr '\n' ' ' <<<"$options" | sed 's/ $//')" "$program" >"$out/bash/$program"
    { printf '#compdef %s\n_arguments \\\n' "$program"
      sed -E "s/^(--[^=]*)=\$/  '\1=:value:_files' \\\\/; t; s/^(--.*)\$/  '\1' \\\\/" <<<"$options"
      printf "  '*:file:_files'\n"; } >"$out/zsh/_$program"
    sed -E "s/^--([^=]*)=\$/complete -c $program -l \1 -r/; t; s/^--(.*)\$/complete -c $program -l \1/" <<<"$options" >"$out/fish/$program.fish"
}
for program; do
    case $program in
    kv)
        kv_help | page kv 1 "command line of a Quorate quorum and its database clusters"
        "$bin/kv" completion bash >"$out/bash/kv"
        "$bin/kv" completion zsh >"$out/zsh/_kv"
        "$bin/kv" completion fish >"$out/fish/kv.fish"
        ;;
    quorate-guard) "$bin/$program" --help | page "$program" 8 "parent and fence of a database process" ;;
    *)
        "$bin/$program" --help | page "$program" 8 "daemon of Quorate"
        daemon_completion "$program"
        ;;
    esac
done
