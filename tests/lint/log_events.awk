# SPDX-License-Identifier: Apache-2.0
# Prints "MOD EVENT" for each call of IO_LOG_LEVEL or io_log_write: the module is a literal, the event a literal or a
# choice of two. An event that is no literal is told by its own table (the arbiter's notes) and left out.
function flush_call(   text, mod, n, parts, i) {
    text = call
    gsub(/[ \t\n]+/, " ", text)
    if (match(text, /\(.*"[a-z_]+", /)) {
        sub(/^[^"]*"/, "", text)
        mod = text
        sub(/".*/, "", mod)
        sub(/^[a-z_]+", /, "", text)
        # Up to the first field; what is in quotes there are the names.
        sub(/(, *io_(u64|i64|hex|bool|text|bytes|name|btext|err)\(|, fields,|\);).*/, "", text)
        n = split(text, parts, "\"")
        for (i = 2; i <= n; i += 2) {
            if (parts[i] ~ /^[a-z_-]+$/) print mod, parts[i]
        }
    }
    call = ""
}
FNR == 1 { call = "" }
/(IO_LOG_(ERROR|WARN|NOTICE|INFO|DEBUG)|io_log_write)\(/ { call = "" ; sub(/.*(IO_LOG_[A-Z]+|io_log_write)\(/, "(") ; call = $0; if ($0 ~ /;$/) flush_call(); next }
call != "" { call = call "\n" $0; if ($0 ~ /;$/) flush_call() }
