/* SPDX-License-Identifier: Apache-2.0 */
/* Puts unique keys into a quorum while it is being broken, and afterwards looks for each
 * acknowledged one.
 *
 *   kvload put    --endpoints H:P,... --out FILE [--clients N] [--seconds S]
 *   kvload verify --endpoints H:P,... --out FILE
 *
 * Each writer has one connection, begins at another endpoint and goes on to the next when one
 * fails. Output file: one line per acknowledged put, "t_us key revision", t on CLOCK_BOOTTIME.
 * verify reads the file, pages through all keys and prints how many acknowledged ones are missing;
 * exit 1 when any is, or when two share a revision.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "proto/io/grpc_client.h"
#include "proto/io/loop.h"

#define WRITERS_MAX 256
#define KEY_BYTES 48
#define PAGE_KEYS 2000

struct settings {
    struct io_grpc_client_options client;
    const char *out;
    int clients;
    double seconds;
    uint32_t timeout_ms;
    size_t value_bytes;
};

struct writer {
    const struct settings *settings;
    pthread_t thread;
    int number;
    int64_t acknowledged;
    int64_t failed;
    int64_t latency_us_sum;
    int64_t latency_us_max;
};

static atomic_bool is_stopping;
static int output_fd = -1;
static uint32_t run_id;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_stopping, true);
}

static void nap_us(int us)
{
    const struct timespec t = {.tv_nsec = us * 1000L};
    (void)nanosleep(&t, NULL);
}

static struct io_grpc_client *new_client(const struct settings *s)
{
    struct io_grpc_client *client = NULL;
    struct io_why why = {""};
    if (io_grpc_client_new(&s->client, &client, &why) != 0) {
        (void)fprintf(stderr, "kvload: %s\n", why.text);
        exit(2);
    }
    return client;
}

/* One unary call; true with an OK status. The answer is to be freed. */
static bool call(struct io_grpc_client *client, const char *path, const ProtobufCMessage *request,
                 uint32_t timeout_ms, struct io_grpc_answer *ret)
{
    uint8_t memory[4096];
    struct io_why why = {""};
    size_t len = protobuf_c_message_get_packed_size(request);
    if (len > sizeof(memory)) {
        return false;
    }
    (void)protobuf_c_message_pack(request, memory);
    if (io_grpc_call(client, path, slice_from(memory, len), timeout_ms, ret, &why) != 0) {
        return false;
    }
    if (ret->status != IO_GRPC_OK) {
        io_grpc_answer_free(ret);
        return false;
    }
    return true;
}

static void keep(const char *key, int64_t revision)
{
    char line[128];
    int len =
        snprintf(line, sizeof(line), "%" PRId64 " %s %" PRId64 "\n", io_now().us, key, revision);
    if (write(output_fd, line, (size_t)len) != len) {
        (void)fprintf(stderr, "kvload: cannot keep an acknowledged key: %s\n", strerror(errno));
        _exit(1);
    }
}

static bool put_one(struct writer *w, struct io_grpc_client *client, int64_t n)
{
    char key[KEY_BYTES];
    char value[2048];
    struct io_grpc_answer answer = {0};
    Etcdserverpb__PutRequest request;
    etcdserverpb__put_request__init(&request);
    (void)snprintf(key, sizeof(key), "load/%08" PRIx32 "/%03d/%08" PRId64, run_id, w->number, n);
    memset(value, 'v', sizeof(value));
    request.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
    request.value = (ProtobufCBinaryData){w->settings->value_bytes, (uint8_t *)value};
    int64_t start = io_now().us;
    if (!call(client, "/etcdserverpb.KV/Put", &request.base, w->settings->timeout_ms, &answer)) {
        return false;
    }
    Etcdserverpb__PutResponse *response =
        etcdserverpb__put_response__unpack(NULL, answer.len, answer.data);
    bool is_ok = response != NULL && response->header != NULL;
    if (is_ok) {
        int64_t took = io_now().us - start;
        w->latency_us_sum += took;
        w->latency_us_max = took > w->latency_us_max ? took : w->latency_us_max;
        keep(key, response->header->revision);
    }
    etcdserverpb__put_response__free_unpacked(response, NULL);
    io_grpc_answer_free(&answer);
    return is_ok;
}

