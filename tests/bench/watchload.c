/* SPDX-License-Identifier: Apache-2.0 */
/* Many watchers on any etcd v3 store while puts flow: how many events arrive, and how late.
 *
 *   watchload --endpoints H:P,... [--watchers 10000] [--streams 10] [--prefix] [--puts 1000]
 *             [--writers 16] [--leases 0] [--seconds 10] [--pid SERVER]
 *
 * Each watcher has a key of its own, or with --prefix all have the prefix of all keys, so that each
 * put is an event for every one of them. The watchers are spread over the streams, one connection
 * each. A put carries its time; the delay of an event is the time from before the put was sent
 * until the event was read, both on this machine. Prints one JSON object; private memory of the
 * server is told with --pid. Exit 1 when an acknowledged put did not reach all who watch it.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/io/grpc_client.h"
#include "proto/io/loop.h"
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"

#define STREAMS_MAX 1024
#define WRITERS_MAX 256
#define BUCKETS 160 /* of delays in us: four for each power of two from 4 on */
#define CALL_MS 10000
#define VALUE_BYTES 64

struct settings {
    struct io_grpc_client_options client;
    int watchers, streams, puts, writers, leases, seconds, pid;
    bool is_prefix;
};

struct stream {
    const struct settings *settings;
    pthread_t thread;
    int number;
    int first, count; /* watchers */
    uint64_t events;
    uint64_t responses;
    int64_t delay_sum_us;
    int64_t delay_max_us;
    uint64_t buckets[BUCKETS];
    bool is_lost;
};

struct writer {
    const struct settings *settings;
    pthread_t thread;
    int number;
    uint64_t puts;
    uint64_t failed;
    uint64_t leases;
};

static atomic_int created;
static atomic_bool is_over;
static pthread_barrier_t ready;

static _Noreturn void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "watchload: %s: %s\n", what, why);
    exit(2);
}

static struct io_grpc_client *new_client(const struct settings *s)
{
    struct io_grpc_client *client = NULL;
    struct io_why why = {""};
    if (io_grpc_client_new(&s->client, &client, &why) != 0) {
        give_up("client", why.text);
    }
    return client;
}

static void key_of(int number, char ret[32])
{
    (void)snprintf(ret, 32, "watch/%08d", number);
}

/* --- watchers --- */

static void create_watcher(struct io_grpc_client *client, const struct stream *s, int number)
{
    char key[32];
    uint8_t memory[256];
    struct io_why why = {""};
    struct buf out = buf_over(memory, sizeof(memory));
    struct kv_watch_request request = {.which = 1};
    key_of(number, key);
    request.create.key = slice_from_text(key);
    if (s->settings->is_prefix) {
        request.create.key = SLICE_LIT("watch/");
        request.create.range_end = SLICE_LIT("watch0");
    }
    if (wire_pb_encode(&wire_kv_watch_request_table, &request, &out) != 0 ||
        io_grpc_stream_send(client, buf_slice(&out), CALL_MS, &why) != 0) {
        give_up("create", why.text);
    }
}

static int bucket_of(int64_t delay_us)
{
    int power = 2;
    while (power < BUCKETS / 4 + 1 && delay_us >> (power + 1) > 0) {
        power++;
    }
    int quarter = delay_us < 4 ? 0 : (int)(delay_us >> (power - 2)) & 3;
    return (power - 2) * 4 + quarter;
}

/* Upper end of a bucket. */
static double bucket_end_ms(int bucket)
{
    return (double)((int64_t)(bucket % 4 + 5) << (bucket / 4)) / 1000.0;
}

static void note_event(struct stream *s, const struct kv_event *event)
{
    int64_t put_us = 0;
    if (event->kv.value.len < sizeof(put_us)) {
        return;
    }
    memcpy(&put_us, event->kv.value.data, sizeof(put_us));
    int64_t delay = io_now().us - put_us;
    int bucket = bucket_of(delay);
    s->events++;
    s->buckets[bucket]++;
    s->delay_sum_us += delay;
    s->delay_max_us = delay > s->delay_max_us ? delay : s->delay_max_us;
}

/* One response; false when nothing came in time or the stream is lost. */
static bool next_response(struct io_grpc_client *client, struct stream *s, struct base_arena *arena)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    struct kv_watch_response response;
    bool is_end = false;
    int rc = io_grpc_stream_next(client, 200, &answer, &is_end, &why);
    if (rc == BASE_E_TIMEOUT) {
        return false;
    }
    if (rc != 0 || is_end) {
        (void)fprintf(stderr, "watchload: stream %d is lost: %s\n", s->number,
                      rc != 0 ? why.text : answer.message.text);
        s->is_lost = true;
        return false;
    }
    base_arena_reset(arena);
    if (wire_pb_decode(&wire_kv_watch_response_table, slice_from(answer.data, answer.len), arena,
                       &response) != 0) {
        give_up("response", "malformed");
    }
    if (response.is_canceled) {
        give_up("a watch was canceled", "see the server");
    }
    s->responses++;
    (void)atomic_fetch_add(&created, response.is_created);
    for (size_t i = 0; i < response.events.count; i++) {
        note_event(s, &response.events.items[i]);
    }
    io_grpc_answer_free(&answer);
    return true;
}

