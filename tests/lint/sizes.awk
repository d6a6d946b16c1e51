# SPDX-License-Identifier: Apache-2.0
# Prints FILE:FUNCTION:LINES for functions above 70 lines and FILE:*:LINES for files above 1000.
# A function starts where a line "{" stands alone in the first column, and ends with "}" there.
FNR == 1 { if (last != "" && lines > 1000) print last ":*:" lines; inside = 0; name = "" }
{ last = FILENAME; lines = FNR }
!inside && /^[a-zA-Z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
/^\{$/ { inside = 1; start = FNR; next }
inside && /^\}/ { inside = 0; if (FNR - start - 1 > 70) print FILENAME ":" name ":" FNR - start - 1 }
END { if (lines > 1000) print last ":*:" lines }
