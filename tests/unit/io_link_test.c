/* SPDX-License-Identifier: Apache-2.0 */
/* Links: frames taken apart in any pieces, bad ones refused, nodes and agents over TLS and plain,
 * restarts. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/name.h"
#include "base/rand.h"
#include "proto/io/link.h"
#include "proto/io/link_frame.h"
#include "proto/io/log.h"
#include "tests/unit/io_test_support.h"

#define SILENT_MAX 64u /* STRANGERS_MAX of the links */

static struct io_loop *loop;

/* --- frames --- */

static unsigned frames_seen;
static size_t bytes_seen;

static bool count_frame(void *ctx, struct slice payload)
{
    (void)ctx;
    frames_seen++;
    bytes_seen += payload.len;
    return true;
}

static size_t make_frames(uint8_t *memory, size_t cap, unsigned count)
{
    struct buf b = buf_over(memory, cap);
    static uint8_t payload[3000];
    for (unsigned i = 0; i < count; i++) {
        uint8_t header[LINK_HEADER];
        struct slice body = slice_from(payload, 1 + i * 97 % sizeof(payload));
        memset(payload, (int)i + 1, sizeof(payload));
        link_frame_header(body, header);
        buf_put(&b, slice_from(header, sizeof(header)));
        buf_put(&b, body);
    }
    assert_false(b.is_full);
    return b.len;
}

static void frames_in_any_pieces(void **state)
{
    (void)state;
    static uint8_t memory[200000];
    size_t len = make_frames(memory, sizeof(memory), 60);
    for (size_t piece = 1; piece < 5000; piece += piece < 20 ? 1 : 211) {
        struct link_reader reader = {.frame_max = NET_FRAME_MAX};
        struct io_why why = {""};
        frames_seen = 0;
        for (size_t at = 0; at < len; at += piece) {
            size_t part = len - at < piece ? len - at : piece;
            assert_int_equal(
                link_reader_feed(&reader, slice_from(memory + at, part), count_frame, NULL, &why),
                0);
        }
        assert_int_equal(frames_seen, 60);
        assert_int_equal(reader.partial.len, 0);
        link_reader_free(&reader);
    }
}

/* Random damage: either an error, or only whole, checked frames; never a crash. */
static void damaged_frames(void **state)
{
    (void)state;
    static uint8_t memory[100000];
    struct base_rand r = base_rand_make(11, 2);
    for (int round = 0; round < 400; round++) {
        struct link_reader reader = {.frame_max = 5000};
        struct io_why why = {""};
        size_t len = make_frames(memory, sizeof(memory), 20);
        size_t at = base_rand_between(&r, 0, len - 1);
        memory[at] ^= (uint8_t)(1u << base_rand_between(&r, 0, 7));
        frames_seen = 0;
        int status = link_reader_feed(&reader, slice_from(memory, len), count_frame, NULL, &why);
        assert_true(frames_seen < 20);
        assert_true(status == BASE_E_PROTO || reader.partial.len > 0);
        link_reader_free(&reader);
    }
}