static void *run_stream(void *argument)
{
    struct stream *s = argument;
    struct io_grpc_client *client = new_client(s->settings);
    struct io_why why = {""};
    size_t cap = (size_t)16 << 20;
    void *memory = malloc(cap);
    struct base_arena arena = base_arena_over(memory, memory == NULL ? 0 : cap);
    io_grpc_client_pin(client, (size_t)s->number % io_grpc_client_endpoints(client));
    if (io_grpc_stream_open(client, "/etcdserverpb.Watch/Watch", CALL_MS, &why) != 0) {
        give_up("stream", why.text);
    }
    for (int i = 0; i < s->count; i++) {
        create_watcher(client, s, s->first + i);
        if (i % 100 == 99) { /* answers are read meanwhile */
            for (int n = 0; n < 100 && next_response(client, s, &arena); n++) {
            }
        }
    }
    while (!s->is_lost && (int)s->responses < s->count) {
        (void)next_response(client, s, &arena);
    }
    (void)pthread_barrier_wait(&ready);
    bool is_last = false; /* after the last put nothing came for a while */
    while (!s->is_lost && !is_last) {
        bool was_over = atomic_load(&is_over);
        is_last = !next_response(client, s, &arena) && was_over;
    }
    io_grpc_stream_close(client);
    (void)io_grpc_client_free(client);
    free(memory);
    return NULL;
}

/* --- puts and leases --- */

static bool call(struct io_grpc_client *client, const char *path, const struct kv_request *request)
{
    uint8_t memory[512];
    struct buf out = buf_over(memory, sizeof(memory));
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    if (kv_wire_encode_request(request, &out) != 0 ||
        io_grpc_call(client, path, buf_slice(&out), CALL_MS, &answer, &why) != 0) {
        return false;
    }
    bool is_ok = answer.status == IO_GRPC_OK;
    io_grpc_answer_free(&answer);
    return is_ok;
}

static void put_one(struct writer *w, struct io_grpc_client *client, uint64_t n)
{
    char key[32];
    uint8_t value[VALUE_BYTES] = {0};
    int64_t now = io_now().us;
    uint64_t watchers = (uint64_t)w->settings->watchers;
    uint64_t spread = (n * UINT64_C(2654435761) + (uint64_t)w->number * 97) % watchers;
    key_of((int)spread, key);
    memcpy(value, &now, sizeof(now));
    struct kv_request request = {
        .kind = KV_KIND_PUT,
        .put = {.key = slice_from_text(key), .value = slice_from(value, sizeof(value))}};
    if (call(client, "/etcdserverpb.KV/Put", &request)) {
        w->puts++;
    } else {
        w->failed++;
    }
}

static void *run_writer(void *argument)
{
    struct writer *w = argument;
    const struct settings *s = w->settings;
    struct io_grpc_client *client = new_client(s);
    for (int i = w->number; i < s->leases; i += s->writers) {
        struct kv_request request = {.kind = KV_KIND_LEASE_GRANT, .lease_grant = {.ttl = 600}};
        w->leases += call(client, "/etcdserverpb.Lease/LeaseGrant", &request);
    }
    (void)pthread_barrier_wait(&ready);
    int64_t start = io_now().us;
    int64_t end = start + s->seconds * (int64_t)BASE_US_PER_S;
    for (uint64_t n = 0; io_now().us < end; n++) {
        int64_t due = start + (int64_t)(n * BASE_US_PER_S * (uint64_t)s->writers) / s->puts;
        int64_t left = due - io_now().us;
        if (left > 0) {
            const struct timespec nap = {left / BASE_US_PER_S, (left % BASE_US_PER_S) * 1000};
            (void)nanosleep(&nap, NULL);
        }
        put_one(w, client, n);
    }
    (void)io_grpc_client_free(client);
    return NULL;
}

/* --- figures --- */

