/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's data path over real sockets: bytes, ends, back-pressure, cuts; and the reading of
 * what the quorum keeps. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/proxy/conn.h"
#include "agents/proxy/facts.h"
#include "tests/unit/io_test_support.h"

#define BULK ((size_t)8 << 20)

static struct {
    struct io_loop *loop;
    struct conns *conns;
    struct conn *conn;
    int listen_fd; /* of the pretended database */
    struct sockaddr_in address;
    int client, database; /* the far ends */
    bool is_connected, has_failed, has_ended, is_server_first;
} place;

/* --- sockets of the test --- */

static int listen_somewhere(struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)ret, sizeof(*ret)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    return fd;
}

/* A connected pair; the second end does not block. */
static void pair(int ret[2])
{
    struct sockaddr_in address;
    int fd = listen_somewhere(&address);
    ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ret[0], (const struct sockaddr *)&address, sizeof(address)), 0);
    ret[1] = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(ret[1] >= 0);
    (void)close(fd);
}

static bool is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

/* Reads once, while the loop runs; at most 10 s. */
static ssize_t read_some(int fd, void *data, size_t cap)
{
    for (int i = 0; i < 10000 && !is_readable(fd); i++) {
        io_loop_run_once(place.loop, base_mono_add_us(io_now(), 1000));
    }
    assert_true(is_readable(fd));
    return recv(fd, data, cap, 0);
}