static void damaged_hellos(void **state)
{
    (void)state;
    struct base_rand r = base_rand_make(12, 3);
    struct link_hello hello = {.version = 4,
                               .oldest = 3,
                               .role = NET_ROLE_AGENT,
                               .cluster = {"pg-main"},
                               .member = {"m1"}};
    struct link_hello back = {0};
    uint8_t memory[LINK_HELLO_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    hello.token = base_text_from(SLICE_LIT("prod"));
    link_hello_put(&hello, &b);
    assert_int_equal(link_hello_read(buf_slice(&b), &back), 0);
    assert_string_equal(back.member.text, "m1");
    assert_string_equal(back.token.text, "prod");
    assert_int_equal(back.oldest, 3);
    for (size_t len = 0; len < b.len; len++) {
        bool is_short_form = len == b.len - 4; /* without the oldest version */
        assert_int_equal(link_hello_read(slice_from(memory, len), &back),
                         is_short_form ? 0 : BASE_E_PROTO);
    }
    assert_int_equal(back.oldest, 4);
    hello.oldest = 5;
    buf_reset(&b);
    link_hello_put(&hello, &b);
    assert_int_equal(link_hello_read(buf_slice(&b), &back), BASE_E_PROTO);
    hello.oldest = 3;
    buf_reset(&b);
    link_hello_put(&hello, &b);
    for (int round = 0; round < 2000; round++) {
        uint8_t copy[LINK_HELLO_MAX];
        memcpy(copy, memory, b.len);
        copy[base_rand_between(&r, 0, b.len - 1)] = (uint8_t)base_rand_next(&r);
        (void)!link_hello_read(slice_from(copy, b.len), &back);
    }
}

/* Two protocols understand each other when neither is older than what the other still speaks. */
static void versions(void **state)
{
    (void)state;
    static const struct {
        uint32_t oldest, version;
        bool fits;
    } cases[] = {
        {LINK_VERSION, LINK_VERSION, true},
        {LINK_VERSION_OLDEST, LINK_VERSION, true},
        {LINK_VERSION_OLDEST, LINK_VERSION_OLDEST, true},
        {LINK_VERSION_OLDEST - 1, LINK_VERSION_OLDEST - 1, false},
        {LINK_VERSION, LINK_VERSION + 1, true},
        {LINK_VERSION_OLDEST, LINK_VERSION + 5, true},
        {LINK_VERSION + 1, LINK_VERSION + 1, false},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct link_hello hello = {.oldest = cases[i].oldest, .version = cases[i].version};
        assert_int_equal(link_hello_fits(&hello), cases[i].fits);
    }
}

/* --- tables --- */

struct place {
    struct io_links *links;
    unsigned ups, downs, frames;
    bool is_up, is_down, has_frame;
    uint64_t last_link;
    struct net_identity from;
    char last[64];
};
static struct place places[4];

static void received(void *ctx, uint64_t link, const struct net_identity *from,
                     struct slice payload)
{
    struct place *place = ctx;
    size_t len =
        payload.len - 1 < sizeof(place->last) - 1 ? payload.len - 1 : sizeof(place->last) - 1;
    memcpy(place->last, payload.data + 1, len);
    place->last[len] = '\0';
    place->last_link = link;
    place->from = *from;
    place->frames++;
    place->has_frame = true;
}

static void went_up(void *ctx, uint64_t link, const struct net_identity *who)
{
    struct place *place = ctx;
    place->ups++;
    place->is_up = true;
    place->last_link = link;
    place->from = *who;
}

static void went_down(void *ctx, uint64_t link, const struct net_identity *who)
{
    struct place *place = ctx;
    (void)link;
    (void)who;
    place->downs++;
    place->is_down = true;
}

static const struct io_link_events link_events = {received, went_up, went_down};

static void open_place(struct place *place, const struct net_identity *self, const char *name,
                       struct io_tls *tls)
{
    struct io_why why = {""};
    struct io_links_options options = {.self = *self,
                                       .tls = tls,
                                       .ping_ms = 50,
                                       .dead_ms = 1500,
                                       .events = &link_events,
                                       .ctx = place};
    *place = (struct place){0};
    options.token = base_text_from(SLICE_LIT("q"));
    if (name[0] != '\0') {
        assert_int_equal(base_name_from_text(name, &options.name), 0);
    }
    assert_int_equal(io_links_new(loop, &options, &place->links, &why), 0);
}

static void listen_place(struct place *place, uint16_t port)
{
    struct io_why why = {""};
    const struct io_address address = test_loopback(port);
    assert_int_equal(io_links_listen(place->links, &address, &why), 0);
}

static void add_node(struct place *place, uint64_t id, const char *name, uint16_t port)
{
    struct io_why why = {""};
    struct io_link_node node = {.node_id = id, .address = test_loopback(port)};
    if (name[0] != '\0') {
        assert_int_equal(base_name_from_text(name, &node.name), 0);
    }
    assert_int_equal(io_links_add(place->links, &node, &why), 0);
}

static bool send_text(struct place *place, uint64_t link, const char *text)
{
    uint8_t memory[100];
    struct buf b = buf_over(memory, sizeof(memory));
    struct net_port port = io_links_port_of(place->links);
    buf_put_u8(&b, NET_FRAME_RAFT);
    buf_put_text(&b, text);
    return port.send(port.ctx, link, buf_slice(&b));
}

static const struct net_identity node_1 = {.role = NET_ROLE_NODE, .node_id = 1};
static const struct net_identity node_2 = {.role = NET_ROLE_NODE, .node_id = 2};
static const struct net_identity agent_1 = {
    .role = NET_ROLE_AGENT, .cluster = {"pg-main"}, .member = {"pg1"}};

static int setup(void **state)
{
    (void)state;
    memset(places, 0, sizeof(places));
    test_folder_make();
    return io_loop_new(&loop);
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(places); i++) {
        places[i].links = io_links_free(places[i].links);
    }
    loop = io_loop_free(loop);
    test_folder_remove();
    return 0;
}