static int64_t private_bytes(int pid)
{
    char path[64];
    char line[256];
    int64_t sum = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    FILE *file = pid > 0 ? fopen(path, "r") : NULL;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Private_", 8) == 0) {
            sum += strtoll(strchr(line, ':') + 1, NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sum;
}

static double delay_ms_below(const uint64_t buckets[BUCKETS], uint64_t events, double share)
{
    uint64_t seen = 0;
    int bucket = 0;
    while (bucket < BUCKETS - 1 && (double)(seen + buckets[bucket]) < share * (double)events) {
        seen += buckets[bucket++];
    }
    return events == 0 ? 0.0 : bucket_end_ms(bucket);
}

static struct stream streams[STREAMS_MAX];
static struct writer writers[WRITERS_MAX];

static bool report(const struct settings *s, double setup_s, const int64_t memory[3])
{
    uint64_t events = 0, responses = 0, puts = 0, failed = 0, leases = 0;
    uint64_t buckets[BUCKETS] = {0};
    int64_t sum_us = 0, max_us = 0;
    bool is_lost = false;
    for (int i = 0; i < s->streams; i++) {
        events += streams[i].events;
        responses += streams[i].responses;
        sum_us += streams[i].delay_sum_us;
        max_us = streams[i].delay_max_us > max_us ? streams[i].delay_max_us : max_us;
        is_lost = is_lost || streams[i].is_lost;
        for (int b = 0; b < BUCKETS; b++) {
            buckets[b] += streams[i].buckets[b];
        }
    }
    for (int i = 0; i < s->writers; i++) {
        puts += writers[i].puts;
        failed += writers[i].failed;
        leases += writers[i].leases;
    }
    uint64_t owed = puts * (s->is_prefix ? (uint64_t)s->watchers : 1);
    bool is_complete = !is_lost && events >= owed && (int)leases == s->leases;
    (void)printf("{\"watchers\": %d, \"streams\": %d, \"prefix\": %s, \"leases\": %" PRIu64
                 ", \"setup_s\": %.3f, \"seconds\": %d, \"puts\": %" PRIu64
                 ", \"puts_failed\": %" PRIu64 ", \"puts_per_s\": %.1f, \"events\": %" PRIu64
                 ", \"events_per_s\": %.1f, \"events_missing\": %" PRId64
                 ", \"responses\": %" PRIu64
                 ", \"delay_ms\": {\"mean\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}",
                 s->watchers, s->streams, s->is_prefix ? "true" : "false", leases, setup_s,
                 s->seconds, puts, failed, (double)puts / s->seconds, events,
                 (double)events / s->seconds, events < owed ? (int64_t)(owed - events) : INT64_C(0),
                 responses, events == 0 ? 0.0 : (double)sum_us / (double)events / 1000.0,
                 delay_ms_below(buckets, events, 0.5), delay_ms_below(buckets, events, 0.99),
                 (double)max_us / 1000.0);
    if (s->pid > 0) {
        (void)printf(", \"private_bytes\": {\"before\": %" PRId64 ", \"watching\": %" PRId64
                     ", \"after\": %" PRId64 "}",
                     memory[0], memory[1], memory[2]);
    }
    (void)printf("}\n");
    return is_complete;
}

static bool run(const struct settings *s)
{
    int64_t memory[3] = {private_bytes(s->pid), 0, 0};
    int64_t start = io_now().us;
    (void)pthread_barrier_init(&ready, NULL, (unsigned)(s->streams + s->writers + 1));
    for (int i = 0, first = 0; i < s->streams; i++) {
        int count = s->watchers / s->streams + (i < s->watchers % s->streams);
        streams[i] = (struct stream){.settings = s, .number = i, .first = first, .count = count};
        first += count;
        (void)pthread_create(&streams[i].thread, NULL, run_stream, &streams[i]);
    }
    for (int i = 0; i < s->writers; i++) {
        writers[i] = (struct writer){.settings = s, .number = i};
        (void)pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]);
    }
    (void)pthread_barrier_wait(&ready);
    double setup_s = (double)(io_now().us - start) / (double)BASE_US_PER_S;
    memory[1] = private_bytes(s->pid);
    for (int i = 0; i < s->writers; i++) {
        (void)pthread_join(writers[i].thread, NULL);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < s->streams; i++) {
        (void)pthread_join(streams[i].thread, NULL);
    }
    memory[2] = private_bytes(s->pid);
    return report(s, setup_s, memory);
}

static int number_of(const char *text, int low, int high)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < low || value > high) {
        give_up("number out of range", text);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"endpoints", required_argument, NULL, 'e'}, {"watchers", required_argument, NULL, 'w'},
        {"streams", required_argument, NULL, 's'},   {"prefix", no_argument, NULL, 'p'},
        {"puts", required_argument, NULL, 'm'},      {"writers", required_argument, NULL, 'n'},
        {"leases", required_argument, NULL, 'l'},    {"seconds", required_argument, NULL, 't'},
        {"pid", required_argument, NULL, 'i'},       {NULL, 0, NULL, 0},
    };
    struct settings s = {
        .watchers = 10000, .streams = 10, .puts = 1000, .writers = 16, .seconds = 10};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'e':
            s.client.endpoints = optarg;
            break;
        case 'w':
            s.watchers = number_of(optarg, 1, 1000000);
            break;
        case 's':
            s.streams = number_of(optarg, 1, STREAMS_MAX);
            break;
        case 'p':
            s.is_prefix = true;
            break;
        case 'm':
            s.puts = number_of(optarg, 1, 1000000);
            break;
        case 'n':
            s.writers = number_of(optarg, 1, WRITERS_MAX);
            break;
        case 'l':
            s.leases = number_of(optarg, 0, 1000000);
            break;
        case 't':
            s.seconds = number_of(optarg, 1, 3600);
            break;
        case 'i':
            s.pid = number_of(optarg, 1, 1 << 30);
            break;
        default:
            return 2;
        }
    }
    if (s.client.endpoints == NULL) {
        give_up("usage", "watchload --endpoints H:P,... [--watchers N] [--puts PER_SECOND]");
    }
    return run(&s) ? 0 : 1;
}
