/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document as Patroni's users change it; see patroni.h. */
#ifndef QUORATE_ARBITER_API_PATRONI_CONFIG_H
#define QUORATE_ARBITER_API_PATRONI_CONFIG_H

#include <jansson.h>

#include "base/slice.h"
#include "base/types.h"

/* The body of a Configure call: `fields`, an object, over the document `old` of that revision (0
 * and empty: there is none), or in its place. The caller releases it; NULL: no memory, or `old` is
 * no object. */
json_t *arb_patroni_configure(const struct base_name *cluster, uint64_t revision, struct slice old,
                              json_t *fields, bool is_patch);

#endif