/* Two nodes and an agent; frames each way; then one node starts anew and is found again. */
static void nodes_and_agent(struct io_tls *tls_1, struct io_tls *tls_2, struct io_tls *tls_agent)
{
    struct place *a = &places[0];
    struct place *b = &places[1];
    struct place *agent = &places[2];
    open_place(a, &node_1, "n1", tls_1);
    open_place(b, &node_2, "n2", tls_2);
    listen_place(a, 0);
    listen_place(b, 0);
    uint16_t port_a = io_links_port(a->links);
    uint16_t port_b = io_links_port(b->links);
    assert_false(send_text(a, 2, "nobody there"));
    add_node(a, 2, "n2", port_b);
    add_node(b, 1, "n1", port_a);
    run_until(loop, &a->is_up);
    run_until(loop, &b->is_up);
    assert_true(send_text(a, 2, "from a"));
    run_until(loop, &b->has_frame);
    assert_string_equal(b->last, "from a");
    assert_int_equal(b->from.node_id, 1);
    assert_true(send_text(b, 1, "from b"));
    run_until(loop, &a->has_frame);

    a->is_up = a->has_frame = false;
    open_place(agent, &agent_1, "", tls_agent);
    add_node(agent, 7, "", port_a);
    run_until(loop, &a->is_up);
    run_until(loop, &agent->is_up);
    assert_true(a->last_link >= IO_LINK_FIRST_AGENT);
    uint64_t agent_link = a->last_link;
    assert_true(send_text(agent, 7, "report"));
    run_until(loop, &a->has_frame);
    assert_string_equal(a->from.member.text, "pg1");
    assert_true(send_text(a, agent_link, "order"));
    run_until(loop, &agent->has_frame);
    assert_string_equal(agent->last, "order");
    assert_int_equal(agent->last_link, 7);

    agent->is_up = agent->is_down = b->is_up = b->is_down = false;
    a->links = io_links_free(a->links);
    run_until(loop, &agent->is_down);
    run_until(loop, &b->is_down);
    open_place(a, &node_1, "n1", tls_1);
    listen_place(a, port_a);
    add_node(a, 2, "n2", port_b);
    run_until(loop, &agent->is_up);
    run_until(loop, &b->is_up);
    assert_true(send_text(b, 1, "again"));
    run_until(loop, &a->has_frame);
    assert_string_equal(a->last, "again");
    assert_true(send_text(agent, 7, "report"));
    while (a->from.role != NET_ROLE_AGENT || a->frames < 2) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }

    agent_link = a->last_link; /* same table, new connection: new number */
    a->is_up = a->is_down = false;
    agent->links = io_links_free(agent->links);
    run_until(loop, &a->is_down);
    open_place(agent, &agent_1, "", tls_agent);
    add_node(agent, 7, "", port_a);
    run_until(loop, &a->is_up);
    assert_true(a->last_link != agent_link);
    assert_false(send_text(a, agent_link, "to a link that is no more"));
}

static void plain_nodes(void **state)
{
    (void)state;
    nodes_and_agent(NULL, NULL, NULL);
}

static void tls_nodes(void **state)
{
    (void)state;
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "n2", "quorate://node/n2", 5);
    test_cert_make("ca", "pg1", "quorate://agent/pg-main/pg1", 5);
    struct io_tls *tls_1 = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *tls_2 = test_tls("ca", "n2", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *tls_agent = test_tls("ca", "pg1", IO_TLS_VERIFY_REQUIRED);
    nodes_and_agent(tls_1, tls_2, tls_agent);
    tls_1 = io_tls_free(tls_1);
    tls_2 = io_tls_free(tls_2);
    tls_agent = io_tls_free(tls_agent);
}

static char log_text[20000];

static void collect_log(void *ctx, struct slice line)
{
    (void)ctx;
    size_t used = strlen(log_text);
    if (used + line.len + 2 < sizeof(log_text)) {
        memcpy(log_text + used, line.data, line.len);
        log_text[used + line.len] = '\n';
        log_text[used + line.len + 1] = '\0';
    }
}

static void run_until_logged(const char *word)
{
    struct base_mono end = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    while (strstr(log_text, word) == NULL) {
        if (!base_mono_before(io_now(), end)) {
            fail_msg("'%s' was not logged, but: %s", word, log_text);
        }
        io_loop_run_once(loop, end);
    }
}

