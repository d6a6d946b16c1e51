# SPDX-License-Identifier: Apache-2.0
# Adds objects of numbers, and of such objects, up.
def add_up($a; $b):
  reduce ($b | keys_unsorted[]) as $k ($a;
    .[$k] = (if ($b[$k] | type) == "object" then add_up($a[$k] // {}; $b[$k]) else ($a[$k] // 0) + $b[$k] end));
reduce .[] as $one ({}; add_up(.; $one))
