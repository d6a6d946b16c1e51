/* SPDX-License-Identifier: Apache-2.0 */
/* kv check perf: puts at a rate for a while, and whether the quorum keeps up. Loads and limits are
 * those that etcd's users know; the keys go away afterwards. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "kv/cli/cli_keys.h"
#include "kv/cli/commands.h"
#include "proto/io/loop.h"

#define KEY_BYTES 256
#define VALUE_BYTES 1024
#define SECONDS_DEFAULT 60
#define SLOWEST_US (500 * BASE_US_PER_MS)
#define DEVIATION_US (100 * BASE_US_PER_MS)

struct load {
    const char *name;
    int clients;
    int64_t rate; /* puts a second, of all */
};

static const struct load loads[] = {
    {"s", 50, 150}, {"m", 200, 1000}, {"l", 500, 8000}, {"xl", 500, 15000}};

struct check {
    struct cli *cli;
    const struct load *load;
    const char *prefix;
    int64_t seconds;
    struct base_mono begin, end;
    atomic_uint_fast64_t next;
};

struct worker {
    struct check *check;
    struct io_grpc_client *client;
    pthread_t thread;
    int64_t done, failed;
    double sum_us, squares_us;
    int64_t slowest_us;
};

static bool put_once(struct worker *w, uint64_t number, const uint8_t *value)
{
    uint8_t bytes[KEY_BYTES + VALUE_BYTES + 64];
    char key[KEY_BYTES];
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    Etcdserverpb__PutRequest request;
    etcdserverpb__put_request__init(&request);
    (void)snprintf(key, sizeof(key), "%.200s%08" PRIu64, w->check->prefix, number);
    request.key = cli_bytes(key);
    union {
        const uint8_t *in;
        uint8_t *out;
    } u = {.in = value};
    request.value = (ProtobufCBinaryData){VALUE_BYTES, u.out};
    size_t len = etcdserverpb__put_request__pack(&request, bytes);
    if (io_grpc_call(w->client, "/etcdserverpb.KV/Put", slice_from(bytes, len),
                     w->check->cli->timeout_ms, &answer, &why) != 0) {
        return false;
    }
    bool is_ok = answer.status == IO_GRPC_OK;
    io_grpc_answer_free(&answer);
    return is_ok;
}

/* Put number n is due n / rate after the beginning; who is late puts at once. */
static void *worker_main(void *user)
{
    struct worker *w = user;
    struct check *c = w->check;
    uint8_t value[VALUE_BYTES];
    memset(value, 'x', sizeof(value));
    for (;;) {
        uint64_t n = atomic_fetch_add(&c->next, 1);
        int64_t due_us = (int64_t)n * BASE_US_PER_S / c->load->rate;
        struct base_mono due = base_mono_add_us(c->begin, due_us);
        if (!base_mono_before(due, c->end) || !base_mono_before(io_now(), c->end)) {
            return NULL;
        }
        int64_t wait_us = base_mono_diff_us(due, io_now());
        if (wait_us > 0) {
            (void)nanosleep(&(struct timespec){.tv_sec = wait_us / BASE_US_PER_S,
                                               .tv_nsec = wait_us % BASE_US_PER_S * 1000},
                            NULL);
        }
        struct base_mono sent = io_now();
        bool is_ok = put_once(w, n, value);
        int64_t took_us = base_mono_diff_us(io_now(), sent);
        w->done += is_ok;
        w->failed += !is_ok;
        w->sum_us += (double)took_us;
        w->squares_us += (double)took_us * (double)took_us;
        w->slowest_us = took_us > w->slowest_us ? took_us : w->slowest_us;
    }
}

static int clean_up(struct check *c)
{
    struct cli_delete all = {0};
    ProtobufCMessage *message = NULL;
    char prefix[KEY_BYTES];
    (void)snprintf(prefix, sizeof(prefix), "%.200s", c->prefix);
    etcdserverpb__delete_range_request__init(&all.request);
    int rc = cli_key_range(&all.range, prefix, NULL, true, false);
    all.request.key = all.range.key;
    all.request.range_end = all.range.end;
    rc = rc != 0 ? rc
                 : cli_call(c->cli, "/etcdserverpb.KV/DeleteRange", &all.request.base,
                            &etcdserverpb__delete_range_response__descriptor, &message);
    if (rc == 0) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return rc;
}

static bool say(bool is_good, const char *what, double value, double limit, const char *unit)
{
    (void)printf("%s: %s %.3f %s (limit %.3f)\n", is_good ? "PASS" : "FAIL", what, value, unit,
                 limit);
    return is_good;
}

