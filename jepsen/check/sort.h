/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting whatever can be compared and swapped by place: a heap sort, so no memory, no recursion
 * and no bad case. Not stable: the comparison settles ties. */
#ifndef QUORATE_JEPSEN_CHECK_SORT_H
#define QUORATE_JEPSEN_CHECK_SORT_H

#include "base/types.h"

/* Does what stands at place `a` come before what stands at `b`? */
typedef bool chk_before_fn(const void *list, size_t a, size_t b);
typedef void chk_swap_fn(void *list, size_t a, size_t b);

void chk_heap_sort(void *list, size_t count, chk_before_fn *before, chk_swap_fn *swap);
/* Numbers, ascending. */
void chk_sort_numbers(int64_t *numbers, size_t count);

#endif
