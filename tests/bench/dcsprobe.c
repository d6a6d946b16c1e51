/* SPDX-License-Identifier: Apache-2.0 */
/* What bench-dcs asks of a quorum besides h2load: any etcd v3 store over plain gRPC on loopback.
 *
 *   dcsprobe status H:P,...                      one JSON line: index of the leader, revision
 *   dcsprobe fill H:P,... KEYS VALUE_BYTES       puts KEYS keys below bench/, 64 to a transaction
 *   dcsprobe gap H:P,... PID SECONDS             writes to all members at once, kills PID after a
 *                                                second, prints the longest time between two
 *                                                acknowledged writes around it, in seconds
 *   dcsprobe start H:P CMD...                    runs CMD; seconds until it answers a range by
 *                                                itself and until it answers a linearizable one
 *   dcsprobe memory SECONDS PID...               highest and last private memory, in bytes
 *   dcsprobe compact H:P,...                     compacts at the present revision, waits for it
 *
 * Prints JSON on one line; exit 1 with a message on stderr when it did not get there.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "proto/io/grpc_client.h"
#include "proto/io/loop.h"

#define FILL_OPS 64
#define WRITERS_PER_MEMBER 2
#define WRITERS_MAX (IO_GRPC_ENDPOINTS_MAX * WRITERS_PER_MEMBER)
#define CALL_MS 5000
#define GAP_CALL_MS 100

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "dcsprobe: %s: %s\n", what, why);
    exit(1);
}

static void nap_ms(int ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    (void)nanosleep(&t, NULL);
}

static struct io_grpc_client *new_client(const char *endpoints)
{
    const struct io_grpc_client_options options = {.endpoints = endpoints};
    struct io_grpc_client *client = NULL;
    struct io_why why = {""};
    if (io_grpc_client_new(&options, &client, &why) != 0) {
        die(endpoints, why.text);
    }
    return client;
}

/* One unary call; true with an OK status, and *ret unpacked when descriptor is given. */
static bool call(struct io_grpc_client *client, const char *path, const ProtobufCMessage *request,
                 uint32_t timeout_ms, const ProtobufCMessageDescriptor *descriptor,
                 ProtobufCMessage **ret)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        die(path, "out of memory");
    }
    (void)protobuf_c_message_pack(request, bytes);
    int rc = io_grpc_call(client, path, slice_from(bytes, len), timeout_ms, &answer, &why);
    free(bytes);
    if (rc != 0) {
        return false;
    }
    bool is_ok = answer.status == IO_GRPC_OK;
    if (is_ok && descriptor != NULL) {
        *ret = protobuf_c_message_unpack(descriptor, NULL, answer.len, answer.data);
        is_ok = *ret != NULL;
    }
    io_grpc_answer_free(&answer);
    return is_ok;
}

/* --- status ----------------------------------------------------------------------------------- */

static Etcdserverpb__StatusResponse *status_of(struct io_grpc_client *client, size_t n)
{
    Etcdserverpb__StatusRequest request;
    ProtobufCMessage *answer = NULL;
    etcdserverpb__status_request__init(&request);
    io_grpc_client_pin(client, n);
    return call(client, "/etcdserverpb.Maintenance/Status", &request.base, CALL_MS,
                &etcdserverpb__status_response__descriptor, &answer)
               ? (Etcdserverpb__StatusResponse *)(void *)answer
               : NULL;
}

static int run_status(const char *endpoints)
{
    struct io_grpc_client *client = new_client(endpoints);
    int leader = -1;
    int64_t revision = 0;
    for (size_t i = 0; i < io_grpc_client_endpoints(client); i++) {
        Etcdserverpb__StatusResponse *status = status_of(client, i);
        if (status != NULL && status->header != NULL) {
            leader = status->leader != 0 && status->leader == status->header->member_id ? (int)i
                                                                                        : leader;
            revision = status->header->revision > revision ? status->header->revision : revision;
        }
        if (status != NULL) {
            etcdserverpb__status_response__free_unpacked(status, NULL);
        }
    }
    (void)io_grpc_client_free(client);
    if (leader < 0) {
        die(endpoints, "nobody leads");
    }
    (void)printf("{\"leader\": %d, \"revision\": %" PRId64 "}\n", leader, revision);
    return 0;
}

/* --- fill ------------------------------------------------------------------------------------- */

struct fill_op {
    char key[32];
    Etcdserverpb__PutRequest put;
    Etcdserverpb__RequestOp op;
};

