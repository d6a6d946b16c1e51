/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's connection to its guard, against a guard that the test plays: what it is told before
 * the agent has heard from it was meant for another one. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agents/shell/guard_link.h"
#include "base/canary.h"
#include "tests/unit/io_test_support.h"

#define FORMER_EPOCH 6
#define EPOCH 7

struct play {
    struct io_loop *loop;
    struct guard_link *link;
    int listener, peer;
    bool is_status_here;
};

static void status_came(void *ctx, const struct guard_status *status)
{
    struct play *p = ctx;
    assert_int_equal(status->instance, 42);
    p->is_status_here = true;
}

static void cannot_start(void *ctx, int status)
{
    (void)ctx;
    (void)status;
    fail();
}

static void begin(struct play *p)
{
    static char *nothing[] = {NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(p, 0, sizeof(*p));
    test_folder_make();
    const char *path = test_path("guard.sock");
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    p->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    assert_int_equal(io_loop_new(&p->loop), 0);
    struct guard_link_options options = {.ctx = p, .status = status_came, .failed = cannot_start};
    options.spawn.socket = path;
    options.spawn.command = nothing;
    assert_int_equal(guard_link_new(p->loop, &options, &p->link), 0);
}

static void end(struct play *p)
{
    p->link = guard_link_free(p->link);
    (void)close(p->peer);
    (void)close(p->listener);
    run_for(p->loop, 1000);
    p->loop = io_loop_free(p->loop);
    test_folder_remove();
}

static struct guard_command next_command(const struct play *p)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_command command;
    assert_int_equal(recv(p->peer, frame, sizeof(frame), MSG_WAITALL), sizeof(frame));
    assert_int_equal(guard_command_decode(frame, &command), 0);
    return command;
}

static void answer(const struct play *p)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_answer told = {.may_command = true};
    told.status.instance = 42;
    told.status.margin_us = 1;
    guard_answer_encode(&told, frame);
    assert_int_equal(send(p->peer, frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
}

static void test_nothing_is_sent_to_a_guard_that_was_not_heard(void **state)
{
    struct play p;
    (void)state;
    begin(&p);
    run_for(p.loop, 1000);
    p.peer = accept(p.listener, NULL, NULL);
    assert_true(p.peer >= 0);
    struct guard_port port = guard_link_port(p.link);
    port.arm(port.ctx, FORMER_EPOCH, (struct base_mono){1},
             0); /* the core knows of the former one */
    answer(&p);
    run_until(p.loop, &p.is_status_here);
    port.arm(port.ctx, EPOCH, (struct base_mono){1}, 0);
    assert_int_equal(next_command(&p).type, GUARD_FRAME_HELLO);
    struct guard_command first = next_command(&p);
    assert_int_equal(first.type, GUARD_FRAME_ARM);
    assert_int_equal(first.epoch, EPOCH);
    end(&p);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_sent_to_a_guard_that_was_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
