/* SPDX-License-Identifier: Apache-2.0 */
/* Heap sort over places. */
#include "jepsen/check/sort.h"

static void sift(void *list, size_t root, size_t count, chk_before_fn *before, chk_swap_fn *swap)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        child += child + 1 < count && before(list, child, child + 1);
        if (!before(list, root, child)) {
            return;
        }
        swap(list, root, child);
    }
}

void chk_heap_sort(void *list, size_t count, chk_before_fn *before, chk_swap_fn *swap)
{
    for (size_t root = count / 2; root-- > 0;) {
        sift(list, root, count, before, swap);
    }
    for (size_t end = count; end-- > 1;) {
        swap(list, 0, end);
        sift(list, 0, end, before, swap);
    }
}

static bool number_before(const void *list, size_t a, size_t b)
{
    const int64_t *numbers = list;
    return numbers[a] < numbers[b];
}

static void number_swap(void *list, size_t a, size_t b)
{
    int64_t *numbers = list;
    int64_t kept = numbers[a];
    numbers[a] = numbers[b];
    numbers[b] = kept;
}

void chk_sort_numbers(int64_t *numbers, size_t count)
{
    chk_heap_sort(numbers, count, number_before, number_swap);
}