static void *run_writer(void *argument)
{
    struct writer *w = argument;
    struct io_grpc_client *client = new_client(w->settings);
    size_t endpoints = io_grpc_client_endpoints(client);
    size_t at = (size_t)w->number % endpoints;
    io_grpc_client_pin(client, at);
    for (int64_t n = 0; !atomic_load(&is_stopping); n++) {
        if (put_one(w, client, n)) {
            w->acknowledged++;
            continue;
        }
        w->failed++;
        at = (at + 1) % endpoints;
        io_grpc_client_pin(client, at);
        nap_us(10000);
    }
    (void)io_grpc_client_free(client);
    return NULL;
}

static int run_put(const struct settings *s)
{
    static struct writer writers[WRITERS_MAX];
    struct writer sum = {0};
    output_fd = open(s->out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output_fd < 0) {
        (void)fprintf(stderr, "kvload: %s: %s\n", s->out, strerror(errno));
        return 2;
    }
    run_id = (uint32_t)io_now().us;
    for (int i = 0; i < s->clients; i++) {
        writers[i].settings = s;
        writers[i].number = i;
        if (pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]) != 0) {
            return 2;
        }
    }
    int64_t start = io_now().us;
    int64_t end = start + (int64_t)(s->seconds * 1e6);
    while (!atomic_load(&is_stopping) && io_now().us < end) {
        nap_us(20000);
    }
    atomic_store(&is_stopping, true);
    double took = (double)(io_now().us - start) / 1e6;
    for (int i = 0; i < s->clients; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        sum.acknowledged += writers[i].acknowledged;
        sum.failed += writers[i].failed;
        sum.latency_us_sum += writers[i].latency_us_sum;
        sum.latency_us_max = writers[i].latency_us_max > sum.latency_us_max
                                 ? writers[i].latency_us_max
                                 : sum.latency_us_max;
    }
    double mean =
        sum.acknowledged == 0 ? 0.0 : (double)sum.latency_us_sum / (double)sum.acknowledged / 1e6;
    (void)printf("{\"acknowledged\": %" PRId64 ", \"failed\": %" PRId64
                 ", \"rate\": %.1f, \"latency_mean\": %.6f, \"latency_max\": %.6f}\n",
                 sum.acknowledged, sum.failed, (double)sum.acknowledged / took, mean,
                 (double)sum.latency_us_max / 1e6);
    return 0;
}

struct seen {
    char key[KEY_BYTES];
    int64_t revision;
};

static int compare_seen(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key);
}

static struct seen *grow(struct seen *list, size_t count, size_t *cap)
{
    if (count < *cap) {
        return list;
    }
    *cap = *cap == 0 ? 65536 : *cap * 2;
    struct seen *bigger = reallocarray(list, *cap, sizeof(*list));
    if (bigger == NULL) {
        (void)fputs("kvload: out of memory\n", stderr);
        exit(2);
    }
    return bigger;
}

/* Reads one page of keys behind *from into the list; the number of keys, or -1. */
static int64_t read_page(struct io_grpc_client *client, char from[static KEY_BYTES + 1],
                         struct seen **list, size_t *count, size_t *cap)
{
    static uint8_t end[] = "load0";
    struct io_grpc_answer answer = {0};
    Etcdserverpb__RangeRequest request;
    etcdserverpb__range_request__init(&request);
    /* The NUL behind the last key is part of the next start: the smallest key above it. */
    size_t len = strlen(from) + (strlen(from) > 5 ? 1 : 0);
    request.key = (ProtobufCBinaryData){len, (uint8_t *)from};
    request.range_end = (ProtobufCBinaryData){5, end};
    request.limit = PAGE_KEYS;
    request.keys_only = 1;
    if (!call(client, "/etcdserverpb.KV/Range", &request.base, 10000, &answer)) {
        return -1;
    }
    Etcdserverpb__RangeResponse *response =
        etcdserverpb__range_response__unpack(NULL, answer.len, answer.data);
    int64_t found = response == NULL ? -1 : (int64_t)response->n_kvs;
    for (int64_t i = 0; i < found; i++) {
        const Mvccpb__KeyValue *kv = response->kvs[i];
        *list = grow(*list, *count, cap);
        struct seen *s = &(*list)[(*count)++];
        (void)snprintf(s->key, sizeof(s->key), "%.*s", (int)kv->key.len,
                       (const char *)kv->key.data);
        s->revision = kv->mod_revision;
        (void)snprintf(from, KEY_BYTES + 1, "%s", s->key);
    }
    etcdserverpb__range_response__free_unpacked(response, NULL);
    io_grpc_answer_free(&answer);
    return found;
}