static void fill_txn(struct io_grpc_client *client, uint64_t first, uint64_t count, uint8_t *value,
                     size_t value_bytes)
{
    static struct fill_op ops[FILL_OPS];
    static Etcdserverpb__RequestOp *list[FILL_OPS];
    Etcdserverpb__TxnRequest request;
    etcdserverpb__txn_request__init(&request);
    for (uint64_t i = 0; i < count; i++) {
        struct fill_op *op = &ops[i];
        etcdserverpb__put_request__init(&op->put);
        etcdserverpb__request_op__init(&op->op);
        int len = snprintf(op->key, sizeof(op->key), "bench/%08" PRIu64, first + i);
        op->put.key = (ProtobufCBinaryData){(size_t)len, (uint8_t *)op->key};
        op->put.value = (ProtobufCBinaryData){value_bytes, value};
        op->op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
        op->op.request_put = &op->put;
        list[i] = &op->op;
    }
    request.n_success = count;
    request.success = list;
    for (int tries = 0; !call(client, "/etcdserverpb.KV/Txn", &request.base, CALL_MS, NULL, NULL);
         tries++) {
        if (tries == 20) {
            die("fill", "the puts are refused or not answered");
        }
        nap_ms(250);
    }
}

static int run_fill(const char *endpoints, uint64_t keys, size_t value_bytes)
{
    struct io_grpc_client *client = new_client(endpoints);
    uint8_t *value = malloc(value_bytes + 1);
    if (value == NULL || value_bytes > 16384) {
        die("fill", "values are at most 16384 bytes");
    }
    memset(value, 'x', value_bytes);
    for (uint64_t i = 0; i < keys; i += FILL_OPS) {
        fill_txn(client, i, keys - i < FILL_OPS ? keys - i : FILL_OPS, value, value_bytes);
    }
    free(value);
    (void)io_grpc_client_free(client);
    (void)printf("{\"keys\": %" PRIu64 "}\n", keys);
    return 0;
}

/* --- gap -------------------------------------------------------------------------------------- */

struct writer {
    pthread_t thread;
    const char *endpoints;
    size_t member;
    int number;
};

static atomic_bool is_over;
static pthread_mutex_t acks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    size_t count;
    int64_t last_us, gap_us, gap_from_us;
} acks;

static void acknowledge(int64_t now_us)
{
    (void)pthread_mutex_lock(&acks_lock);
    if (acks.count++ > 0 && now_us - acks.last_us > acks.gap_us) {
        acks.gap_us = now_us - acks.last_us;
        acks.gap_from_us = acks.last_us;
    }
    acks.last_us = now_us;
    (void)pthread_mutex_unlock(&acks_lock);
}

static void *write_on(void *user)
{
    const struct writer *w = user;
    struct io_grpc_client *client = new_client(w->endpoints);
    char key[48];
    uint8_t value[] = "x";
    Etcdserverpb__PutRequest request;
    etcdserverpb__put_request__init(&request);
    int len = snprintf(key, sizeof(key), "gap/%zu/%d", w->member, w->number);
    request.key = (ProtobufCBinaryData){(size_t)len, (uint8_t *)key};
    request.value = (ProtobufCBinaryData){1, value};
    io_grpc_client_pin(client, w->member);
    while (!atomic_load(&is_over)) {
        if (call(client, "/etcdserverpb.KV/Put", &request.base, GAP_CALL_MS, NULL, NULL)) {
            acknowledge(io_now().us);
        } else {
            nap_ms(2);
        }
        nap_ms(1);
    }
    (void)io_grpc_client_free(client);
    return NULL;
}

/* The gap around the kill only; a slow disk before it does not count. */
static void reset_gap(void)
{
    (void)pthread_mutex_lock(&acks_lock);
    acks.gap_us = 0;
    (void)pthread_mutex_unlock(&acks_lock);
}

static int run_gap(const char *endpoints, pid_t pid, int seconds)
{
    static struct writer writers[WRITERS_MAX];
    struct io_grpc_client *client = new_client(endpoints);
    size_t count = io_grpc_client_endpoints(client) * WRITERS_PER_MEMBER;
    (void)io_grpc_client_free(client);
    for (size_t i = 0; i < count; i++) {
        writers[i] = (struct writer){.endpoints = endpoints,
                                     .member = i / WRITERS_PER_MEMBER,
                                     .number = (int)(i % WRITERS_PER_MEMBER)};
        if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]) != 0) {
            die("gap", "no thread");
        }
    }
    nap_ms(1000);
    reset_gap();
    size_t before = acks.count;
    int64_t killed_us = io_now().us;
    if (before < 20 || kill(pid, SIGKILL) != 0) {
        die("gap", before < 20 ? "hardly a write came through before the kill" : strerror(errno));
    }
    nap_ms(seconds * 1000);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(writers[i].thread, NULL);
    }
    if (acks.last_us < killed_us + 1000) {
        die("gap", "no write came through after the kill");
    }
    (void)printf("{\"gap\": %.4f, \"acknowledged\": %zu}\n", (double)acks.gap_us / 1e6, acks.count);
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static bool range(struct io_grpc_client *client, bool is_serializable)
{
    static uint8_t key[] = "bench/00000001";
    Etcdserverpb__RangeRequest request;
    etcdserverpb__range_request__init(&request);
    request.key = (ProtobufCBinaryData){sizeof(key) - 1, key};
    request.serializable = is_serializable;
    return call(client, "/etcdserverpb.KV/Range", &request.base, 1000, NULL, NULL);
}

