/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a quorum that is being broken, and judges at the end what all clients were told.
 *
 *   chaosload --endpoints H:P,... [--seconds S] [--seed N] [--clients N] [--watchers N]
 *             [--lessees N] [--op-us N] [--out FILE] [--cacert F --cert F --key F]
 *
 * Ends after S seconds or on SIGTERM: the nodes are to be up and healthy by then. It waits until
 * all leases are over and all watchers have heard the last change, prints one JSON object and each
 * finding on standard error. FILE gets the history (jepsen/check/README.md). Exit 1 on a finding.
 */
#include "jepsen/workloads/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jepsen/check/json.h"

#define RESPONSE_BYTES ((size_t)1 << 20)
#define SETTLE_US INT64_C(60000000) /* so long after the end may it take until all is told */

static struct load the_load;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&the_load.is_stopping, true);
}

_Noreturn void load_give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "chaosload: %s: %s\n", what, why);
    exit(2);
}

void load_nap_us(int64_t us)
{
    const struct timespec t = {us / 1000000, (us % 1000000) * 1000};
    (void)nanosleep(&t, NULL);
}

void load_violation(struct load *load, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (atomic_fetch_add(&load->violations, 1) < 20) {
        (void)fprintf(stderr, "chaosload: VIOLATION: %s\n", text);
    }
}

void *load_room(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return list;
    }
    *cap = *cap == 0 ? 1024 : *cap * 2;
    void *bigger = reallocarray(list, *cap, size);
    if (bigger == NULL) {
        load_give_up("memory", "none left");
    }
    return bigger;
}

static void raise_to(_Atomic int64_t *at, int64_t value)
{
    int64_t had = atomic_load(at);
    while (value > had && !atomic_compare_exchange_weak(at, &had, value)) {
    }
}

void load_note(struct load *load, const struct kv_header *header)
{
    uint64_t none = 0;
    raise_to(&load->newest, header->revision);
    if (header->raft_term != 0) {
        (void)atomic_compare_exchange_strong(&load->term_first, &none, header->raft_term);
    }
    if (header->raft_term > atomic_load(&load->term_last)) {
        atomic_store(&load->term_last, header->raft_term);
    }
}

/* --- calls --- */

struct caller load_caller(struct load *load, uint64_t stream)
{
    struct io_why why = {""};
    struct caller c = {
        .load = load, .number = (uint32_t)stream, .rand = base_rand_make(load->seed, stream)};
    void *memory = malloc(RESPONSE_BYTES);
    if (memory == NULL || io_grpc_client_new(&load->client, &c.client, &why) != 0) {
        load_give_up("client", why.text);
    }
    c.arena = base_arena_over(memory, RESPONSE_BYTES);
    c.endpoint = stream % io_grpc_client_endpoints(c.client);
    io_grpc_client_pin(c.client, c.endpoint);
    return c;
}

void load_caller_free(struct caller *c)
{
    io_grpc_answer_free(&c->answer);
    (void)io_grpc_client_free(c->client);
    free(c->arena.memory);
}

static void elsewhere(struct caller *c)
{
    c->endpoint = (c->endpoint + 1) % io_grpc_client_endpoints(c->client);
    io_grpc_client_pin(c->client, c->endpoint);
    load_nap_us((int64_t)base_rand_between(&c->rand, 2000, 20000));
}

/* A refusal that leaves no doubt: all others may come after the entry was proposed. */
static bool is_refusal(const struct io_grpc_answer *answer)
{
    static const enum kv_error sure[] = {KV_E_NO_LEADER, KV_E_TOO_MANY_REQUESTS,
                                         KV_E_LEASE_NOT_FOUND, KV_E_COMPACTED,
                                         KV_E_FUTURE_REVISION};
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++) {
        if (strcmp(answer->message.text, kv_error_text(sure[i])) == 0) {
            return true;
        }
    }
    return false;
}

enum outcome load_call(struct caller *c, const struct kv_request *request, const char *path)
{
    uint8_t memory[2048];
    struct buf out = buf_over(memory, sizeof(memory));
    struct io_why why = {""};
    io_grpc_answer_free(&c->answer);
    c->answer = (struct io_grpc_answer){0};
    base_arena_reset(&c->arena);
    if (kv_wire_encode_request(request, &out) != 0) {
        load_give_up("request", "does not fit");
    }
    int rc = io_grpc_call(c->client, path, buf_slice(&out), CALL_MS, &c->answer, &why);
    if (rc != 0) {
        c->answer = (struct io_grpc_answer){0};
        elsewhere(c);
        return rc == BASE_E_UNREACHABLE ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
    }
    if (c->answer.status != IO_GRPC_OK) {
        bool is_sure = is_refusal(&c->answer);
        if (c->answer.status != IO_GRPC_NOT_FOUND && c->answer.status != IO_GRPC_OUT_OF_RANGE) {
            elsewhere(c);
        }
        return is_sure ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
    }
    if (kv_wire_decode_response((enum kv_kind)request->kind,
                                slice_from(c->answer.data, c->answer.len), &c->arena,
                                &c->response) != 0) {
        load_give_up(path, "malformed response");
    }
    return OUTCOME_OK;
}

