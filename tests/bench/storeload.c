/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a second of the storage threads alone, no Raft and no net.
 * usage: storeload DIRECTORY [SECONDS [VALUE_BYTES]]
 * Three rows of figures: entries into the log store (wal), each durable; puts of kv/core into the
 * state store, each durable (lmdb); and puts that nobody waits for, committed every 100 ms (lazy),
 * as a node does. For 1, 16, 64 and 256 under way at a time it prints the rate, flushes or commits
 * a second, and the mean latency from submit to done. The directory must exist; the files of both
 * stores in it are left behind. */
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
#include "raft/wal_store.h"

#define PUTS_MAX 256u
#define KEYS 10000u
#define ENTRIES_KEPT 10000u

struct load;

struct put_job {
    struct store_job job;
    struct load *load;
    char key[32];
    int64_t sent_us;
};

enum mode { MODE_WAL, MODE_LMDB, MODE_LAZY };
static const char *const mode_names[] = {"wal", "lmdb", "lazy"};

struct load {
    enum mode mode;
    struct wal_store *wal;
    struct env_lmdb *env;
    struct store_port port;
    struct kv_scratch scratch; /* the storage thread's */
    struct slice value;
    struct put_job jobs[PUTS_MAX];
    uint64_t next_key;
    uint64_t last_index; /* the storage thread's */
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

/* An entry behind the last one; only so many are kept. */
static int entry_run(struct store_job *store_job, struct store_txn *txn)
{
    struct load *load = ((struct put_job *)store_job)->load;
    uint8_t memory[2][8];
    struct buf key = buf_over(memory[0], 8);
    struct buf before = buf_over(memory[1], 8);
    uint64_t index = ++load->last_index;
    buf_put_u64_be(&key, index);
    int rc = store_put(txn, STORE_LOG, buf_slice(&key), load->value);
    if (rc == 0 && index % ENTRIES_KEPT == 0) {
        buf_put_u64_be(&before, index - ENTRIES_KEPT / 2);
        rc = store_del_range(txn, STORE_LOG, SLICE_EMPTY, buf_slice(&before), 0, NULL);
    }
    return rc;
}

static int put_run(struct store_job *store_job, struct store_txn *txn)
{
    struct put_job *job = (struct put_job *)store_job;
    struct kv_outcome outcome;
    struct kv_request request = {
        .kind = KV_KIND_PUT, .put = {.key = slice_from_text(job->key), .value = job->load->value}};
    base_arena_reset(&job->load->scratch.arena);
    return kv_core_apply(txn, &job->load->scratch, &(struct kv_command){.request = request}, 1,
                         &outcome);
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

static void wait_for_completions(struct load *load)
{
    struct pollfd waiting = {.fd = load->event_fd, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&waiting, 1, 10000) == 1 &&
        read(load->event_fd, &count, sizeof(count)) == sizeof(count)) {
        (void)(load->mode == MODE_WAL ? wal_store_complete(load->wal)
                                      : env_lmdb_complete(load->env));
    }
}

static struct store_thread_stats stats_of(struct load *load)
{
    struct env_lmdb_stats lmdb;
    struct wal_store_stats wal;
    if (load->mode == MODE_WAL) {
        wal_store_stats(load->wal, &wal);
        return wal.thread;
    }
    env_lmdb_stats(load->env, &lmdb);
    return lmdb.thread;
}

static void measure(struct load *load, unsigned width, int seconds)
{
    struct store_thread_stats before = stats_of(load);
    int64_t start = now_us();
    load->done = 0;
    load->latency_us = 0;
    load->end_us = start + (int64_t)seconds * 1000000;
    for (unsigned i = 0; i < width; i++) {
        load->jobs[i].load = load;
        load->jobs[i].job = (struct store_job){.run = load->mode == MODE_WAL ? entry_run : put_run,
                                               .done = put_done,
                                               .wants_durable = load->mode != MODE_LAZY};
        put_send(&load->jobs[i]);
    }
    while (load->under_way > 0) {
        wait_for_completions(load);
    }
    struct store_thread_stats after = stats_of(load);
    double took = (double)(now_us() - start) / 1e6;
    (void)printf("%-5s %4u under way: %8.0f/s  %6.0f commits/s  mean %7.3f ms  worst commit %.1f "
                 "ms\n",
                 mode_names[load->mode], width, (double)load->done / took,
                 (double)(after.commits - before.commits) / took,
                 (double)load->latency_us / (double)(load->done > 0 ? load->done : 1) / 1000.0,
                 (double)after.worst_us / 1000.0);
}

static int open_store(struct load *load, const char *directory, char *text)
{
    struct env_lmdb_options lmdb = {
        .directory = directory, .ctx = load, .notify = notify, .fatal = fatal};
    struct wal_store_options wal = {
        .directory = directory, .ctx = load, .notify = notify, .fatal = fatal};
    if (load->mode == MODE_WAL) {
        int rc = wal_store_open(&wal, &load->wal, text);
        load->port = rc == 0 ? wal_store_port(load->wal) : load->port;
        return rc;
    }
    lmdb.commit_lazy_ms = load->mode == MODE_LAZY ? ENV_LMDB_COMMIT_LAZY_MS : 0;
    int rc = env_lmdb_open(&lmdb, &load->env, text);
    load->port = rc == 0 ? env_lmdb_port(load->env) : load->port;
    return rc;
}

static int run_mode(struct load *load, const char *directory, int seconds)
{
    static const unsigned widths[] = {1, 16, 64, 256};
    char text[WAL_STORE_ERROR_MAX] = "";
    if (open_store(load, directory, text) != 0) {
        (void)fprintf(stderr, "storeload: %s\n", text);
        return 1;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(widths); i++) {
        measure(load, widths[i], seconds);
    }
    load->env = env_lmdb_close(load->env);
    load->wal = wal_store_close(load->wal);
    return 0;
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: storeload DIRECTORY [SECONDS [VALUE_BYTES]]\n");
        return 2;
    }
    int seconds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    size_t value_bytes = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 256;
    size_t arena_bytes = (size_t)4 << 20;
    load.scratch.arena = base_arena_over(malloc(arena_bytes), arena_bytes);
    load.scratch.row = buf_over(malloc(KV_ROW_MAX), KV_ROW_MAX);
    load.value = slice_from(calloc(1, value_bytes + 1), value_bytes);
    load.event_fd = eventfd(0, EFD_CLOEXEC);
    if (load.scratch.arena.memory == NULL || load.scratch.row.data == NULL ||
        load.value.data == NULL || load.event_fd < 0 || value_bytes > KV_REQUEST_MAX) {
        return 1;
    }
    int rc = 0;
    for (int mode = MODE_WAL; mode <= MODE_LAZY && rc == 0; mode++) {
        load.mode = (enum mode)mode;
        rc = run_mode(&load, argv[1], seconds);
    }
    return rc;
}
