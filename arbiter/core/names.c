/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of member names. */
#include "arbiter/core/names.h"

#include "base/assert.h"
#include "base/name.h"

/* Index of the first name that is not below `name`. */
static uint8_t lower_bound(const struct msg_names *set, const struct base_name *name)
{
    uint8_t at = 0;
    while (at < set->count && base_name_compare(&set->names[at], name) < 0) {
        at++;
    }
    return at;
}

bool arb_names_has(const struct msg_names *set, const struct base_name *name)
{
    uint8_t at = lower_bound(set, name);
    return at < set->count && base_name_equal(&set->names[at], name);
}

int arb_names_add(struct msg_names *set, const struct base_name *name)
{
    BASE_ASSERT(!base_name_is_empty(name));
    uint8_t at = lower_bound(set, name);
    if (at < set->count && base_name_equal(&set->names[at], name)) {
        return 0;
    }
    if (set->count >= MSG_MEMBERS_MAX) {
        return BASE_E_TOOBIG;
    }
    for (uint8_t i = set->count; i > at; i--) {
        set->names[i] = set->names[i - 1];
    }
    set->names[at] = *name;
    set->count++;
    return 0;
}

void arb_names_remove(struct msg_names *set, const struct base_name *name)
{
    uint8_t at = lower_bound(set, name);
    if (at >= set->count || !base_name_equal(&set->names[at], name)) {
        return;
    }
    for (uint8_t i = at; i + 1 < set->count; i++) {
        set->names[i] = set->names[i + 1];
    }
    set->count--;
    set->names[set->count] = (struct base_name){{0}};
}

bool arb_names_equal(const struct msg_names *a, const struct msg_names *b)
{
    return a->count == b->count && arb_names_beyond(a, b) == 0;
}

bool arb_names_within(const struct msg_names *a, const struct msg_names *b)
{
    return arb_names_beyond(a, b) == 0;
}

uint8_t arb_names_beyond(const struct msg_names *a, const struct msg_names *b)
{
    uint8_t n = 0;
    for (uint8_t i = 0; i < a->count; i++) {
        n = (uint8_t)(n + !arb_names_has(b, &a->names[i]));
    }
    return n;
}

int arb_names_unite(struct msg_names *set, const struct msg_names *more)
{
    struct msg_names both = *set;
    for (uint8_t i = 0; i < more->count; i++) {
        int rc = arb_names_add(&both, &more->names[i]);
        if (rc != 0) {
            return rc;
        }
    }
    *set = both;
    return 0;
}

bool arb_names_check(const struct msg_names *set)
{
    if (set->count > MSG_MEMBERS_MAX) {
        return false;
    }
    for (uint8_t i = 0; i < set->count; i++) {
        if (base_name_is_empty(&set->names[i]) ||
            (i > 0 && base_name_compare(&set->names[i - 1], &set->names[i]) >= 0)) {
            return false;
        }
    }
    return true;
}