static double answered_after(struct io_grpc_client *client, bool is_serializable, int64_t began_us)
{
    while (!range(client, is_serializable)) {
        if (io_now().us > began_us + 120 * BASE_US_PER_S) {
            die("start", "no answer within two minutes");
        }
        nap_ms(1);
    }
    return (double)(io_now().us - began_us) / 1e6;
}

static int run_start(const char *endpoint, char **command)
{
    struct io_grpc_client *client = new_client(endpoint);
    int64_t began_us = io_now().us;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        (void)setsid();
        (void)execvp(command[0], command);
        die(command[0], strerror(errno));
    }
    double own = answered_after(client, true, began_us);
    double agreed = answered_after(client, false, began_us);
    (void)io_grpc_client_free(client);
    (void)printf("{\"pid\": %d, \"serializable\": %.4f, \"linearizable\": %.4f}\n", (int)pid, own,
                 agreed);
    return 0;
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Sum of the Private_* lines of smaps_rollup, in bytes; 0 when the process is gone. */
static uint64_t private_bytes(const char *pid)
{
    char path[64];
    char line[256];
    uint64_t sum_kb = 0;
    (void)snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        uint64_t kb = 0;
        if (strncmp(line, "Private_", 8) == 0 && sscanf(line, "%*s %" SCNu64, &kb) == 1) {
            sum_kb += kb;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sum_kb * 1024;
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_over, true);
}

static int run_memory(int seconds, int count, char **pids)
{
    uint64_t highest[IO_GRPC_ENDPOINTS_MAX] = {0};
    uint64_t last[IO_GRPC_ENDPOINTS_MAX] = {0};
    int64_t end_us = io_now().us + seconds * BASE_US_PER_S;
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    if (count > IO_GRPC_ENDPOINTS_MAX) {
        die("memory", "too many processes");
    }
    do {
        for (int i = 0; i < count; i++) {
            uint64_t now = private_bytes(pids[i]);
            last[i] = now == 0 ? last[i] : now;
            highest[i] = now > highest[i] ? now : highest[i];
        }
        if (io_now().us < end_us) {
            nap_ms(250);
        }
    } while (io_now().us < end_us && !atomic_load(&is_over));
    (void)printf("{\"private\": [");
    for (int i = 0; i < count; i++) {
        (void)printf("%s{\"highest\": %" PRIu64 ", \"last\": %" PRIu64 "}", i == 0 ? "" : ", ",
                     highest[i], last[i]);
    }
    (void)puts("]}");
    return 0;
}

/* --- compact ---------------------------------------------------------------------------------- */

/* CompactionRequest {revision = 1, physical = 2}. */
static size_t compaction(int64_t revision, uint8_t out[static 16])
{
    size_t len = 0;
    uint64_t rest = (uint64_t)revision;
    out[len++] = 1 << 3;
    for (; rest > 0x7f; rest >>= 7) {
        out[len++] = (uint8_t)(rest & 0x7f) | 0x80;
    }
    out[len++] = (uint8_t)rest;
    out[len++] = 2 << 3;
    out[len++] = 1;
    return len;
}

static int run_compact(const char *endpoints)
{
    struct io_grpc_client *client = new_client(endpoints);
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    uint8_t request[16];
    Etcdserverpb__StatusResponse *status = status_of(client, 0);
    if (status == NULL || status->header == NULL) {
        die("compact", "no answer to Status");
    }
    int64_t revision = status->header->revision;
    size_t len = compaction(revision, request);
    int64_t began_us = io_now().us;
    etcdserverpb__status_response__free_unpacked(status, NULL);
    if (io_grpc_call(client, "/etcdserverpb.KV/Compact", slice_from(request, len), 120000, &answer,
                     &why) != 0) {
        die("compact", why.text);
    }
    if (answer.status != IO_GRPC_OK) {
        die("compact", answer.message.text);
    }
    io_grpc_answer_free(&answer);
    (void)io_grpc_client_free(client);
    (void)printf("{\"revision\": %" PRId64 ", \"seconds\": %.3f}\n", revision,
                 (double)(io_now().us - began_us) / 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "status") == 0) {
        return run_status(argv[2]);
    }
    if (strcmp(what, "compact") == 0) {
        return run_compact(argv[2]);
    }
    if (strcmp(what, "fill") == 0 && argc == 5) {
        return run_fill(argv[2], strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    }
    if (strcmp(what, "gap") == 0 && argc == 5) {
        return run_gap(argv[2], (pid_t)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
    }
    if (strcmp(what, "start") == 0 && argc > 3) {
        return run_start(argv[2], argv + 3);
    }
    if (strcmp(what, "memory") == 0 && argc > 3) {
        return run_memory((int)strtol(argv[2], NULL, 10), argc - 3, argv + 3);
    }
    (void)fputs("usage: dcsprobe status|fill|gap|start|memory|compact ...; see the head of the "
                "source\n",
                stderr);
    return 2;
}