static void expect_text(int fd, const char *text)
{
    char got[256] = "";
    size_t len = 0;
    while (len < strlen(text)) {
        ssize_t n = read_some(fd, got + len, sizeof(got) - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, text);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* --- the owner --- */

static void connected(void *ctx, struct conn *conn)
{
    (void)ctx;
    (void)conn;
    place.is_connected = true;
}

static void failed(void *ctx, struct conn *conn, int error)
{
    (void)ctx;
    assert_int_equal(conn->state, CONN_HELD);
    assert_int_equal(error, ECONNREFUSED);
    place.has_failed = true;
}

static void ended(void *ctx, struct conn *conn, bool is_server_first)
{
    (void)ctx;
    assert_ptr_equal(conn, place.conn);
    place.conn = NULL;
    place.has_ended = true;
    place.is_server_first = is_server_first;
}

static const struct conns_events events = {
    .connected = connected, .failed = failed, .ended = ended};

static int setup(void **state)
{
    int ends[2];
    (void)state;
    memset(&place, 0, sizeof(place));
    place.database = -1;
    assert_int_equal(io_loop_new(&place.loop), 0);
    const struct conns_options options = {
        .loop = place.loop, .keepalive_us = 10 * BASE_US_PER_S, .events = &events};
    assert_int_equal(conns_open(&options, &place.conns), 0);
    place.listen_fd = listen_somewhere(&place.address);
    pair(ends);
    place.client = ends[0];
    place.conn = conn_add(place.conns, ends[1], NULL, PROXY_PRIMARY);
    assert_non_null(place.conn);
    return 0;
}

static void close_if(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static int teardown(void **state)
{
    (void)state;
    if (place.conn != NULL) {
        conn_end(place.conn, SLICE_EMPTY);
    }
    struct conns_stats stats;
    conns_stats(place.conns, &stats);
    assert_int_equal(stats.count, 0);
    assert_int_equal(stats.kept_bytes, 0);
    place.conns = conns_close(place.conns);
    close_if(&place.client);
    close_if(&place.database);
    close_if(&place.listen_fd);
    place.loop = io_loop_free(place.loop);
    return 0;
}

static void open_through(void)
{
    assert_int_equal(
        conn_connect(place.conn, (const struct sockaddr *)&place.address, sizeof(place.address)),
        0);
    place.database = accept4(place.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(place.database >= 0);
    run_until(place.loop, &place.is_connected);
}

/* --- tests --- */

static void test_bytes_go_both_ways(void **state)
{
    (void)state;
    say(place.client, "hello "); /* before there is anybody to talk to */
    open_through();
    say(place.client, "there");
    expect_text(place.database, "hello there");
    say(place.database, "good day");
    expect_text(place.client, "good day");
}

static void test_half_a_connection_goes_on(void **state)
{
    char byte;
    (void)state;
    open_through();
    say(place.client, "last words");
    assert_int_equal(shutdown(place.client, SHUT_WR), 0);
    expect_text(place.database, "last words");
    assert_int_equal(read_some(place.database, &byte, 1), 0);
    assert_false(place.has_ended);
    say(place.database, "the answer");
    expect_text(place.client, "the answer");
    close_if(&place.database);
    run_until(place.loop, &place.has_ended);
    assert_false(place.is_server_first);
    assert_int_equal(read_some(place.client, &byte, 1), 0);
}

static void test_servers_end_is_noticed_as_such(void **state)
{
    char byte;
    (void)state;
    open_through();
    say(place.database, "FATAL");
    close_if(&place.database);
    expect_text(place.client, "FATAL");
    assert_int_equal(read_some(place.client, &byte, 1), 0);
    close_if(&place.client);
    run_until(place.loop, &place.has_ended);
    assert_true(place.is_server_first);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 12));
}

/* More than all buffers hold, at a reader that begins late: all of it comes, in order, and what is
 * kept meanwhile is bounded. */
static void test_bulk_with_a_slow_reader(void **state)
{
    static uint8_t chunk[65536];
    size_t sent = 0;
    size_t got = 0;
    struct conns_stats stats;
    (void)state;
    open_through();
    assert_int_equal(fcntl(place.database, F_SETFL, O_NONBLOCK), 0);
    while (got < BULK) {
        size_t len = BULK - sent < sizeof(chunk) ? BULK - sent : sizeof(chunk);
        for (size_t i = 0; i < len; i++) {
            chunk[i] = pattern(sent + i);
        }
        ssize_t n = len > 0 ? send(place.database, chunk, len, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        io_loop_run_once(place.loop, base_mono_add_us(io_now(), 1000));
        bool is_stuck = n < 0 && errno == EAGAIN;
        if (!is_stuck && sent < BULK) {
            continue; /* the reader sleeps until nothing more goes in */
        }
        n = recv(place.client, chunk, sizeof(chunk), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(chunk[i], pattern(got + (size_t)i));
        }
        got += n > 0 ? (size_t)n : 0;
        conns_stats(place.conns, &stats);
        assert_true(stats.kept_bytes <= FLOW_BUFFER);
    }
    conns_stats(place.conns, &stats);
    assert_int_equal(stats.copied_bytes + stats.spliced_bytes, BULK);
    assert_true(stats.spliced_bytes > BULK / 2);
}

static void test_a_cut_resets_the_database_and_ends_the_client(void **state)
{
    char byte;
    (void)state;
    open_through();
    say(place.client, "x");
    expect_text(place.database, "x");
    conn_end(place.conn, SLICE_EMPTY);
    place.conn = NULL;
    assert_int_equal(read_some(place.client, &byte, 1), 0);
    assert_int_equal(read_some(place.database, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_false(place.has_ended); /* who cuts knows it */
}

static void test_a_refusal_is_heard(void **state)
{
    char byte;
    (void)state;
    say(place.client, "startup packet");
    conn_end(place.conn, SLICE_LIT("no"));
    place.conn = NULL;
    expect_text(place.client, "no");
    assert_int_equal(read_some(place.client, &byte, 1), 0);
}

static void test_refused_attempts_go_back_to_waiting(void **state)
{
    (void)state;
    close_if(&place.listen_fd);
    int rc =
        conn_connect(place.conn, (const struct sockaddr *)&place.address, sizeof(place.address));
    if (rc == 0) {
        run_until(place.loop, &place.has_failed);
    }
    assert_int_equal(place.conn->state, CONN_HELD);
    place.listen_fd = listen_somewhere(&place.address);
    open_through();
    say(place.client, "at last");
    expect_text(place.database, "at last");
}

static void test_a_client_that_leaves_while_waiting(void **state)
{
    (void)state;
    close_if(&place.client);
    run_until(place.loop, &place.has_ended);
}

static void test_a_broken_client_ends_the_databases_side(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    char byte;
    (void)state;
    open_through();
    assert_int_equal(setsockopt(place.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close_if(&place.client);
    run_until(place.loop, &place.has_ended);
    assert_int_equal(read_some(place.database, &byte, 1), 0);
}

static void test_the_header_comes_first(void **state)
{
    uint8_t got[64];
    size_t len = 0;
    (void)state;
    conns_set(place.conns, BASE_US_PER_S, true);
    say(place.client, "hi");
    open_through();
    while (len < 28 + 2) {
        len += (size_t)read_some(place.database, got + len, sizeof(got) - len);
    }
    assert_memory_equal(got, "\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
    assert_memory_equal(got + 28, "hi", 2);
}

/* --- what the quorum keeps --- */

static void test_records_are_read(void **state)
{
    struct proxy_record r;
    (void)state;
    const char text[] = "{\"cluster\":\"pg\",\"epoch\":4,\"revision\":9,\"state\":\"switchover\","
                        "\"holder\":\"pg2\",\"is_opened\":true,\"ttl_ms\":600,\"new_field\":[1],"
                        "\"is_paused\":true,\"drained\":[\"pg3\",7,\"Not A Name\"]}";
    assert_int_equal(proxy_record_parse(slice_from_text(text), &r), 0);
    assert_int_equal(r.epoch, 4);
    assert_int_equal(r.revision, 9);
    assert_int_equal(r.state, MSG_RECORD_SWITCHOVER);
    assert_string_equal(r.holder.text, "pg2");
    assert_true(r.is_opened && r.is_paused && !r.is_standby_cluster);
    assert_int_equal(r.ttl_ms, 600);
    assert_int_equal(r.drained.count, 1);
    assert_string_equal(r.drained.names[0].text, "pg3");
}

static void test_what_is_no_record(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "null",
        "{\"epoch\":1}",
        "{\"epoch\":-1,\"revision\":1,\"holder\":\"a\"}",
        "{\"epoch\":1,\"revision\":1,\"holder\":\"a\",\"ttl_ms\":0}",
        "{\"epoch\":1,\"revision\":1,\"holder\":\"\"}",
        "{\"epoch\":1,\"revision\":1,\"holder\":\"a\",\"ttl_ms\":99999999}"};
    struct proxy_record r;
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(texts); i++) {
        assert_int_equal(proxy_record_parse(slice_from_text(texts[i]), &r), BASE_E_PROTO);
    }
}

static void test_members_are_read(void **state)
{
    struct proxy_seen seen;
    (void)state;
    const char text[] = "{\"member\":\"pg1\",\"host\":\"10.0.0.11\",\"db_port\":5432,"
                        "\"http_port\":70000,\"zone\":\"z1\",\"is_noloadbalance\":true}";
    assert_int_equal(proxy_member_parse(SLICE_LIT("pg1"), slice_from_text(text), &seen), 0);
    assert_string_equal(seen.name.text, "pg1");
    assert_string_equal(seen.host.text, "10.0.0.11");
    assert_int_equal(seen.db_port, 5432);
    assert_int_equal(seen.http_port, 0); /* no port: its agent is not asked */
    assert_string_equal(seen.zone.text, "z1");
    assert_true(seen.is_noloadbalance);
    assert_int_not_equal(proxy_member_parse(SLICE_LIT("No"), slice_from_text(text), &seen), 0);
    assert_int_not_equal(proxy_member_parse(SLICE_LIT("a"), SLICE_LIT("{{"), &seen), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_both_ways),
        TEST(test_half_a_connection_goes_on),
        TEST(test_servers_end_is_noticed_as_such),
        TEST(test_bulk_with_a_slow_reader),
        TEST(test_a_cut_resets_the_database_and_ends_the_client),
        TEST(test_a_refusal_is_heard),
        TEST(test_refused_attempts_go_back_to_waiting),
        TEST(test_a_client_that_leaves_while_waiting),
        TEST(test_a_broken_client_ends_the_databases_side),
        TEST(test_the_header_comes_first),
        cmocka_unit_test(test_records_are_read),
        cmocka_unit_test(test_what_is_no_record),
        cmocka_unit_test(test_members_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