/* An agent's certificate of another member, a wrong quorum, a wrong node behind the address. */
static void wrong_ones_are_refused(void **state)
{
    (void)state;
    log_text[0] = '\0';
    io_log_set_sink(collect_log, NULL);
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "pg2", "quorate://agent/pg-main/pg2", 5);
    struct io_tls *tls_1 = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    struct io_tls *tls_agent = test_tls("ca", "pg2", IO_TLS_VERIFY_REQUIRED);
    open_place(&places[0], &node_1, "n1", tls_1);
    listen_place(&places[0], 0);
    uint16_t port = io_links_port(places[0].links);
    open_place(&places[1], &agent_1, "", tls_agent);
    add_node(&places[1], 1, "n1", port);
    run_until_logged(
        "it says it is agent pg-main/pg1, but its certificate is for agent pg-main/pg2");
    places[1].links = io_links_free(places[1].links);

    open_place(&places[2], &node_2, "n2", tls_1);
    add_node(&places[2], 1, "n9", port);
    run_until_logged("it says it is node n2, but its certificate is for node n1");
    places[2].links = io_links_free(places[2].links);
    assert_int_equal(places[0].ups, 0);
    io_log_set_sink(NULL, NULL);
    tls_1 = io_tls_free(tls_1);
    tls_agent = io_tls_free(tls_agent);
}

/* A node that is no member gets a link of its own, so that it can be told; one without an id finds
 * others by their names alone. What it claims must not be our own id. */
static void strangers_are_guests(void **state)
{
    (void)state;
    log_text[0] = '\0';
    io_log_set_sink(collect_log, NULL);
    static const struct net_identity joiner = {.role = NET_ROLE_NODE};
    open_place(&places[0], &node_1, "n1", NULL);
    listen_place(&places[0], 0);
    uint16_t port = io_links_port(places[0].links);
    open_place(&places[2], &joiner, "n4", NULL);
    add_node(&places[2], 77, "n1", port);
    run_until(loop, &places[2].is_up);
    run_until(loop, &places[0].is_up);
    assert_true(send_text(&places[2], 77, "who"));
    run_until(loop, &places[0].has_frame);
    assert_true(places[0].last_link >= IO_LINK_FIRST_AGENT);
    assert_true(send_text(&places[0], places[0].last_link, "you"));
    run_until(loop, &places[2].has_frame);
    assert_string_equal(places[2].last, "you");
    places[2].links = io_links_free(places[2].links);
    open_place(&places[2], &joiner, "n4", NULL);
    add_node(&places[2], 77, "n9", port);
    run_until_logged("expected 'n9'");
    places[2].links = io_links_free(places[2].links);
    open_place(&places[1], &node_1, "n5", NULL);
    add_node(&places[1], 9, "n1", port);
    run_until_logged("claims our own id 1");
    io_log_set_sink(NULL, NULL);
}

/* A node that connected before it stood in our table comes again, as the member that it is. */
static void guests_become_members(void **state)
{
    (void)state;
    static const struct net_identity second = {.role = NET_ROLE_NODE, .node_id = 2};
    open_place(&places[0], &node_1, "n1", NULL);
    listen_place(&places[0], 0);
    open_place(&places[1], &second, "n2", NULL);
    listen_place(&places[1], 0);
    add_node(&places[1], 1, "n1", io_links_port(places[0].links));
    run_until(loop, &places[0].is_up);
    add_node(&places[0], 2, "n2", io_links_port(places[1].links));
    while (!io_links_is_up(places[0].links, 2)) {
        (void)uv_run(io_loop_uv(loop), UV_RUN_ONCE);
    }
    places[0].last_link = 0;           /* from here on it is the link that a frame came over */
    while (places[0].last_link != 2) { /* what the closing link carried may be lost */
        (void)send_text(&places[1], 1, "hello");
        (void)uv_run(io_loop_uv(loop), UV_RUN_ONCE);
    }
}

