#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pages made from tables are what the tables say; dashboard and alert rules name metrics that exist; the rules pass
# promtool and their own tests; each has a link into the runbook that leads somewhere.
# usage: REFERENCE=PROGRAM check.sh
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
rules=packaging/prometheus/quorate.rules.yml
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-reference.XXXXXX")
trap 'rm -rf "$work"' EXIT

for page in metrics events; do
    "$REFERENCE" $page >"$work/$page.md"
    check "docs/$page.md is what the tables say (make docs)" diff "docs/$page.md" "$work/$page.md"
done

# What Prometheus makes itself.
{ "$REFERENCE" names; echo up; } | sort -u >"$work/names"
# Names in a PromQL text: words with our prefixes, and up.
names_in() { sed -E 's/grpc_(service|method|code)//g' | grep -oE '\b(etcd|quorate|patroni|grpc|process)_[a-z0-9_]+|\bup\{' | tr -d '{' | sort -u; }
unknown() { comm -23 - "$work/names"; }
check_output "every metric of the dashboard exists" "" eval \
    'jq -r ".. | .expr? // empty" packaging/grafana/quorate.json | names_in | unknown'
check "the dashboard has metrics" eval '[ "$(jq -r ".. | .expr? // empty" packaging/grafana/quorate.json | names_in | wc -l)" -gt 20 ]'
check_output "every metric of the rules exists" "" eval 'grep "expr:" $rules | names_in | unknown'
check "the rules have metrics" eval '[ "$(grep "expr:" $rules | names_in | wc -l)" -gt 20 ]'

anchors() { sed -n 's/^## //p' docs/runbook.md | tr 'A-Z ' 'a-z-' | sort -u; }
check_output "every rule has a runbook link" "" eval \
    'awk "/- alert:/ { if (name != \"\" && !has) print name; name = \$3; has = 0 } /runbook_url:/ { has = 1 } END { if (!has) print name }" $rules'
check_output "every link leads to a heading of the runbook" "" eval \
    'grep -oE "runbook.md#[a-z-]+" $rules | cut -d"#" -f2 | sort -u | comm -23 - <(anchors)'
check_output "every heading of the runbook has an alert" "" eval \
    'grep -oE "runbook.md#[a-z-]+" $rules | cut -d"#" -f2 | sort -u | comm -13 - <(anchors)'

# `FILE` "NAME" in the last column of docs/threats.md: the name stands in the file.
threats() { sed -n 's/^| .*| `\([^`]*\)` "\(.*\)" |$/\1\t\2/p' docs/threats.md; }
lies() { threats | while IFS=$'\t' read -r file name; do grep -qsF -- "$name" "$file" || echo "$file: $name"; done; }
check_output "every test that docs/threats.md names is there" "" lies
check "every row names one" eval '[ "$(threats | wc -l)" = "$(grep -c "^| " docs/threats.md | awk "{ print \$1 - 1 }")" ] && [ "$(threats | wc -l)" -gt 20 ]'

# Pages and pictures that pages name.
gone() {
    local page name
    for page in docs/*.md; do
        grep -oE '`[A-Za-z0-9_./-]+\.md`' "$page" | tr -d '`' | sort -u | while read -r name; do
            [ -e "docs/$name" ] || [ -e "$name" ] || [ "$name" = quorate.md ] || echo "$page: $name"
        done
        grep -oE '\]\([^)#:]+\)' "$page" | tr -d '()]' | while read -r name; do [ -e "docs/$name" ] || echo "$page: $name"; done
    done
}
check_output "every page and picture that a page names is there" "" gone
check_output "every page stands in the index" "" eval 'for page in docs/*.md; do grep -qF "\`${page#docs/}\`" docs/README.md || [ "$page" = docs/README.md ] || echo "$page"; done'
pictures_are_good() { # XML, with words for who does not see them, in dark and light, nothing from elsewhere
    local picture
    for picture in docs/pictures/*.svg; do
        python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$picture" || return 1
        for word in '<title id' '<desc id' 'prefers-color-scheme:dark'; do grep -qF "$word" "$picture" || { echo "$picture: no $word"; return 1; }; done
        grep -oE '(https?:)?//[a-z][^" ]*|<script|<image' "$picture" | grep -v 'www.w3.org/2000/svg' && { echo "$picture: from elsewhere"; return 1; }
    done
    return 0
}
check "pictures are whole, and need nothing from elsewhere" pictures_are_good

if command -v promtool >/dev/null; then
    check "promtool takes the rules" promtool check rules $rules
    check "each alert fires when it should, none in calm" promtool test rules packaging/prometheus/quorate.rules.test.yml
    check "promtool takes the scrape configuration" promtool check config --syntax-only packaging/prometheus/prometheus.yml
    sed 's/quorate_member_up == 0/quorate_member_up == 1/' $rules >"$work/quorate.rules.yml"
    cp packaging/prometheus/quorate.rules.test.yml "$work/"
    check "a rule that is wrong fails its test" eval '! promtool test rules "$work/quorate.rules.test.yml" >"$work/out" 2>&1 && grep -q QuorateMemberDown "$work/out"'
else
    skip "promtool" "not installed (Debian's package prometheus)"
fi
report_end reference
