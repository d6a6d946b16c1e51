/* SPDX-License-Identifier: Apache-2.0 */
/* PATCH and PUT /config: a document over the one that stands, for the Databases service's
 * Configure.
 *
 * As in Patroni a patch is merged key by key, and null takes a key away; what is put replaces all.
 * Either is written over the revision that was read here, so that a change between is not lost.
 */
#include "arbiter/api/patroni_config.h"

#include <stdlib.h>

#include "proto/io/json_patch.h"

json_t *arb_patroni_configure(const struct base_name *cluster, uint64_t revision, struct slice old,
                              json_t *fields, bool is_patch)
{
    json_t *document = old.len > 0 && is_patch
                           ? json_loadb((const char *)old.data, old.len, 0, NULL)
                           : json_object();
    json_t *call = NULL;
    if (json_is_object(document)) {
        io_json_patch(document, fields);
        char *text = json_dumps(document, JSON_COMPACT);
        call = text == NULL ? NULL
                            : json_pack("{s:s, s:I, s:s}", "cluster", cluster->text, "expect",
                                        (json_int_t)revision, "json", text);
        free(text);
    }
    json_decref(document);
    return call;
}
