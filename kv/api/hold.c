/* SPDX-License-Identifier: Apache-2.0 */
/* A list of copies; see hold.h. A stream that waits has one or two messages as a rule, so adding
 * one walks the list. */
#include "kv/api/hold.h"

#include <stdlib.h>
#include <string.h>

int hold_add(struct hold *hold, struct slice message)
{
    size_t bytes = sizeof(struct hold_message) + message.len;
    if (bytes > HOLD_BYTES_MAX - hold->bytes) {
        return BASE_E_NOSPACE;
    }
    struct hold_message *added = malloc(bytes);
    if (added == NULL) {
        return BASE_E_NOMEM;
    }
    *added = (struct hold_message){.len = message.len};
    if (message.len > 0) {
        memcpy(added->bytes, message.data, message.len);
    }
    struct hold_message **link = &hold->first;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = added;
    hold->bytes += bytes;
    return 0;
}

struct hold_message *hold_take(struct hold *hold)
{
    struct hold_message *message = hold->first;
    if (message != NULL) {
        hold->first = message->next;
        hold->bytes -= sizeof(*message) + message->len;
    }
    return message;
}

void hold_clear(struct hold *hold)
{
    for (struct hold_message *message = hold_take(hold); message != NULL;
         message = hold_take(hold)) {
        free(message);
    }
}