/* Square root by Newton, so that nothing needs the mathematics library. */
static double root(double x)
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 60 && x > 0; i++) {
        r = (r + x / r) / 2;
    }
    return x > 0 ? r : 0;
}

static int report(const struct check *c, const struct worker *workers)
{
    struct worker all = {.check = NULL};
    for (int i = 0; i < c->load->clients; i++) {
        all.done += workers[i].done;
        all.failed += workers[i].failed;
        all.sum_us += workers[i].sum_us;
        all.squares_us += workers[i].squares_us;
        all.slowest_us =
            workers[i].slowest_us > all.slowest_us ? workers[i].slowest_us : all.slowest_us;
    }
    double count = (double)(all.done + all.failed);
    double mean_us = count > 0 ? all.sum_us / count : 0;
    double deviation_us = count > 0 ? root(all.squares_us / count - mean_us * mean_us) : 0;
    double rate = (double)all.done / (double)c->seconds;
    double wanted = (double)c->load->rate * 0.9;
    bool is_good = rate >= wanted && all.slowest_us <= SLOWEST_US &&
                   deviation_us <= (double)DEVIATION_US && all.failed == 0;
    if (c->cli->output == CLI_JSON) {
        (void)cli_print_json(json_pack("{s:s, s:f, s:f, s:f, s:I, s:b}", "load", c->load->name,
                                       "rate", rate, "slowest", (double)all.slowest_us / 1e6,
                                       "deviation", deviation_us / 1e6, "failed",
                                       (json_int_t)all.failed, "passed", (int)is_good));
        return is_good ? IO_EXIT_OK : IO_EXIT_FALSE;
    }
    (void)say(rate >= wanted, "throughput is", rate, wanted, "writes/s");
    (void)say(all.slowest_us <= SLOWEST_US, "the slowest request took",
              (double)all.slowest_us / 1e6, (double)SLOWEST_US / 1e6, "s");
    (void)say(deviation_us <= (double)DEVIATION_US, "the standard deviation is", deviation_us / 1e6,
              (double)DEVIATION_US / 1e6, "s");
    (void)say(all.failed == 0, "failed writes:", (double)all.failed, 0, "");
    (void)puts(is_good ? "PASS" : "FAIL");
    return is_good ? IO_EXIT_OK : IO_EXIT_FALSE;
}

static int run(struct check *c)
{
    struct worker *workers = calloc((size_t)c->load->clients, sizeof(*workers));
    int started = 0;
    int rc = workers == NULL ? cli_fail(IO_EXIT_INTERNAL, "out of memory") : 0;
    for (int i = 0; rc == 0 && i < c->load->clients; i++) {
        workers[i].check = c;
        workers[i].client = cli_new_client(c->cli);
        rc = workers[i].client == NULL ? IO_EXIT_USAGE : 0;
    }
    c->begin = io_now();
    c->end = base_mono_add_us(c->begin, c->seconds * BASE_US_PER_S);
    for (int i = 0; rc == 0 && i < c->load->clients; i++) {
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) {
            rc = cli_fail(IO_EXIT_INTERNAL, "no more threads after %d", i);
        } else {
            started++;
        }
    }
    for (int i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    for (int i = 0; workers != NULL && i < c->load->clients; i++) {
        workers[i].client = io_grpc_client_free(workers[i].client);
    }
    rc = rc != 0 ? rc : clean_up(c);
    rc = rc != 0 ? rc : report(c, workers);
    free(workers);
    return rc;
}

int cmd_check_perf(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"load", true, "s"}, {"prefix", true, "/etcdctl-check-perf/"}, {"seconds", true, NULL}};
    struct check c = {.cli = ctx, .seconds = SECONDS_DEFAULT};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "check perf");
    for (size_t i = 0; i < BASE_COUNT_OF(loads) && rc == 0; i++) {
        c.load = strcmp(options[0].value, loads[i].name) == 0 ? &loads[i] : c.load;
    }
    if (rc == 0 && c.load == NULL) {
        rc = cli_fail(IO_EXIT_USAGE, "--load: '%s'; allowed: s m l xl", options[0].value);
    }
    rc = rc != 0 || options[2].value == NULL
             ? rc
             : cli_number("--seconds", options[2].value, &c.seconds);
    if (rc == 0 && (c.seconds < 1 || c.seconds > 3600 || options[1].value[0] == '\0')) {
        rc = cli_fail(IO_EXIT_USAGE, "--seconds: 1 to 3600; --prefix: not empty");
    }
    c.prefix = options[1].value;
    if (rc != 0 || cli_client(ctx) == NULL) {
        return rc != 0 ? rc : c.cli->client_error;
    }
    return run(&c);
}