/* --- the end --- */

/* Waits until no lease is left; they all are abandoned by now. */
static void await_leases(struct caller *c, int64_t end_us)
{
    const struct kv_request request = {.kind = KV_KIND_LEASE_LEASES};
    while (io_now().us < end_us) {
        if (load_call(c, &request, "/etcdserverpb.Lease/LeaseLeases") == OUTCOME_OK &&
            c->response.leases.leases.count == 0) {
            return;
        }
        load_nap_us(100000);
    }
    load_violation(c->load, "leases: abandoned ones are not over after %d s",
                   (int)(SETTLE_US / 1000000));
}

/* The revision of a last change that every watcher must hear of; 0: no write goes through. */
static int64_t last_change(struct caller *c, int64_t end_us)
{
    const struct kv_request request = {.kind = KV_KIND_PUT,
                                       .put = {.key = SLICE_LIT(KEY_END), .value = SLICE_LIT("1")}};
    while (io_now().us < end_us) {
        if (load_call(c, &request, "/etcdserverpb.KV/Put") == OUTCOME_OK) {
            return c->response.put.header.revision;
        }
        load_nap_us(50000);
    }
    load_violation(c->load, "no write goes through at the end");
    return 0;
}

static void await_watchers(struct load *load, int64_t revision, int64_t end_us)
{
    for (int i = 0; i < load->watchers; i++) {
        for (;;) {
            pthread_mutex_lock(&load->lock);
            int64_t heard = load->watcher[i].heard_to;
            pthread_mutex_unlock(&load->lock);
            if (heard >= revision) {
                break;
            }
            if (io_now().us > end_us) {
                load_violation(
                    load, "watcher %d heard up to %" PRId64 ", not to the last change %" PRId64, i,
                    heard, revision);
                break;
            }
            load_nap_us(20000);
        }
    }
}

static int64_t settle(struct load *load)
{
    struct caller c = load_caller(load, 9999);
    int64_t end_us = io_now().us + SETTLE_US;
    await_leases(&c, end_us);
    int64_t revision = last_change(&c, end_us);
    await_watchers(load, revision, end_us);
    load_caller_free(&c);
    return revision;
}

