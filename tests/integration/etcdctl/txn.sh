# SPDX-License-Identifier: Apache-2.0
# txn: every comparison, every operation, errors: sourced by run.sh.
e put t/a 1 >/dev/null
e put t/b 2 >/dev/null
e put t/b 3 >/dev/null
for target in version create mod value; do # of a lease this release cannot compare
    for sign in = '<' '>' '!='; do
        for number in 0 1 3; do
            [ "$target" = value ] && number=\"$number\"
            # version and value know =, <, > in this release; what it says to the rest must be the same
            same "txn $target $sign $number" "printf '%s\n\nput t/r yes\n\nput t/r no\n\n' '$target(\"t/b\") $sign $number' | e txn"
        done
    done
done
same "txn of several comparisons" 'printf "value(\"t/a\") = \"1\"\nversion(\"t/b\") = \"2\"\n\nget t/a\n\nget t/b\n\n" | e txn'
same "txn one of which fails" 'printf "value(\"t/a\") = \"1\"\nversion(\"t/b\") = \"7\"\n\nget t/a\n\nget t/b\n\n" | e txn'
same "txn of a key that is not there" 'printf "create(\"t/none\") = \"0\"\n\nput t/none 1\n\n\n" | e txn'
same "txn without comparisons" 'printf "\nput t/c 1\nget t/c\n\n\n" | e txn'
same "txn of nothing" 'printf "\n\n\n" | e txn'
same "txn sees what it has written" 'printf "\nput t/d 1\nget t/ --prefix --keys-only\ndel t/d --prev-kv\nget t/d\n\n\n" | e txn'
same "txn get with flags" 'printf "\nget t/ --prefix --limit 1 --order DESCEND --sort-by KEY\nget t/ --prefix --rev 60\nget t/b --from-key --keys-only\n\n\n" | e txn'
same "txn del of a range" 'printf "\ndel t/c t/e --prev-kv\n\n\n" | e txn'
same "txn put --ignore-value" 'printf "\nput t/a --ignore-value\nput t/b 4 --prev-kv\n\n\n" | e txn'
same "txn put with a lease that is none" 'printf "\nput t/b 4 --lease=77\n\n\n" | e txn'
same "txn twice the same key" 'printf "\nput t/b 4\nput t/b 5\n\n\n" | e txn'
same "txn put and del of the same key" 'printf "\nput t/b 4\ndel t/ --prefix\n\n\n" | e txn'
same "txn an order of execution" 'printf "\ndel t/b\nput t/e 1\nget t/b\n\n\n" | e txn'
same "txn quoted text" $'printf \'\\nput "t/q w" "a \\\\"b\\\\" c"\\nget "t/q w"\\n\\n\\n\' | e txn'
same "txn a bad comparison" 'printf "colour(\"t/a\") = \"1\"\n\n\n\n" | e txn'
same "txn a bad operation" 'printf "\nfly t/a\n\n\n" | e txn'
same "txn 128 operations" '{ echo; seq -f "put t/n%g 1" 128; echo; echo; } | e txn | grep -c OK'
same "txn 129 operations" '{ echo; seq -f "put t/n%g 1" 129; echo; echo; } | e txn'
same "txn del of many" 'printf "\ndel t/n --prefix\n\n\n" | e txn'
same "txn --interactive" 'printf "value(\"t/a\") = \"1\"\n\nget t/a\n\nget t/b\n\n" | e txn --interactive'
for format in json fields table; do same "txn -w $format" "printf 'value(\"t/a\") = \"1\"\n\nput t/f 1\nget t/a\ndel t/f\n\nget t/b\n\n' | sed 's/^put t.f 1\$/put t\/g 1/' | e txn -w $format"; done
same "txn -w protobuf" 'printf "\nget t/none1\n\n\n" | e txn -w protobuf | tail -c 4 | od -An -tx1'
