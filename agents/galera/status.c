/* SPDX-License-Identifier: Apache-2.0 */
/* See status.h. */
#include "agents/galera/status.h"

#include <string.h>

#include "agents/galera/grastate.h"
#include "base/name.h"

void gal_status_reset(struct gal_status *s)
{
    memset(s, 0, sizeof(*s));
    s->view.position.seqno = -1;
    s->view.is_evs_operational = true; /* where the provider does not tell */
}

static bool is_text(struct slice s, const char *text)
{
    return slice_equal(s, slice_from_text(text));
}

static uint64_t number_of(struct slice s)
{
    uint64_t number = 0;
    return slice_to_u64(s, &number) == 0 ? number : 0;
}

static uint32_t number32_of(struct slice s)
{
    uint64_t number = number_of(s);
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static bool is_on(struct slice s)
{
    return is_text(s, "ON") || is_text(s, "1") || is_text(s, "true");
}

static void take_uuid(struct gal_status *s, struct slice value)
{
    if (gal_uuid_parse(value, s->view.uuid) != 0) {
        memset(s->view.uuid, 0, sizeof(s->view.uuid));
    }
    memcpy(s->view.position.uuid, s->view.uuid, sizeof(s->view.uuid));
}

static void take_cluster(struct gal_status *s, struct slice name, struct slice value)
{
    if (is_text(name, "wsrep_cluster_status")) {
        s->view.is_primary = is_text(value, "Primary");
    } else if (is_text(name, "wsrep_cluster_size")) {
        uint64_t size = number_of(value);
        s->view.size = size > UINT8_MAX ? UINT8_MAX : (uint8_t)size;
    } else if (is_text(name, "wsrep_cluster_conf_id")) {
        uint64_t conf_id = number_of(value);
        s->conf_id = conf_id == UINT64_MAX ? 0 : conf_id; /* non-Primary */
    } else if (is_text(name, "wsrep_cluster_state_uuid")) {
        take_uuid(s, value);
    } else if (is_text(name, "wsrep_gcomm_uuid")) {
        if (gal_uuid_parse(value, s->view.gcomm) != 0) {
            memset(s->view.gcomm, 0, sizeof(s->view.gcomm));
        }
    } else if (is_text(name, "wsrep_cluster_weight")) {
        s->weight_total = number32_of(value);
    }
}

static void take_local(struct gal_status *s, struct slice name, struct slice value)
{
    if (is_text(name, "wsrep_local_state")) {
        uint64_t state = number_of(value);
        s->view.local =
            state > DB_GALERA_LOCAL_SYNCED ? DB_GALERA_INITIALIZED : (enum db_galera_local)state;
    } else if (is_text(name, "wsrep_local_state_comment")) {
        s->view.is_inconsistent = is_text(value, "Inconsistent");
    } else if (is_text(name, "wsrep_ready")) {
        s->view.is_ready = is_on(value);
    } else if (is_text(name, "wsrep_connected")) {
        s->view.is_connected = is_on(value);
    } else if (is_text(name, "wsrep_evs_state")) {
        s->view.is_evs_operational = is_text(value, "OPERATIONAL");
    } else if (is_text(name, "wsrep_last_committed")) {
        uint64_t seqno = number_of(value);
        s->view.position.seqno = seqno > INT64_MAX ? -1 : (int64_t)seqno;
    } else if (is_text(name, "wsrep_local_recv_queue")) {
        s->view.recv_queue = number32_of(value);
    } else if (is_text(name, "wsrep_flow_control_active")) {
        s->is_flow_active = is_on(value);
    } else if (is_text(name, "Threads_connected")) {
        s->connections = number32_of(value);
    }
}

void gal_status_take(struct gal_status *s, struct slice name, struct slice value)
{
    take_cluster(s, name, value);
    take_local(s, name, value);
}

/* "10.11.19-MariaDB-0+deb12u1": 101119 */
static uint32_t version_of(struct slice text)
{
    uint32_t version = 0;
    uint32_t part = 0;
    unsigned parts = 0;
    for (size_t i = 0; i <= text.len && parts < 3; i++) {
        bool is_digit = i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
        if (is_digit && part < 100) {
            part = part * 10 + (uint32_t)(text.data[i] - '0');
        } else {
            version = version * 100 + part % 100;
            part = 0;
            parts++;
            if (i >= text.len || text.data[i] != '.') {
                break;
            }
        }
    }
    return parts == 3 ? version : 0;
}

int gal_status_variables(struct gal_status *s, const struct slice *values, unsigned count)
{
    if (count < 6) {
        return BASE_E_INVALID;
    }
    s->view.is_read_only = is_on(values[0]);
    s->view.is_writing = !s->view.is_read_only;
    s->view.is_desynced = is_on(values[1]);
    s->view.is_rejecting = !is_text(values[2], "NONE");
    s->connections_max = number32_of(values[4]);
    s->version = version_of(values[5]);
    bool is_nil = gal_uuid_is_nil(s->view.uuid);
    s->view.is_nil = s->view.is_primary && is_nil;
    s->view.conf_id = s->view.is_primary ? s->conf_id : 0;
    return is_on(values[3]) ? 0 : BASE_E_INVALID; /* without wsrep none of it means anything */
}

uint8_t gal_options_weight(struct slice options)
{
    static const char key[] = "pc.weight = ";
    struct slice name = slice_from_text(key);
    for (; options.len > name.len; options = slice_skip(options, 1)) {
        if (!slice_has_prefix(options, name)) {
            continue;
        }
        struct slice value = slice_skip(options, name.len);
        size_t len = 0;
        while (len < value.len && value.data[len] >= '0' && value.data[len] <= '9') {
            len++;
        }
        uint64_t weight = number_of((struct slice){value.data, len});
        return weight > UINT8_MAX ? UINT8_MAX : (uint8_t)weight;
    }
    return 0;
}

void gal_view_add(struct msg_galera_view *view, struct slice name)
{
    if (view->count == MSG_GALERA_NODES_MAX) {
        return;
    }
    struct msg_galera_node *node = &view->nodes[view->count];
    memset(node, 0, sizeof(*node));
    if (base_name_from(name, &node->node) != 0) {
        char text[32];
        struct buf b = buf_over(text, sizeof(text));
        buf_put_text(&b, "unnamed-");
        buf_put_dec(&b, view->count);
        (void)!base_name_from(buf_slice(&b), &node->node);
    }
    node->weight = 1;
    view->count++;
}

void gal_view_weigh(struct msg_galera_view *view, const struct base_name *own, uint8_t own_weight,
                    uint32_t total)
{
    uint32_t others = view->count > 0 ? view->count - 1u : 0;
    uint32_t rest = total > own_weight ? total - own_weight : 0;
    bool is_even = others > 0 && rest % others == 0 && rest / others <= UINT8_MAX;
    for (uint8_t i = 0; i < view->count; i++) {
        struct msg_galera_node *node = &view->nodes[i];
        if (base_name_equal(&node->node, own)) {
            node->weight = own_weight;
        } else {
            uint32_t weight = is_even && total > 0 ? rest / others : 1;
            node->weight = (uint8_t)weight; /* at most 255 where it is even */
        }
    }
}