static void keep_history(const struct load *load)
{
    static char line[4096];
    FILE *file = load->out == NULL ? NULL : fopen(load->out, "we");
    if (load->out != NULL && file == NULL) {
        load_give_up(load->out, "cannot be written");
    }
    for (size_t i = 0; file != NULL && i < load->history.count; i++) {
        struct buf out = buf_over(line, sizeof(line));
        chk_json_write(&out, &load->history, &load->history.ops[i]);
        (void)fwrite(line, 1, out.len, file);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void report(const struct load *load)
{
    const uint64_t *by_status = load->by_status;
    uint64_t events = 0, sessions = 0, cancels = 0;
    for (int i = 0; i < load->watchers; i++) {
        events += load->watcher[i].events_count;
        sessions += load->watcher[i].sessions_count;
        cancels += load->watcher[i].cancels;
    }
    (void)printf("{\"ok\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"unknown\": %" PRIu64
                 ", \"stale_reads\": %zu, \"leases\": %zu, \"compactions\": %" PRIu64
                 ", \"compactions_refused\": %" PRIu64 ", \"events\": %" PRIu64
                 ", \"watches\": %" PRIu64 ", \"watches_compacted\": %" PRIu64
                 ", \"terms\": %" PRIu64 ", \"revision\": %" PRId64 ", \"violations\": %d}\n",
                 by_status[CHK_DONE], by_status[CHK_FAILED],
                 by_status[CHK_INFO] + by_status[CHK_INVOKED], load->stales_count,
                 load->leases_count, load->compactions, load->compactions_refused, events, sessions,
                 cancels, atomic_load(&load->term_last) - atomic_load(&load->term_first),
                 atomic_load(&load->newest), atomic_load(&load->violations));
}

/* --- the beginning --- */

static void prepare(struct load *load)
{
    (void)pthread_mutex_init(&load->lock, NULL);
    struct chk_op *ops = calloc(OPS_MAX, sizeof(*ops));
    struct chk_key *keys = calloc(KEYS_MAX, sizeof(*keys));
    load->stales = calloc(STALES_MAX, sizeof(*load->stales));
    load->leases = calloc(LEASES_MAX, sizeof(*load->leases));
    load->asked = calloc(ASKED_MAX, sizeof(*load->asked));
    if (ops == NULL || keys == NULL || load->stales == NULL || load->leases == NULL ||
        load->asked == NULL) {
        load_give_up("memory", "none left");
    }
    load->history = chk_history_over(ops, OPS_MAX, keys, KEYS_MAX);
}

static int run(struct load *load)
{
    static struct caller callers[CLIENTS_MAX * 2 + 1];
    static pthread_t threads[CLIENTS_MAX * 2 + 1];
    int count = load->clients + load->lessees + 1;
    prepare(load);
    for (int i = 0; i < load->watchers; i++) {
        struct watcher *w = &load->watcher[i];
        w->load = load;
        w->number = i;
        w->rand = base_rand_make(load->seed, 1000 + (uint64_t)i);
        w->is_pinned = i % 4 != 3;
        w->is_all = i % 5 != 4;
        w->next = w->is_all ? 1 : 0;
        (void)pthread_create(&w->thread, NULL, load_watcher, w);
    }
    for (int i = 0; i < count; i++) {
        void *(*work)(void *) = i < load->clients                   ? load_kv_client
                                : i < load->clients + load->lessees ? load_lessee
                                                                    : load_compactor;
        callers[i] = load_caller(load, (uint64_t)i);
        (void)pthread_create(&threads[i], NULL, work, &callers[i]);
    }
    int64_t end_us = io_now().us + (int64_t)(load->seconds * 1e6);
    while (!atomic_load(&load->is_stopping) && io_now().us < end_us) {
        load_nap_us(20000);
    }
    atomic_store(&load->is_stopping, true);
    for (int i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
        load_caller_free(&callers[i]);
    }
    int64_t revision = settle(load);
    atomic_store(&load->is_over, true);
    for (int i = 0; i < load->watchers; i++) {
        (void)pthread_join(load->watcher[i].thread, NULL);
    }
    for (size_t i = 0; i < load->history.count; i++) {
        load->by_status[load->history.ops[i].status]++;
    }
    load_judge(load, revision);
    keep_history(load);
    report(load);
    return atomic_load(&load->violations) == 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fputs("usage: chaosload --endpoints H:P,... [--seconds S] [--seed N] [--clients N]\n"
                "       [--watchers N] [--lessees N] [--op-us N] [--out FILE]\n"
                "       [--cacert F --cert F --key F]\n",
                stderr);
    return 2;
}

static bool parse(int argc, char **argv, struct load *s)
{
    static const struct option options[] = {
        {"endpoints", required_argument, NULL, 'e'}, {"out", required_argument, NULL, 'o'},
        {"clients", required_argument, NULL, 'c'},   {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'n'},      {"watchers", required_argument, NULL, 'w'},
        {"lessees", required_argument, NULL, 'l'},   {"op-us", required_argument, NULL, 'u'},
        {"cacert", required_argument, NULL, 'a'},    {"cert", required_argument, NULL, 'x'},
        {"key", required_argument, NULL, 'k'},       {NULL, 0, NULL, 0}};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char **text = c == 'e'   ? &s->client.endpoints
                            : c == 'o' ? &s->out
                            : c == 'a' ? &s->client.ca_file
                            : c == 'x' ? &s->client.cert_file
                            : c == 'k' ? &s->client.key_file
                                       : NULL;
        int *number = c == 'c'   ? &s->clients
                      : c == 'w' ? &s->watchers
                      : c == 'l' ? &s->lessees
                      : c == 'u' ? &s->op_us
                                 : NULL;
        if (text != NULL) {
            *text = optarg;
        } else if (number != NULL) {
            *number = (int)strtol(optarg, NULL, 10);
        } else if (c == 's') {
            s->seconds = strtod(optarg, NULL);
        } else if (c == 'n') {
            s->seed = strtoull(optarg, NULL, 10);
        } else {
            return false;
        }
    }
    return s->client.endpoints != NULL && s->clients > 0 && s->clients <= CLIENTS_MAX &&
           s->lessees >= 0 && s->lessees <= CLIENTS_MAX && s->watchers > 0 &&
           s->watchers <= CLIENTS_MAX && s->op_us >= 0;
}

int main(int argc, char **argv)
{
    const struct sigaction stop = {.sa_handler = on_signal};
    the_load.clients = 8;
    the_load.watchers = 8;
    the_load.lessees = 4;
    the_load.seconds = 20.0;
    the_load.seed = 1;
    the_load.op_us = 10000;
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return parse(argc, argv, &the_load) ? run(&the_load) : usage();
}
