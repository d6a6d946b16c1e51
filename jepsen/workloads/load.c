/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a quorum that is being broken, and judges at the end what all clients were told.
 *
 *   chaosload --endpoints H:P,... [--seconds S] [--seed N] [--clients N] [--watchers N]
 *             [--lessees N] [--setters N] [--listers N] [--lockers N] [--op-us N] [--compact-ms N]
 *             [--clock-error-ppm N]
 *             [--netns HOST,...] [--out DIR] [--cacert F --cert F --key F]
 *             [--stale] [--no-tokens] [--wrong-times]
 *
 * Ends after S seconds or on SIGTERM: the nodes are to be up and healthy by then. It waits until
 * all leases are over and all watchers have heard the last change, prints one JSON object and each
 * finding on standard error. DIR gets the histories (jepsen/check/README.md). Exit 1 on a finding.
 */
#include "jepsen/workloads/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jepsen/check/json.h"

#define CALLERS_MAX (CLIENTS_MAX * 2)
#define SETTLE_US INT64_C(60000000) /* so long after the end may it take until all is told */

static struct load the_load;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&the_load.is_stopping, true);
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
        if (load_call(c, &request, PATH_PUT) == OUTCOME_OK) {
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

/* All keys as each node tells them, one after the other. */
static void read_finals(struct caller *c, int64_t end_us)
{
    struct load *load = c->load;
    const struct kv_request request = {
        .kind = KV_KIND_RANGE, .range = {.key = SLICE_LIT("\0"), .range_end = SLICE_LIT("\0")}};
    for (size_t i = 0; i < io_grpc_client_endpoints(c->client); i++) {
        struct final_read *final = &load->finals[i];
        enum outcome outcome = OUTCOME_UNKNOWN;
        while (outcome != OUTCOME_OK && io_now().us < end_us) {
            io_grpc_client_pin(c->client, i);
            outcome = load_call(c, &request, PATH_RANGE);
        }
        if (outcome != OUTCOME_OK) {
            load_violation(load, "node %zu does not answer at the end", i);
            continue;
        }
        const struct kv_pairs *pairs = &c->response.range.kvs;
        final->revision = c->response.range.header.revision;
        for (size_t k = 0; k < pairs->count; k++) {
            final->pairs =
                load_room(final->pairs, final->count, &final->cap, sizeof(*final->pairs));
            load_keep_pair(&pairs->items[k], &final->pairs[final->count++]);
        }
    }
}

static int64_t settle(struct load *load)
{
    load_enter_host(load, 9999);
    struct caller c = load_caller(load, 9999);
    int64_t end_us = io_now().us + SETTLE_US;
    await_leases(&c, end_us);
    int64_t revision = last_change(&c, end_us);
    await_watchers(load, revision, end_us);
    read_finals(&c, end_us);
    load_caller_free(&c);
    return revision;
}

static void open_files(struct load *load)
{
    static const char *const names[FILES] = {"register.jsonl", "set.jsonl", "append.jsonl",
                                             "lock.jsonl", "ops"};
    char path[PATH_MAX];
    for (size_t i = 0; load->out != NULL && i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", load->out, names[i]);
        load->files[i] = fopen(path, "we");
        if (load->files[i] == NULL) {
            load_give_up(path, "cannot be written");
        }
    }
}

/* The history of the registers and the times of all operations; the others are written already. */
static void keep_histories(struct load *load)
{
    static char line[4096];
    static const char outcomes[] = {'o', 'f', 'u'};
    for (size_t i = 0; load->out != NULL && i < load->history.count; i++) {
        struct buf out = buf_over(line, sizeof(line));
        chk_json_write(&out, &load->history, &load->history.ops[i]);
        (void)fwrite(line, 1, out.len, load->files[FILE_REGISTER]);
    }
    for (size_t i = 0; i < load->counted_count; i++) {
        const struct counted *op = &load->counted[i];
        load_line(load, FILE_OPS, "%" PRId64 " %" PRId64 " %c %c\n", op->return_us, op->call_us,
                  outcomes[op->outcome], op->is_write ? 'w' : 'r');
    }
    for (size_t i = 0; i < FILES; i++) {
        if (load->files[i] != NULL && fclose(load->files[i]) != 0) {
            load_give_up(load->out, "a history could not be written");
        }
    }
}

static void report(const struct load *load)
{
    const uint64_t *by = load->by_outcome;
    uint64_t events = 0, sessions = 0, cancels = 0;
    for (int i = 0; i < load->watchers; i++) {
        events += load->watcher[i].events_count;
        sessions += load->watcher[i].sessions_count;
        cancels += load->watcher[i].cancels;
    }
    (void)printf(
        "{\"ok\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"unknown\": %" PRIu64
        ", \"unsettled\": %" PRIu64 ", \"elements\": %" PRId64 ", \"transactions\": %" PRId64
        ", \"stale_reads\": %zu, \"leases\": %zu, \"compactions\": %" PRIu64
        ", \"compactions_refused\": %" PRIu64 ", \"events\": %" PRIu64 ", \"watches\": %" PRIu64
        ", \"watches_compacted\": %" PRIu64 ", \"terms\": %" PRIu64 ", \"revision\": %" PRId64
        ", \"lost\": %" PRIu64 ", \"violations\": %d}\n",
        by[OUTCOME_OK], by[OUTCOME_REFUSED], by[OUTCOME_UNKNOWN], load->unsettled,
        atomic_load(&load->set_next), load->lists_ops, load->stales_count, load->leases_count,
        load->compactions, load->compactions_refused, events, sessions, cancels,
        atomic_load(&load->term_last) - atomic_load(&load->term_first), atomic_load(&load->newest),
        load->lost, atomic_load(&load->violations));
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
    load->counted = calloc(OPS_MAX, sizeof(*load->counted));
    if (ops == NULL || keys == NULL || load->stales == NULL || load->leases == NULL ||
        load->asked == NULL || load->counted == NULL) {
        load_give_up("memory", "none left");
    }
    load->history = chk_history_over(ops, OPS_MAX, keys, KEYS_MAX);
}

static void start_watchers(struct load *load)
{
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
}

static struct caller the_callers[CALLERS_MAX];
static pthread_t the_threads[CALLERS_MAX];

/* One thread for each client; returns how many. */
static size_t start_callers(struct load *load)
{
    const struct {
        int count;
        void *(*work)(void *);
    } kinds[] = {{load->clients, load_kv_client}, {load->lessees, load_lessee},
                 {load->setters, load_setter},    {load->listers, load_lister},
                 {load->lockers, load_locker},    {1, load_compactor}};
    size_t count = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (int i = 0; i < kinds[k].count; i++, count++) {
            the_callers[count] = load_caller(load, count);
            (void)pthread_create(&the_threads[count], NULL, kinds[k].work, &the_callers[count]);
        }
    }
    return count;
}

