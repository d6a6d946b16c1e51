# SPDX-License-Identifier: Apache-2.0
# What the fuzz scripts share: sourced.

# Programs under test may print; libFuzzer closes their standard output, and where errors are many, theirs as well.
quiet_of() { # NAME
    case $1 in
    txn | arguments) echo -close_fd_mask=3 ;;
    *) echo -close_fd_mask=1 ;;
    esac
}
