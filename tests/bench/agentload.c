/* SPDX-License-Identifier: Apache-2.0 */
/* Many agents of databases that do not exist, to load a quorum as real ones would.
 *
 *   agentload HOST:PORT,... AGENTS PERIOD_MS SECONDS
 *
 * AGENTS members in clusters of 16, each with its own links to every quorum node (peer port,
 * without TLS, loopback) and a report every PERIOD_MS, spread over the period. The first member
 * of each cluster that is told to makes "the database" and is its open primary under the grants
 * it gets; the others follow as streaming standbys in the synchronous set. Prints, as JSON,
 * reports sent, orders and grants received, and how many agents had an order within the last two
 * periods. Exit 1 when one never had any.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/name.h"
#include "proto/io/link.h"
#include "proto/io/log.h"
#include "proto/wire/agent.h"

#define AGENTS_MAX 1024
#define NODES_MAX 9

struct agent {
    struct io_links *links;
    struct net_port net;
    struct io_timer timer;
    struct base_name member;
    struct msg_report report;
    struct base_mono heard;
    uint64_t orders, grants;
};

static struct {
    struct io_loop *loop;
    struct io_address nodes[NODES_MAX];
    size_t nodes_count;
    struct agent *agents[AGENTS_MAX];
    size_t agents_count;
    int64_t period_us;
    uint64_t reports;
    struct io_timer end;
} load;

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "agentload: %s: %s\n", what, why);
    exit(1);
}

static void send_report(void *ctx)
{
    static uint8_t frame[WIRE_AGENT_BYTES_MAX + 1];
    struct agent *a = ctx;
    struct buf b = buf_over(frame, sizeof(frame));
    a->report.number++;
    buf_put_u8(&b, NET_FRAME_REPORT);
    if (wire_report_encode(&a->report, &b) != 0) {
        die("report", "cannot be encoded");
    }
    for (uint64_t node = 1; node <= load.nodes_count; node++) {
        load.reports += a->net.send(a->net.ctx, node, buf_slice(&b));
    }
    io_timer_start(&a->timer, base_mono_add_us(a->timer.deadline, load.period_us));
}

/* The holder's database is open at once, and its synchronous set is what it is told. */
static void be_primary(struct msg_report *report, const struct msg_order *order)
{
    const struct msg_record *record = &order->record;
    report->system_id = record->system_id != 0 ? record->system_id : report->session;
    report->epoch_held = record->epoch;
    report->db_state = MSG_DB_PRIMARY;
    report->position = (struct msg_position){record->epoch, record->timeline, 0x3000000};
    report->is_open = record->state != MSG_RECORD_BOOTSTRAP;
    report->opened_lsn = 0x2000000;
    report->is_tree_gone = false;
    report->is_sync_known = order->has_sync;
    report->sync_names = order->sync_names;
    report->sync_count = order->sync_count;
    report->is_sync_barrier_passed = order->has_sync;
    report->standbys_count = 0;
    for (uint8_t i = 0; i < order->members_count; i++) {
        const struct msg_member *member = &order->members[i];
        if (!base_name_equal(&member->member, &report->member) &&
            member->db_state == MSG_DB_STANDBY) {
            report->standbys[report->standbys_count++] = (struct msg_standby){
                member->member, 0x3000000, .is_streaming = true, .is_confirmed = true};
        }
    }
}

static void follow(struct msg_report *report, const struct msg_record *record)
{
    if (!record->is_opened) {
        return;
    }
    report->system_id = record->system_id;
    report->db_state = MSG_DB_STANDBY;
    report->position = (struct msg_position){record->epoch, record->timeline, 0x3000000};
    report->is_receiving = true;
    report->is_tree_gone = false;
}

static void received(void *ctx, uint64_t link, const struct net_identity *from,
                     struct slice payload)
{
    static struct msg_order order;
    struct agent *a = ctx;
    (void)link;
    (void)from;
    if (payload.len == 0 || payload.data[0] != NET_FRAME_ORDER ||
        wire_order_decode(slice_skip(payload, 1), &order) != 0 ||
        order.session != a->report.session) {
        return;
    }
    a->orders++;
    a->grants += order.is_granted;
    a->heard = io_now();
    a->report.order_term = order.term;
    a->report.order_number = order.number;
    a->report.epoch_seen =
        order.record.epoch > a->report.epoch_seen ? order.record.epoch : a->report.epoch_seen;
    if (order.goal == MSG_GOAL_INIT || order.goal == MSG_GOAL_HOLD) {
        be_primary(&a->report, &order);
    } else if (order.goal == MSG_GOAL_FOLLOW) {
        follow(&a->report, &order.record);
    }
}

static void link_changed(void *ctx, uint64_t link, const struct net_identity *who)
{
    (void)ctx;
    (void)link;
    (void)who;
}