static int run(struct load *load)
{
    prepare(load);
    open_files(load);
    start_watchers(load);
    size_t count = start_callers(load);
    int64_t end_us = io_now().us + (int64_t)(load->seconds * 1e6);
    while (!atomic_load(&load->is_stopping) && io_now().us < end_us) {
        load_nap_us(20000);
    }
    atomic_store(&load->is_stopping, true);
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(the_threads[i], NULL);
        load_caller_free(&the_callers[i]);
    }
    int64_t revision = settle(load);
    atomic_store(&load->is_over, true);
    for (int i = 0; i < load->watchers; i++) {
        (void)pthread_join(load->watcher[i].thread, NULL);
    }
    load_judge(load, revision);
    keep_histories(load);
    report(load);
    return atomic_load(&load->violations) == 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fputs(
        "usage: chaosload --endpoints H:P,... [--seconds S] [--seed N] [--clients N]\n"
        "       [--watchers N] [--lessees N] [--setters N] [--listers N] [--lockers N]\n"
        "       [--op-us N] [--compact-ms N] [--clock-error-ppm N] [--netns HOST,...] [--out DIR]\n"
        "       [--cacert F --cert F --key F] [--stale] [--no-tokens] [--wrong-times]\n",
        stderr);
    return 2;
}

/* One option: where its value goes. */
struct place {
    const char *name;
    const char **text;
    int *number;
    bool *flag;
};

static bool set(const struct place *place, const char *value)
{
    if (place->text != NULL) {
        *place->text = value;
    } else if (place->flag != NULL) {
        *place->flag = true;
    } else {
        char *end = NULL;
        *place->number = (int)strtol(value, &end, 10);
        return *end == 0 && *place->number >= 0;
    }
    return true;
}

static bool parse(int argc, char **argv, struct load *s)
{
    const char *seconds = "20", *seed = "1";
    const struct place places[] = {
        {"endpoints", &s->client.endpoints, NULL, NULL},
        {"out", &s->out, NULL, NULL},
        {"netns", &s->netns, NULL, NULL},
        {"cacert", &s->client.ca_file, NULL, NULL},
        {"cert", &s->client.cert_file, NULL, NULL},
        {"key", &s->client.key_file, NULL, NULL},
        {"seconds", &seconds, NULL, NULL},
        {"seed", &seed, NULL, NULL},
        {"clients", NULL, &s->clients, NULL},
        {"watchers", NULL, &s->watchers, NULL},
        {"lessees", NULL, &s->lessees, NULL},
        {"setters", NULL, &s->setters, NULL},
        {"listers", NULL, &s->listers, NULL},
        {"lockers", NULL, &s->lockers, NULL},
        {"op-us", NULL, &s->op_us, NULL},
        {"clock-error-ppm", NULL, &s->clock_error_ppm, NULL},
        {"compact-ms", NULL, &s->compact_ms, NULL},
        {"stale", NULL, NULL, &s->is_stale},
        {"no-tokens", NULL, NULL, &s->is_tokenless},
        {"wrong-times", NULL, NULL, &s->has_wrong_times},
    };
    struct option options[sizeof(places) / sizeof(places[0]) + 1] = {0};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        options[i] = (struct option){
            places[i].name, places[i].flag == NULL ? required_argument : no_argument, NULL, (int)i};
    }
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?' || !set(&places[c], optarg)) {
            return false;
        }
    }
    s->seconds = strtod(seconds, NULL);
    s->seed = strtoull(seed, NULL, 10);
    return s->client.endpoints != NULL && s->watchers > 0 && s->watchers <= CLIENTS_MAX &&
           s->clients + s->lessees + s->setters + s->listers + s->lockers + 1 <= CALLERS_MAX;
}

int main(int argc, char **argv)
{
    const struct sigaction stop = {.sa_handler = on_signal};
    the_load.clients = 8;
    the_load.watchers = 8;
    the_load.lessees = 4;
    the_load.op_us = 10000;
    the_load.compact_ms = 200;
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return parse(argc, argv, &the_load) ? run(&the_load) : usage();
}
