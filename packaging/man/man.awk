# SPDX-License-Identifier: Apache-2.0
# One program's --help as a manual page (roff, macros of man). Variables: name, section, date, version, text (file with
# what no table says: sections before the line `.\" options` come in front of the options, the others behind them).
# Input: --help of a daemon; of kv, the overall help and then that of each command behind a line "@COMMAND".
function escaped(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    if (s ~ /^[.']/) s = "\\&" s
    return s
}
function include(is_behind,   line, at) {
    at = 0
    while ((getline line < text) > 0) {
        if (line ~ /^\.\\" SPDX/) continue
        if (line == ".\\\" options") { at = 1; continue }
        if (at == is_behind) print line
    }
    close(text)
}
function begin() {
    if (has_begun) return
    has_begun = 1
    printf ".TH %s %s %s \"Quorate %s\" Quorate\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", toupper(escaped(name)), section, date, version,
        escaped(name), escaped(summary)
    for (i = 1; i <= usages; i++) printf ".B %s\n%s\n%s", escaped(name), escaped(usage[i]), i < usages ? ".br\n" : ""
    include(0)
}
function verbatim(s) { print escaped(s) }
FNR == 1 { print ".\\\" SPDX-License-Identifier: Apache-2.0" }
# usage lines: "usage: NAME ..." and further ones, indented
!has_usage_end && /^usage: / || (!has_usage_end && usages > 0 && /^       /) {
    line = $0
    sub(/^usage: */, "", line)
    sub(/^ */, "", line)
    sub("^" name " *", "", line)
    sub(/; .*--help tells more$/, "", line)
    if (!is_command) { usage[++usages] = line; next }
}
/^@/ { # a command of kv
    begin()
    if (!is_command) print ".SH COMMANDS"
    is_command = 1
    is_first = 1
    command = substr($0, 2)
    next
}
is_command && is_first {
    sub(/^usage: /, "")
    printf ".SS \"%s\"\n.PP\n.B %s\n.PP\n", escaped(command), escaped($0)
    is_first = 0
    is_text = 0
    next
}
is_command && /^$/ { next }
is_command && /^ / {
    if (!is_text) print ".nf"
    is_text = 1
    verbatim($0)
    next
}
is_command {
    if (is_text) print ".fi"
    is_text = 0
    verbatim($0)
    next
}
usages > 0 { has_usage_end = 1 }
summary == "" && /^[A-Z].*\.$/ { summary = tolower(substr($0, 1, 1)) substr($0, 2, length($0) - 2); next }
summary == "" && !/^$/ { summary = fallback }
/^$/ { next }
# "  --name=default" and its help on the next line, or "  --name   help"
/^  -/ {
    begin()
    if (!has_options) print ".SH OPTIONS"
    has_options = 1
    line = substr($0, 3)
    help = ""
    if (match(line, /  +/)) {
        help = substr(line, RSTART + RLENGTH)
        line = substr(line, 1, RSTART - 1)
    }
    printf ".TP\n.B %s\n", escaped(line)
    if (help != "") verbatim(help)
    next
}
/^        / && has_options { sub(/^ +/, ""); verbatim($0); next }
has_options && /^exit codes: / { printf ".SH EXIT STATUS\n"; sub(/^exit codes: /, ""); verbatim($0); next }
has_options { printf ".PP\n"; verbatim($0); next }
{ rest[++rests] = $0 }
END {
    if (is_text) print ".fi"
    begin()
    include(1)
}
