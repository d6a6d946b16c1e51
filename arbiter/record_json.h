/* SPDX-License-Identifier: Apache-2.0 */
/* Records, members and history as JSON text, as they stand under /quorate/v1/clusters/NAME/ and as
 * people see them with `-o json`. A field is never renamed or reused. 64-bit identifiers are text
 * (hexadecimal for random ones), since readers keep numbers as doubles; WAL positions are written
 * as PostgreSQL writes them. Writes into a buf and allocates nothing; whoever calls looks at
 * buf.is_full once at the end.
 */
#ifndef QUORATE_ARBITER_RECORD_JSON_H
#define QUORATE_ARBITER_RECORD_JSON_H

#include "arbiter/core/arb.h"

/* A member as the store remembers it, whether it is there or not. */
struct arb_seen {
    struct base_name member;
    struct base_text host;
    uint16_t db_port, http_port;
    bool is_up;            /* heard within two ttl, when it was written */
    int64_t since_wall_us; /* up or down since then */
    uint32_t mark;         /* of what else people read of it */
};

void arb_json_record(struct buf *out, const struct msg_record *record);
/* view or seen may be NULL: what is known of a member that has not been heard, or was not written
 * down before. */
void arb_json_member(struct buf *out, const struct arb_view *view, const struct arb_seen *seen);
/* A decision with its inputs and times; `notes` are the sentences since the one before, oldest
 * first. */
void arb_json_history(struct buf *out, const struct msg_record *record,
                      const struct arb_decision *decision, const struct arb_note *notes,
                      size_t notes_count);
/* Stable words for people and programs; static. */
const char *arb_decision_name(enum arb_decision_kind kind);
const char *arb_db_state_name(enum msg_db_state state);
const char *arb_galera_state_name(enum msg_galera_state state);
const char *arb_galera_grant_name(enum msg_galera_grant_state state);
/* As Galera writes it; "" for none. */
void arb_galera_uuid_text(const uint8_t uuid[static 16], char ret_text[static 37]);
const char *arb_record_state_name(enum msg_record_state state);
const char *arb_sync_mode_name(enum msg_sync_mode mode);
const char *arb_task_name(enum msg_task_kind kind);

#endif
