/* SPDX-License-Identifier: Apache-2.0 */
/* Writes first inputs for the targets whose formats chance does not find: seeds DIRECTORY. Each
 * comes from our own encoders. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/name.h"
#include "databases.pb-c.h"
#include "proto/io/link_frame.h"
#include "proto/wire/agent.h"
#include "proto/wire/kv.h"
#include "proto/wire/raft.h"
#include "raft/core/members.h"

static const char *top;

static void save(const char *target, const char *name, int first, struct slice bytes)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", top, target);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof(path), "%s/%s/seed-%s", top, target, name);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return;
    }
    if (first >= 0) {
        (void)fputc(first, out);
    }
    (void)fwrite(bytes.data, 1, bytes.len, out);
    (void)fclose(out);
}

static void raft_messages(void)
{
    static uint8_t memory[1u << 16], bytes[4096];
    struct msg_raft_entry entries[2] = {{3, MSG_RAFT_ENTRY_DATA, SLICE_LIT("body")},
                                        {4, MSG_RAFT_ENTRY_NOOP, SLICE_EMPTY}};
    for (int type = MSG_RAFT_PREVOTE; type < MSG_RAFT_TYPE_COUNT; type++) {
        char name[32];
        struct wire_arena arena;
        struct buf out = buf_over(bytes, sizeof(bytes));
        struct msg_raft m = {.type = (enum msg_raft_type)type,
                             .cluster = 9,
                             .from = 2,
                             .to = 1,
                             .term = 5,
                             .index = 7,
                             .log_term = 2,
                             .commit = 6,
                             .round = 3,
                             .received = 8,
                             .data = SLICE_LIT("data"),
                             .entries = entries};
        m.entry_count = type == MSG_RAFT_APPEND ? 2 : 0;
        m.proposed_term = type == MSG_RAFT_PREVOTE ? 6 : 0;
        wire_arena_init(&arena, memory, sizeof(memory));
        if (wire_raft_encode(&m, &arena, &out) == 0) {
            (void)snprintf(name, sizeof(name), "%d", type);
            save("raft_message", name, -1, buf_slice(&out));
        }
    }
}

static void configuration(void)
{
    static uint8_t bytes[RAFT_MEMBERS_BYTES_MAX];
    static struct raft_configuration c = {.count = 2};
    struct buf out = buf_over(bytes, sizeof(bytes));
    c.members[0].id = 1;
    c.members[0].peer_url = base_text_from(SLICE_LIT("http://a:1"));
    c.members[1] = (struct raft_member){.id = 2, .is_learner = true, .client_url_count = 1};
    c.members[1].client_urls[0] = base_text_from(SLICE_LIT("http://b:2"));
    if (raft_members_encode(&c, &out) == 0) {
        save("raft_members", "two", -1, buf_slice(&out));
    }
}

static void agents(void)
{
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    static struct msg_report report;
    static struct msg_order order;
    static struct msg_record record;
    struct buf out = buf_over(bytes, sizeof(bytes));
    if (wire_report_encode(&report, &out) == 0) {
        save("agent", "report", 0, buf_slice(&out));
    }
    buf_reset(&out);
    if (wire_order_encode(&order, &out) == 0) {
        save("agent", "order", 1, buf_slice(&out));
    }
    buf_reset(&out);
    record.epoch = 3;
    record.revision = 4;
    if (wire_record_encode(&record, &out) == 0) {
        save("agent", "record", 2, buf_slice(&out));
    }
}

static void hello(void)
{
    uint8_t bytes[LINK_HELLO_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct link_hello h = {.version = LINK_VERSION,
                           .oldest = LINK_VERSION_OLDEST,
                           .role = NET_ROLE_NODE,
                           .node_id = 7};
    h.token = base_text_from(SLICE_LIT("quorum"));
    link_hello_put(&h, &out);
    save("link", "hello", 1, buf_slice(&out));
}

static void commands(void)
{
    uint8_t bytes[1024];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct kv_command c = {.origin_node = 1, .origin_life = 2, .request_id = 3};
    c.request.kind = KV_KIND_PUT;
    c.request.put.key = SLICE_LIT("a");
    c.request.put.value = SLICE_LIT("b");
    if (kv_wire_encode_command(&c, &out) == 0) {
        save("kv_wire", "put", 130, buf_slice(&out));
    }
    buf_reset(&out);
    c.request = (struct kv_request){.kind = KV_KIND_LEASE_GRANT};
    c.request.lease_grant.ttl = 5;
    if (kv_wire_encode_command(&c, &out) == 0) {
        save("kv_wire", "grant", 130, buf_slice(&out));
    }
}

/* A literal, as generated structures want it. */
static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

static void put_counted(struct buf *out, struct slice bytes)
{
    buf_put_u8(out, (uint8_t)(bytes.len >> 8));
    buf_put_u8(out, (uint8_t)bytes.len);
    buf_put(out, bytes);
}

/* A cluster with hostile names, a history, and requests. */
static void page(const char *name, int how, const char *requests)
{
    static const char history[] =
        "[{\"kind\":\"failover\",\"from\":\"<b>\",\"to\":\"pg2\",\"reason\":\"\\\"'&\",\"epoch\":3,"
        "\"since_wall_us\":1799999999000000,\"times_us\":{\"detected\":1,\"lease\":2,\"elected\":3,"
        "\"committed\":4,\"opened\":5}}]";
    uint8_t bytes[4096];
    uint8_t message[2048];
    struct buf out = buf_over(bytes, sizeof(bytes));
    Quorate__V1__DatabaseCluster c;
    Quorate__V1__DatabaseMember m[2];
    Quorate__V1__DatabaseMember *list[2] = {&m[0], &m[1]};
    quorate__v1__database_cluster__init(&c);
    for (size_t i = 0; i < 2; i++) {
        quorate__v1__database_member__init(&m[i]);
        m[i].name = text_of(i == 0 ? "pg1" : "<script>");
        m[i].role = text_of(i == 0 ? "primary" : "quorum");
        m[i].state = text_of(i == 0 ? "running" : "streaming");
        m[i].upstream = text_of(i == 0 ? "<script>" : "pg1"); /* a ring */
        m[i].is_up = true;
    }
    c.name = text_of("\"&'");
    c.state = text_of("no primary");
    c.waiting_for = text_of("pg2 has not been heard of");
    c.n_members = 2;
    c.members = list;
    size_t len = quorate__v1__database_cluster__pack(&c, message);
    put_counted(&out, slice_from(message, len));
    put_counted(&out, slice_from_text(history));
    buf_put(&out, slice_from_text(requests));
    save("web", name, how, buf_slice(&out));
}

static void pages(void)
{
    page("page", 0, "GET / HTTP/1.1\r\nHost: 127.0.0.1:2381\r\n\r\n");
    page("other-site", 0, "GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    page("password", 1,
         "GET /status.json HTTP/1.1\r\nHost: a\r\nAuthorization: Basic bWU6c2VjcmV0\r\n\r\n");
    page("live", 4, "GET /status/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    page("style", 2,
         "GET /status.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
         "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    top = argv[1];
    raft_messages();
    configuration();
    agents();
    hello();
    commands();
    pages();
    return 0;
}
