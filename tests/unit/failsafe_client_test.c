/* SPDX-License-Identifier: Apache-2.0 */
/* The client of failsafe rounds against a server on loopback: one connection kept, answers of the
 * agent that was asked and of nobody else, refusals and silence that count for nothing. */
#include "agents/shell/failsafe.h"

#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

static struct io_loop *loop;
static struct io_server *server;
static struct failsafe_client *client;
static struct io_tls *server_tls;
static struct io_tls *client_tls;
static unsigned requests, answers;
static int status_to_give;
static bool is_silent, has_answer, has_request;
static struct base_name answered_by;
static uint8_t bytes[AGT_FAILSAFE_BYTES_MAX];
static size_t bytes_len;

static struct base_name name_of(const char *text)
{
    struct base_name name;
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static void on_request(void *ctx, struct io_http_exchange *exchange,
                       const struct io_http_request *request)
{
    (void)ctx;
    requests++;
    has_request = true;
    assert_true(slice_equal(request->method, SLICE_LIT("POST")));
    assert_true(slice_equal(request->path, SLICE_LIT(FAILSAFE_PATH)));
    assert_true(slice_equal(request->body, SLICE_LIT("question")));
    if (!is_silent) {
        io_http_reply(exchange, status_to_give, "application/octet-stream", SLICE_LIT("answer"));
    }
}

static void on_answer(void *ctx, const struct base_name *member, struct slice answer)
{
    (void)ctx;
    answers++;
    has_answer = true;
    answered_by = *member;
    assert_true(answer.len <= sizeof(bytes));
    memcpy(bytes, answer.data, answer.len);
    bytes_len = answer.len;
}

static void open_both(const char *server_cert, const char *client_cert)
{
    static const struct io_http_handler handler = {.request = on_request};
    struct io_why why = {""};
    struct io_server_options options = {.address = test_loopback(0), .http = &handler};
    struct failsafe_client_options asked = {.cluster = name_of("c"), .answered = on_answer};
    requests = answers = 0;
    status_to_give = 200;
    is_silent = false;
    assert_int_equal(io_loop_new(&loop), 0);
    if (server_cert != NULL) {
        options.tls = server_tls = test_tls("ca", server_cert, IO_TLS_VERIFY_REQUIRED);
        asked.tls = client_tls = test_tls("ca", client_cert, IO_TLS_VERIFY_REQUIRED);
    }
    assert_int_equal(io_server_new(loop, &options, &server, &why), 0);
    assert_int_equal(failsafe_client_new(loop, &asked, &client), 0);
}

static void close_both(void)
{
    client = failsafe_client_free(client);
    server = io_server_free(server);
    run_for(loop, 20 * BASE_US_PER_MS);
    loop = io_loop_free(loop);
    server_tls = io_tls_free(server_tls);
    client_tls = io_tls_free(client_tls);
}

static void ask(const char *member, const char *host)
{
    const struct agt_failsafe_peer peer = {.member = name_of(member),
                                           .host = base_text_from(slice_from_text(host)),
                                           .http_port = io_server_port(server)};
    const struct failsafe_port port = failsafe_client_port(client);
    has_answer = has_request = false;
    port.ask(port.ctx, &peer, 1, SLICE_LIT("question"));
}

static void one_connection_serves_every_round(void **state)
{
    (void)state;
    open_both(NULL, NULL);
    for (unsigned i = 1; i <= 5; i++) {
        ask("b", "127.0.0.1");
        run_until(loop, &has_answer);
        assert_int_equal(answers, i);
        assert_int_equal(io_server_connections(server), 1);
    }
    struct base_name b = name_of("b");
    assert_true(base_name_equal(&answered_by, &b));
    assert_true(slice_equal(slice_from(bytes, bytes_len), SLICE_LIT("answer")));
    close_both();
}

static void a_refusal_is_no_answer(void **state)
{
    (void)state;
    open_both(NULL, NULL);
    status_to_give = 503;
    ask("b", "127.0.0.1");
    run_until(loop, &has_request);
    run_for(loop, 50 * BASE_US_PER_MS);
    assert_int_equal(answers, 0);
    status_to_give = 200;
    ask("b", "127.0.0.1");
    run_until(loop, &has_answer);
    assert_int_equal(answers, 1);
    close_both();
}

/* The newest question waits behind one that is not answered; after a second the connection is given
 * up. */
static void silence_is_given_up(void **state)
{
    (void)state;
    open_both(NULL, NULL);
    is_silent = true;
    ask("b", "127.0.0.1");
    run_until(loop, &has_request);
    is_silent = false;
    ask("b", "127.0.0.1");
    run_for(loop, 100 * BASE_US_PER_MS);
    assert_int_equal(requests, 1);
    run_for(loop, 1000 * BASE_US_PER_MS);
    ask("b", "127.0.0.1"); /* gives it up */
    run_for(loop, 50 * BASE_US_PER_MS);
    ask("b", "127.0.0.1");
    run_until(loop, &has_answer);
    assert_int_equal(answers, 1);
    close_both();
}

static void beyond_loopback_nobody_is_asked_in_the_clear(void **state)
{
    (void)state;
    open_both(NULL, NULL);
    ask("b", "192.0.2.1");
    run_for(loop, 50 * BASE_US_PER_MS);
    assert_int_equal(requests, 0);
    close_both();
}

static void only_the_agent_that_was_asked_counts(void **state)
{
    (void)state;
    test_folder_make();
    test_ca_make("ca");
    test_cert_make("ca", "a", "quorate://agent/c/a", 10);
    test_cert_make("ca", "b", "quorate://agent/c/b", 10);
    test_cert_make("ca", "member-b", "quorate://member/c/b", 10);
    test_cert_make("ca", "other-b", "quorate://agent/x/b", 10);
    open_both("b", "a");
    ask("b", "127.0.0.1");
    run_until(loop, &has_answer);
    assert_int_equal(answers, 1);
    ask("d", "127.0.0.1"); /* it is b that answers there */
    run_for(loop, 200 * BASE_US_PER_MS);
    assert_int_equal(answers, 1);
    assert_int_equal(requests, 1);
    close_both();
    static const char *const wrong[] = {"member-b", "other-b"};
    for (size_t i = 0; i < BASE_COUNT_OF(wrong); i++) {
        open_both(wrong[i], "a");
        ask("b", "127.0.0.1");
        run_for(loop, 200 * BASE_US_PER_MS);
        assert_int_equal(requests, 0);
        close_both();
    }
    test_folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_serves_every_round),
        cmocka_unit_test(a_refusal_is_no_answer),
        cmocka_unit_test(silence_is_given_up),
        cmocka_unit_test(beyond_loopback_nobody_is_asked_in_the_clear),
        cmocka_unit_test(only_the_agent_that_was_asked_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