static struct agent *new_agent(size_t number)
{
    static const struct io_link_events events = {
        .received = received, .up = link_changed, .down = link_changed};
    struct agent *a = calloc(1, sizeof(*a));
    struct io_why why = {""};
    char text[BASE_NAME_MAX];
    struct msg_report *r = a == NULL ? NULL : &a->report;
    if (a == NULL) {
        die("memory", "out of it");
    }
    int len = snprintf(text, sizeof(text), "load-%zu", number / MSG_MEMBERS_MAX);
    if (base_name_from(slice_from((const uint8_t *)text, (size_t)len), &r->cluster) != 0) {
        die(text, "no name");
    }
    len = snprintf(text, sizeof(text), "m%zu", number % MSG_MEMBERS_MAX);
    if (base_name_from(slice_from((const uint8_t *)text, (size_t)len), &r->member) != 0) {
        die(text, "no name");
    }
    r->instance = 0x100000 + number;
    r->session = 0x200000 + (uint64_t)getpid() * AGENTS_MAX + number;
    r->host = base_text_from(SLICE_LIT("127.0.0.1"));
    r->db_port = 1;
    r->http_port = 1;
    r->db_state = MSG_DB_EMPTY;
    r->is_tree_gone = true;
    r->has_seed = true;
    struct io_links_options options = {
        .self = {.role = NET_ROLE_AGENT, .cluster = r->cluster, .member = r->member},
        .name = r->member,
        .events = &events,
        .ctx = a,
        .queue_max = 1 << 17};
    if (io_links_new(load.loop, &options, &a->links, &why) != 0) {
        die("links", why.text);
    }
    for (size_t i = 0; i < load.nodes_count; i++) {
        const struct io_link_node node = {.node_id = i + 1, .address = load.nodes[i]};
        if (io_links_add(a->links, &node, &why) != 0) {
            die("link", why.text);
        }
    }
    a->net = io_links_port_of(a->links);
    io_timer_init(&a->timer, load.loop, send_report, a);
    return a;
}

static void parse_nodes(const char *text)
{
    struct slice rest = slice_from_text(text);
    struct io_why why = {""};
    while (rest.len > 0 && load.nodes_count < NODES_MAX) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        struct slice part = rest;
        part.len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        rest = slice_skip(rest, part.len < rest.len ? part.len + 1 : part.len);
        if (io_address_parse(part, 2380, &load.nodes[load.nodes_count++], &why) != 0) {
            die(text, why.text);
        }
    }
}

static int print_result(void)
{
    uint64_t orders = 0;
    uint64_t grants = 0;
    size_t never = 0;
    size_t fresh = 0;
    struct rusage used;
    for (size_t i = 0; i < load.agents_count; i++) {
        const struct agent *a = load.agents[i];
        orders += a->orders;
        grants += a->grants;
        never += a->orders == 0;
        fresh += a->orders > 0 && base_mono_diff_us(io_now(), a->heard) < 2 * load.period_us;
    }
    (void)getrusage(RUSAGE_SELF, &used);
    (void)printf("{\"agents\": %zu, \"reports\": %" PRIu64 ", \"orders\": %" PRIu64
                 ", \"grants\": %" PRIu64 ", \"answered_lately\": %zu, \"never_answered\": %zu}\n",
                 load.agents_count, load.reports, orders, grants, fresh, never);
    return never == 0 ? 0 : 1;
}

static void stop(void *ctx)
{
    (void)ctx;
    io_loop_stop(load.loop);
}

int main(int argc, char **argv)
{
    const struct rlimit files = {65536, 65536};
    if (argc != 5) {
        (void)fputs("usage: agentload HOST:PORT,... AGENTS PERIOD_MS SECONDS\n", stderr);
        return 2;
    }
    (void)setrlimit(RLIMIT_NOFILE, &files);
    io_log_set_level(IO_LEVEL_ERROR);
    parse_nodes(argv[1]);
    size_t agents = strtoul(argv[2], NULL, 10);
    load.period_us = strtol(argv[3], NULL, 10) * BASE_US_PER_MS;
    if (agents == 0 || agents > AGENTS_MAX || load.period_us <= 0 || io_loop_new(&load.loop) != 0) {
        die(argv[2], "1 to 1024 agents with a period above 0");
    }
    struct base_mono begin = io_now();
    for (size_t i = 0; i < agents; i++) {
        struct agent *a = new_agent(i);
        load.agents[load.agents_count++] = a;
        int64_t offset_us = load.period_us * (int64_t)i / (int64_t)agents;
        io_timer_start(&a->timer, base_mono_add_us(begin, BASE_US_PER_S + offset_us));
    }
    io_timer_init(&load.end, load.loop, stop, NULL);
    io_timer_start_in_us(&load.end, strtol(argv[4], NULL, 10) * BASE_US_PER_S);
    io_loop_run(load.loop);
    return print_result();
}
