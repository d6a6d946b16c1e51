/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a second of the storage thread alone: kv/core on LMDB with group commit, no Raft and no net.
 * usage: storeload DIRECTORY [SECONDS [VALUE_BYTES]]
 * For 1, 16, 64 and 256 puts under way at a time it prints the rate, commits a second, and the mean
 * latency from submit to durable. The directory must exist; store.mdb in it is left behind. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "kv/core/apply.h"
#include "raft/env_lmdb.h"

#define PUTS_MAX 256u
#define KEYS 10000u

struct load;

struct put_job {
    struct store_job job;
    struct load *load;
    char key[32];
    int64_t sent_us;
};

struct load {
    struct store_port port;
    struct kv_scratch scratch; /* the storage thread's */
    struct slice value;
    struct put_job jobs[PUTS_MAX];
    uint64_t next_key;
    uint64_t done;
    int64_t latency_us;
    int64_t end_us;
    unsigned under_way;
    int event_fd;
};

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "assertion failed at %s:%d: %s\n", file, line, expression);
    abort();
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void notify(void *ctx)
{
    struct load *load = ctx;
    uint64_t one = 1;
    if (write(load->event_fd, &one, sizeof(one)) != sizeof(one)) {
        abort();
    }
}

static void fatal(void *ctx, int status, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "storeload: %s (%s)\n", text, base_error_text(status));
    exit(1);
}

static int put_run(struct store_job *store_job, struct store_txn *txn)
{
    struct put_job *job = (struct put_job *)store_job;
    struct kv_outcome outcome;
    struct kv_request request = {
        .kind = KV_KIND_PUT, .put = {.key = slice_from_text(job->key), .value = job->load->value}};
    base_arena_reset(&job->load->scratch.arena);
    return kv_core_apply(txn, &job->load->scratch, &(struct kv_command){.request = request}, 1, &outcome);
}

static void put_send(struct put_job *job)
{
    struct load *load = job->load;
    (void)snprintf(job->key, sizeof(job->key), "key-%08llu",
                   (unsigned long long)(load->next_key++ * 2654435761u % KEYS));
    job->sent_us = now_us();
    load->under_way++;
    load->port.submit(load->port.ctx, &job->job);
}

static void put_done(struct store_job *store_job, int status)
{
    struct put_job *job = (struct put_job *)store_job;
    struct load *load = job->load;
    int64_t now = now_us();
    load->under_way--;
    load->done += status == 0;
    load->latency_us += now - job->sent_us;
    if (now < load->end_us && status == 0) {
        put_send(job);
    }
}

static void wait_for_completions(struct env_lmdb *env, struct load *load)
{
    struct pollfd waiting = {.fd = load->event_fd, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&waiting, 1, 10000) == 1 &&
        read(load->event_fd, &count, sizeof(count)) == sizeof(count)) {
        (void)env_lmdb_complete(env);
    }
}

static void measure(struct env_lmdb *env, struct load *load, unsigned width, int seconds)
{
    struct env_lmdb_stats before;
    struct env_lmdb_stats after;
    int64_t start = now_us();
    env_lmdb_stats(env, &before);
    load->done = 0;
    load->latency_us = 0;
    load->end_us = start + (int64_t)seconds * 1000000;
    for (unsigned i = 0; i < width; i++) {
        load->jobs[i].load = load;
        load->jobs[i].job =
            (struct store_job){.run = put_run, .done = put_done, .wants_durable = true};
        put_send(&load->jobs[i]);
    }
    while (load->under_way > 0) {
        wait_for_completions(env, load);
    }
    env_lmdb_stats(env, &after);
    double took = (double)(now_us() - start) / 1e6;
    (void)printf(
        "%4u under way: %8.0f puts/s  %6.0f commits/s  mean %7.3f ms  worst commit %.1f ms\n",
        width, (double)load->done / took, (double)(after.commits - before.commits) / took,
        (double)load->latency_us / (double)(load->done > 0 ? load->done : 1) / 1000.0,
        (double)after.commit_worst_us / 1000.0);
}

int main(int argc, char **argv)
{
    static const unsigned widths[] = {1, 16, 64, 256};
    static struct load load;
    char text[ENV_LMDB_ERROR_MAX] = "";
    struct env_lmdb *env = NULL;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: storeload DIRECTORY [SECONDS [VALUE_BYTES]]\n");
        return 2;
    }
    int seconds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    size_t value_bytes = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 256;
    struct env_lmdb_options options = {
        .directory = argv[1], .ctx = &load, .notify = notify, .fatal = fatal};
    size_t arena_bytes = (size_t)4 << 20;
    load.scratch.arena = base_arena_over(malloc(arena_bytes), arena_bytes);
    load.scratch.row = buf_over(malloc(KV_ROW_MAX), KV_ROW_MAX);
    load.value = slice_from(calloc(1, value_bytes + 1), value_bytes);
    load.event_fd = eventfd(0, EFD_CLOEXEC);
    if (load.scratch.arena.memory == NULL || load.scratch.row.data == NULL ||
        load.value.data == NULL || load.event_fd < 0 || value_bytes > KV_REQUEST_MAX) {
        return 1;
    }
    if (env_lmdb_open(&options, &env, text) != 0) {
        (void)fprintf(stderr, "storeload: %s\n", text);
        return 1;
    }
    load.port = env_lmdb_port(env);
    for (size_t i = 0; i < BASE_COUNT_OF(widths); i++) {
        measure(env, &load, widths[i], seconds);
    }
    (void)env_lmdb_close(env);
    return 0;
}