/* Over IPv6, and by a name that is looked up; again and again until somebody listens there. */
static void ipv6_and_names(void **state)
{
    (void)state;
    struct io_why why = {""};
    const struct io_address any_port = {.host = "::1", .port = 0};
    open_place(&places[0], &node_1, "n1", NULL);
    if (io_links_listen(places[0].links, &any_port, &why) != 0) {
        print_message("no IPv6 here: %s\n", why.text);
        skip();
    }
    struct io_link_node node = {.node_id = 1, .address = any_port};
    node.address.port = io_links_port(places[0].links);
    assert_int_equal(base_name_from_text("n1", &node.name), 0);
    open_place(&places[1], &agent_1, "", NULL);
    assert_int_equal(io_links_add(places[1].links, &node, &why), 0);
    run_until(loop, &places[1].is_up);
    places[0].links = io_links_free(places[0].links);

    node.address = (struct io_address){.host = "localhost", .port = node.address.port};
    open_place(&places[2], &agent_1, "", NULL);
    assert_int_equal(io_links_add(places[2].links, &node, &why), 0);
    log_text[0] = '\0';
    io_log_set_sink(collect_log, NULL);
    run_until_logged("dial_failed");
    io_log_set_sink(NULL, NULL);
    open_place(&places[0], &node_1, "n1", NULL);
    listen_place(&places[0], node.address.port);
    run_until(loop, &places[2].is_up);
}

/* Two live agents of one name: both are heard, on numbers of their own; the arbiter decides. */
static void doubled_agents_are_both_heard(void **state)
{
    (void)state;
    open_place(&places[0], &node_1, "n1", NULL);
    listen_place(&places[0], 0);
    uint64_t links[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        struct place *agent = &places[1 + i];
        open_place(agent, &agent_1, "", NULL);
        add_node(agent, 7, "", io_links_port(places[0].links));
        run_until(loop, &agent->is_up);
        places[0].has_frame = false;
        assert_true(send_text(agent, 7, i == 0 ? "one" : "two"));
        run_until(loop, &places[0].has_frame);
        assert_string_equal(places[0].last, i == 0 ? "one" : "two");
        links[i] = places[0].last_link;
    }
    assert_true(links[0] != links[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_true(send_text(&places[0], links[i], "order"));
        run_until(loop, &places[1 + i].has_frame);
    }
    assert_int_equal(places[0].downs, 0);
}

static void insecure_is_for_loopback(void **state)
{
    (void)state;
    struct io_why why = {""};
    const struct io_address any = {.host = "", .port = 0};
    struct io_link_node node = {.node_id = 2, .address = {.host = "10.1.2.3", .port = 2380}};
    open_place(&places[0], &node_1, "n1", NULL);
    assert_int_equal(io_links_listen(places[0].links, &any, &why), BASE_E_DENIED);
    assert_non_null(strstr(why.text, "needs TLS"));
    assert_int_equal(io_links_add(places[0].links, &node, &why), BASE_E_DENIED);
}

/* Raw bytes at the port: garbage, a bad checksum, a frame that is too long. All are closed, nothing
 * is delivered, the table goes on. */
static struct {
    bool is_open, is_closed;
    uint32_t answered; /* version in a hello that came back */
} raw;

static void raw_opened(void *ctx, struct io_stream *stream)
{
    const struct slice *bytes = ctx;
    raw.is_open = true;
    assert_int_equal(io_stream_write(stream, *bytes), 0);
}

static void raw_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct link_hello hello;
    (void)ctx;
    (void)stream;
    if (bytes.len > LINK_HEADER && link_hello_read(slice_skip(bytes, LINK_HEADER), &hello) == 0) {
        raw.answered = hello.version;
    }
}

static void raw_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    (void)ctx;
    (void)stream;
    (void)status;
    (void)why;
    raw.is_closed = true;
}

static const struct io_stream_events raw_events = {raw_opened, raw_data, NULL, raw_closed};

static void send_raw(uint16_t port, struct slice bytes)
{
    struct io_stream *stream = NULL;
    const struct io_address address = test_loopback(port);
    const struct io_stream_options options = {.events = &raw_events, .ctx = &bytes};
    raw.is_open = raw.is_closed = false;
    assert_int_equal(io_stream_connect(loop, &address, &options, &stream), 0);
    run_until(loop, &raw.is_closed);
    assert_true(raw.is_open);
}

static void raw_garbage(void **state)
{
    (void)state;
    struct base_rand r = base_rand_make(5, 5);
    uint8_t memory[600];
    io_log_set_level(IO_LEVEL_ERROR);
    open_place(&places[0], &node_1, "n1", NULL);
    listen_place(&places[0], 0);
    uint16_t port = io_links_port(places[0].links);
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof(memory); i++) {
            memory[i] = (uint8_t)base_rand_next(&r);
        }
        send_raw(port, slice_from(memory, sizeof(memory)));
    }
    struct link_hello hello = {
        .version = 99, .oldest = 98, .role = NET_ROLE_AGENT, .cluster = {"c"}, .member = {"m"}};
    struct buf b = buf_over(memory + LINK_HEADER, sizeof(memory) - LINK_HEADER);
    link_hello_put(&hello, &b);
    link_frame_header(buf_slice(&b), memory);
    assert_int_equal(raw.answered, 0);
    send_raw(port, slice_from(memory, LINK_HEADER + b.len));
    assert_int_equal(raw.answered, LINK_VERSION); /* it hears why */
    memory[4] ^= 1;
    send_raw(port, slice_from(memory, LINK_HEADER + b.len));
    assert_int_equal(places[0].ups, 0);
    assert_int_equal(io_links_stats(places[0].links).bad, 52);
    io_log_set_level(IO_LEVEL_INFO);
}