static struct seen *read_store(const struct settings *s, size_t *ret_count)
{
    struct io_grpc_client *client = new_client(s);
    struct seen *list = NULL;
    size_t cap = 0;
    char from[KEY_BYTES + 1] = "load/";
    *ret_count = 0;
    for (int tries = 0; tries < 100;) {
        int64_t found = read_page(client, from, &list, ret_count, &cap);
        if (found < 0) {
            tries++;
            nap_us(100000);
        } else if (found < PAGE_KEYS) {
            (void)io_grpc_client_free(client);
            return list;
        }
    }
    (void)fputs("kvload: the keys cannot be read back\n", stderr);
    exit(2);
}

static int run_verify(const struct settings *s)
{
    size_t count = 0;
    struct seen *store = read_store(s, &count);
    FILE *file = fopen(s->out, "re");
    char line[256];
    int64_t acknowledged = 0;
    int64_t missing = 0;
    int64_t moved = 0;
    if (file == NULL) {
        (void)fprintf(stderr, "kvload: %s: %s\n", s->out, strerror(errno));
        return 2;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        struct seen want = {0};
        if (sscanf(line, "%*d %47s %" SCNd64, want.key, &want.revision) != 2) {
            continue;
        }
        acknowledged++;
        const struct seen *have =
            count == 0 ? NULL : bsearch(&want, store, count, sizeof(*store), compare_seen);
        missing += have == NULL;
        moved += have != NULL && have->revision != want.revision;
    }
    (void)fclose(file);
    free(store);
    (void)printf("{\"acknowledged\": %" PRId64 ", \"stored\": %zu, \"lost\": %" PRId64
                 ", \"wrong_revision\": %" PRId64 "}\n",
                 acknowledged, count, missing, moved);
    return missing == 0 && moved == 0 && acknowledged > 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fputs(
        "usage: kvload put|verify --endpoints H:P,... --out FILE [--clients N] [--seconds S]\n"
        "              [--value-bytes N] [--cacert F --cert F --key F]\n",
        stderr);
    return 2;
}

static bool parse(int argc, char **argv, struct settings *s)
{
    static const struct option options[] = {{"endpoints", required_argument, NULL, 'e'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"cacert", required_argument, NULL, 'a'},
                                            {"cert", required_argument, NULL, 'x'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"value-bytes", required_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'e':
            s->client.endpoints = optarg;
            break;
        case 'o':
            s->out = optarg;
            break;
        case 'c':
            s->clients = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            s->seconds = strtod(optarg, NULL);
            break;
        case 'a':
            s->client.ca_file = optarg;
            break;
        case 'x':
            s->client.cert_file = optarg;
            break;
        case 'k':
            s->client.key_file = optarg;
            break;
        case 'v':
            s->value_bytes = (size_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return s->client.endpoints != NULL && s->out != NULL && s->clients > 0 &&
           s->clients <= WRITERS_MAX && s->value_bytes <= 2048;
}

int main(int argc, char **argv)
{
    struct settings s = {.clients = 4, .seconds = 5.0, .timeout_ms = 2000, .value_bytes = 32};
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!parse(argc, argv, &s) || optind >= argc) {
        return usage();
    }
    if (strcmp(argv[optind], "put") == 0) {
        return run_put(&s);
    }
    return strcmp(argv[optind], "verify") == 0 ? run_verify(&s) : usage();
}
