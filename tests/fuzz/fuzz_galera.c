/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera member's files and its server's answers: whatever the bytes are, what was read can be
 * written and read again alike, and a view never holds more than its room. */
#include "agents/galera/grastate.h"
#include "agents/galera/status.h"
#include "tests/fuzz/fuzz.h"

static bool is_same(const struct msg_galera_position *a, const struct msg_galera_position *b)
{
    return a->seqno == b->seqno && memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0;
}

static void files(struct slice in)
{
    char text[512];
    struct gal_grastate read;
    struct msg_galera_position position;
    unsigned members = 0;
    if (gal_grastate_parse(in, &read) == 0) {
        struct gal_grastate back;
        struct buf b = buf_over(text, sizeof(text));
        gal_grastate_put(&read, &b);
        int rc = gal_grastate_parse(buf_slice(&b), &back);
        BASE_ASSERT(rc == 0 && is_same(&read.position, &back.position));
        BASE_ASSERT(read.is_safe_to_bootstrap == back.is_safe_to_bootstrap);
    }
    if (gal_recovered_parse(in, &position)) {
        struct msg_galera_position back;
        struct buf b = buf_over(text, sizeof(text));
        gal_position_put(&position, &b);
        int rc = gal_position_parse(buf_slice(&b), &back);
        BASE_ASSERT(rc == 0 && is_same(&position, &back));
        BASE_ASSERT(position.seqno >= -1);
    }
    BASE_ASSERT(gal_gvwstate_parse(in, &members) != 0 || members > 0);
    (void)gal_options_weight(in);
}

static void answers(struct slice in)
{
    static const char *const names[] = {
        "wsrep_cluster_status", "wsrep_cluster_size",        "wsrep_cluster_conf_id",
        "wsrep_local_state",    "wsrep_cluster_state_uuid",  "wsrep_local_state_comment",
        "wsrep_ready",          "wsrep_connected",           "wsrep_evs_state",
        "wsrep_last_committed", "wsrep_flow_control_active", "wsrep_cluster_weight"};
    struct gal_status s;
    struct msg_galera_view view = {0};
    struct base_name own = {"g1"};
    struct slice values[6] = {{0}};
    gal_status_reset(&s);
    while (in.len > 0) {
        uint8_t which = fuzz_u8(&in);
        struct slice value = fuzz_bytes(&in, fuzz_u8(&in) % 48);
        gal_status_take(&s, slice_from_text(names[which % BASE_COUNT_OF(names)]), value);
        gal_view_add(&view, value);
        values[which % 6] = value;
    }
    (void)!gal_status_variables(&s, values, 6);
    gal_view_weigh(&view, &own, (uint8_t)view.count, s.weight_total);
    BASE_ASSERT(view.count <= MSG_GALERA_NODES_MAX);
    BASE_ASSERT(s.view.local <= DB_GALERA_LOCAL_SYNCED && s.view.position.seqno >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    if (fuzz_u8(&in) % 2 == 0) {
        files(in);
    } else {
        answers(in);
    }
    return 0;
}