static int dial_silent(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* How many of them have been hung up on. */
static unsigned hung_up(const int *fds, unsigned count)
{
    unsigned gone = 0;
    for (unsigned i = 0; i < count; i++) {
        char byte;
        ssize_t n = recv(fds[i], &byte, 1, MSG_DONTWAIT);
        gone += n == 0 || (n < 0 && errno != EAGAIN);
    }
    return gone;
}

/* So many may be silent; whoever comes then takes the place of the one silent for longest, and a
 * peer is let in at once. */
static void silent_ones_are_bounded(void **state)
{
    (void)state;
    int fds[SILENT_MAX + 3];
    open_place(&places[0], &node_1, "n1", NULL);
    open_place(&places[1], &node_2, "n2", NULL);
    listen_place(&places[0], 0);
    listen_place(&places[1], 0);
    uint16_t port = io_links_port(places[0].links);
    for (unsigned i = 0; i < SILENT_MAX; i++) {
        fds[i] = dial_silent(port);
    }
    run_for(loop, 200 * BASE_US_PER_MS);
    assert_int_equal(hung_up(fds, SILENT_MAX), 0);
    for (unsigned i = SILENT_MAX; i < SILENT_MAX + 3; i++) {
        fds[i] = dial_silent(port);
    }
    for (int i = 0; i < 200 && hung_up(fds, SILENT_MAX + 3) < 3; i++) {
        run_for(loop, 20 * BASE_US_PER_MS);
    }
    assert_int_equal(hung_up(fds, 3), 3);
    assert_int_equal(hung_up(fds + 3, SILENT_MAX), 0);
    add_node(&places[0], 2, "n2", 1); /* nobody there: n2 has to come itself */
    add_node(&places[1], 1, "n1", port);
    run_until(loop, &places[0].is_up);
    assert_int_equal(hung_up(fds + 4, SILENT_MAX - 1), 0);
    for (unsigned i = 0; i < SILENT_MAX + 3; i++) {
        (void)close(fds[i]);
    }
}

/* A full queue refuses, and what was taken arrives whole and in order. */
static void full_queue(void **state)
{
    (void)state;
    static uint8_t big[100000] = {NET_FRAME_RAFT, 'x'};
    open_place(&places[0], &node_1, "n1", NULL);
    open_place(&places[1], &node_2, "n2", NULL);
    listen_place(&places[0], 0);
    listen_place(&places[1], 0);
    add_node(&places[0], 2, "n2", io_links_port(places[1].links));
    add_node(&places[1], 1, "n1", io_links_port(places[0].links));
    run_until(loop, &places[0].is_up);
    run_until(loop, &places[1].is_up);
    struct net_port port = io_links_port_of(places[0].links);
    unsigned sent = 0;
    while (port.send(port.ctx, 2, slice_from(big, sizeof(big)))) {
        sent++;
        assert_true(sent < 1000);
    }
    assert_true(sent >= 80);
    assert_int_equal(io_links_stats(places[0].links).dropped, 1);
    struct base_mono end = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    while (places[1].frames < sent && base_mono_before(io_now(), end)) {
        io_loop_run_once(loop, end);
    }
    assert_int_equal(places[1].frames, sent);
    assert_true(io_links_is_up(places[0].links, 2));
    io_links_remove(places[0].links, 2);
    assert_false(io_links_is_up(places[0].links, 2));
    assert_true(places[0].is_down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_any_pieces),
        cmocka_unit_test(damaged_frames),
        cmocka_unit_test(damaged_hellos),
        cmocka_unit_test(versions),
        cmocka_unit_test_setup_teardown(plain_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_ones_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_are_guests, setup, teardown),
        cmocka_unit_test_setup_teardown(guests_become_members, setup, teardown),
        cmocka_unit_test_setup_teardown(ipv6_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(doubled_agents_are_both_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(insecure_is_for_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_ones_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(full_queue, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
