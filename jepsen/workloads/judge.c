/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run: all that the watchers heard is put together to the list of all changes, without
 * a gap, and everything else is held against it.
 *
 * Acknowledged writes stand in it, refused ones do not; of those of unknown outcome it tells which
 * took effect, and until when. Then the checkers of jepsen/check judge the history and each watch;
 * stale reads, reads of the past and leases are judged here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jepsen/check/linear.h"
#include "jepsen/check/witness.h"
#include "jepsen/workloads/load.h"

#define SEARCH_BYTES ((size_t)256 << 20)
#define SEARCH_STEPS UINT64_C(200000000)
#define TEXT_BYTES 24

/* Where a revision was first heard of in whole. */
struct source {
    int64_t at_us;
    const struct heard *events; /* NULL: nobody heard of it */
    size_t count;
};

struct truth {
    struct load *load;
    int64_t last; /* revision */
    struct source *sources;
    struct chk_changes changes;
    size_t *newest; /* change of each key; CHK_NONE */
    size_t keys;
    size_t *at_revision; /* first change */
    char (*texts)[TEXT_BYTES];
    size_t texts_count;
    size_t *op_of; /* value -> operation */
};

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL) {
        load_give_up("memory", "none left for the judge");
    }
    return memory;
}

static struct slice number_text(char room[TEXT_BYTES], int64_t value)
{
    struct buf b = buf_over(room, TEXT_BYTES);
    buf_put_int(&b, value);
    return buf_slice(&b);
}

/* --- the list of all changes --- */

/* The families of numbered keys, one behind the other in the numbering. */
static size_t family_size(const struct load *load, size_t family)
{
    const size_t sizes[] = {load->history.keys_count, 2 * load->leases_count, LISTS_MAX,
                            ELEMENTS_MAX + 64, LOCKS};
    return sizes[family];
}

/* Number of a key among all; CHK_NONE for one that nobody here wrote. */
static size_t key_number(const struct truth *t, const char *key)
{
    static const char *const prefixes[] = {PREFIX_KV, PREFIX_LEASE, PREFIX_LIST, PREFIX_SET,
                                           PREFIX_LOCK};
    size_t first = 0;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            char *end = NULL;
            size_t number = strtoull(key + strlen(prefixes[i]), &end, 10);
            if (strcmp(prefixes[i], PREFIX_LEASE) == 0) {
                number = 2 * number + (strcmp(end, "/b") == 0);
                end += strlen(end) == 2 ? 2 : 0;
            }
            return *end == 0 && number < family_size(t->load, i) ? first + number : CHK_NONE;
        }
        first += family_size(t->load, i);
    }
    return strcmp(key, KEY_END) == 0 ? t->keys - 1 : CHK_NONE;
}

static void find_sources(struct truth *t, const struct watcher *w)
{
    for (size_t i = 0; i < w->responses_count; i++) {
        const struct response *r = &w->responses[i];
        for (size_t e = r->first, end = r->first + r->count; e < end;) {
            int64_t revision = w->events[e].mod_revision;
            size_t from = e;
            while (e < end && w->events[e].mod_revision == revision) {
                e++;
            }
            if (revision <= 0 || revision > t->last) {
                load_violation(t->load, "watcher %d heard of revision %" PRId64, w->number,
                               revision);
                continue;
            }
            struct source *s = &t->sources[revision];
            if (s->events == NULL) {
                *s = (struct source){r->at_us, &w->events[from], e - from};
            } else if (r->at_us < s->at_us) {
                s->at_us = r->at_us;
            }
        }
    }
}

static void add_change(struct truth *t, const struct heard *event)
{
    size_t key = key_number(t, event->key);
    struct chk_changes *all = &t->changes;
    struct chk_change *change = &all->items[all->count];
    if (key == CHK_NONE) {
        load_violation(t->load, "a key that nobody wrote: '%s' in revision %" PRId64, event->key,
                       event->mod_revision);
        return;
    }
    *change = (struct chk_change){.revision = event->mod_revision,
                                  .is_delete = event->is_delete,
                                  .key = slice_from_text(event->key),
                                  .before = t->newest[key]};
    if (!event->is_delete) {
        const struct chk_change *before =
            change->before == CHK_NONE ? NULL : &all->items[change->before];
        bool is_new = before == NULL || before->is_delete;
        change->value = number_text(t->texts[t->texts_count++], event->value);
        change->create_revision = is_new ? change->revision : before->create_revision;
        change->version = is_new ? 1 : before->version + 1;
    }
    t->newest[key] = all->count++;
}

static void put_together(struct truth *t)
{
    size_t events = 0;
    for (int i = 0; i < t->load->watchers; i++) {
        if (t->load->watcher[i].is_all) {
            find_sources(t, &t->load->watcher[i]);
        }
    }
    for (int64_t r = 1; r <= t->last; r++) {
        events += t->sources[r].count;
    }
    t->changes = chk_changes_over(take(events, sizeof(struct chk_change)), events);
    t->texts = take(events, sizeof(*t->texts));
    for (int64_t r = 2; r <= t->last; r++) { /* an empty store is of revision 1 */
        t->at_revision[r] = t->changes.count;
        if (t->sources[r].events == NULL) {
            load_violation(t->load, "watchers: nobody heard of revision %" PRId64, r);
        }
        for (size_t i = 0; i < t->sources[r].count; i++) {
            add_change(t, &t->sources[r].events[i]);
        }
    }
}

/* The change of a key in a revision, or NULL. */
static const struct chk_change *change_at(const struct truth *t, uint64_t revision,
                                          struct slice key)
{
    if (revision < 2 || revision > (uint64_t)t->last) {
        return NULL;
    }
    for (size_t i = t->at_revision[revision];
         i < t->changes.count && t->changes.items[i].revision == (int64_t)revision; i++) {
        if (slice_equal(t->changes.items[i].key, key)) {
            return &t->changes.items[i];
        }
    }
    return NULL;
}

/* --- history against changes --- */

static bool has_reads(const struct chk_op *op)
{
    for (size_t i = 0; i < op->parts_count; i++) {
        if (op->parts[i].kind == CHK_READ) {
            return true;
        }
    }
    return false;
}

static void judge_acknowledged(struct truth *t, const struct chk_op *op, size_t index)
{
    for (size_t i = 0; i < op->parts_count && op->is_applied; i++) {
        const struct chk_part *part = &op->parts[i];
        char text[TEXT_BYTES];
        const char *key = t->load->history.keys[part->key].text;
        if (part->kind == CHK_READ || (part->kind == CHK_DELETE && part->value == 0)) {
            continue;
        }
        const struct chk_change *change = change_at(t, op->revision, slice_from_text(key));
        bool is_there =
            change != NULL && change->is_delete == (part->kind == CHK_DELETE) &&
            (change->is_delete || slice_equal(change->value, number_text(text, part->value)));
        if (!is_there) {
            t->load->lost++;
            load_violation(t->load,
                           "lost: operation %zu, %s = %" PRId64
                           ", acknowledged as revision %" PRIu64 ", is not among the changes",
                           index, key, part->value, op->revision);
        }
    }
}

/* A write that happened tells about its operation. */
static void learn_from(struct truth *t, const struct chk_change *change)
{
    uint64_t value = 0;
    if (change->is_delete || change->key.data[0] != 'g' ||
        slice_to_u64(change->value, &value) != 0 || value > (uint64_t)t->load->next_value) {
        return;
    }
    int64_t heard_us = t->sources[change->revision].at_us;
    struct chk_op *op = &t->load->history.ops[t->op_of[value]];
    if (op->status == CHK_FAILED || heard_us < op->call_us ||
        (op->status == CHK_DONE && op->revision != (uint64_t)change->revision)) {
        load_violation(t->load, "value %" PRIu64 " of revision %" PRId64 " was %s", value,
                       change->revision,
                       op->status == CHK_FAILED ? "refused"
                       : heard_us < op->call_us ? "heard of before it was sent"
                                                : "acknowledged with another revision");
    }
    if (op->status == CHK_INFO || op->status == CHK_INVOKED) {
        op->status = CHK_INFO;
        op->revision = (uint64_t)change->revision;
        if (!has_reads(op)) {
            op->status = CHK_DONE;
            op->is_applied = true;
            op->return_us = heard_us > op->call_us ? heard_us : op->call_us;
        }
    }
}

/* Writes of unknown outcome are settled: they stand in the list or will never happen. */
static void narrow(struct truth *t)
{
    struct chk_history *h = &t->load->history;
    for (size_t i = 0; i < h->count; i++) {
        for (size_t j = 0; j < h->ops[i].parts_count; j++) {
            if (h->ops[i].parts[j].kind == CHK_WRITE) {
                t->op_of[h->ops[i].parts[j].value] = i;
            }
        }
    }
    for (size_t i = 0; i < t->changes.count; i++) {
        learn_from(t, &t->changes.items[i]);
    }
    for (size_t i = 0; i < h->count; i++) {
        struct chk_op *op = &h->ops[i];
        bool is_write = op->parts[0].kind == CHK_WRITE;
        if (op->status == CHK_INFO && is_write && op->revision == 0) {
            op->status = CHK_FAILED;
            op->return_us = io_now().us;
        }
        if (op->status == CHK_INFO) {
            op->revision = 0; /* not told by a reply */
            t->load->unsettled++;
        }
        if (op->status == CHK_DONE) {
            judge_acknowledged(t, op, i);
        }
    }
}

static void verdict(struct truth *t, const char *how, struct chk_result result)
{
    if (result.verdict != CHK_OK) {
        load_violation(t->load, "%s: %s%s (operations %zu and %zu, %" PRIu64 " steps)", how,
                       result.verdict == CHK_UNKNOWN ? "no verdict: " : "", result.text, result.op,
                       result.other, result.steps);
    }
}

static void judge_history(struct truth *t)
{
    const struct chk_history *h = &t->load->history;
    size_t bytes = chk_witness_bytes(h->count, h->keys_count);
    void *memory = take(bytes > SEARCH_BYTES ? bytes : SEARCH_BYTES, 1);
    const struct chk_linear_limits limits = {memory, SEARCH_BYTES, SEARCH_STEPS};
    verdict(t, "the revision witness", chk_witness(h, memory, bytes));
    verdict(t, "the search", chk_linear(h, &limits));
    free(memory);
}

/* --- reads that may be stale --- */

static void judge_stale(struct truth *t, const struct stale *s)
{
    size_t at = t->newest[s->key];
    uint64_t value = 0;
    int64_t mod = 0;
    while (at != CHK_NONE && t->changes.items[at].revision > s->revision) {
        at = t->changes.items[at].before;
    }
    if (at != CHK_NONE && !t->changes.items[at].is_delete &&
        slice_to_u64(t->changes.items[at].value, &value) == 0) {
        mod = t->changes.items[at].revision;
    }
    if (s->value != (int64_t)value || s->mod_revision != mod) {
        load_violation(t->load,
                       "a read of %s at revision %" PRId64 " saw %" PRId64 " of %" PRId64
                       " instead of %" PRIu64 " of %" PRId64,
                       t->load->history.keys[s->key].text, s->revision, s->value, s->mod_revision,
                       value, mod);
    }
}

/* --- leases --- */

static void judge_lease(struct truth *t, const struct lease *lease, size_t number)
{
    const size_t first = t->load->history.keys_count + 2 * number;
    const size_t a = t->newest[first], b = t->newest[first + 1];
    if (a == CHK_NONE || b == CHK_NONE) {
        if (lease->has_keys || a != b) {
            load_violation(t->load, "lease %zu: its keys were never there", number);
        }
        return;
    }
    const struct chk_change *end = &t->changes.items[a];
    if (!end->is_delete || !t->changes.items[b].is_delete) {
        load_violation(t->load, "lease %zu is over, its keys are still there", number);
        return;
    }
    if (end->revision != t->changes.items[b].revision) {
        load_violation(t->load, "lease %zu: its keys went one after the other", number);
    }
    int64_t early = lease->deadline_us - t->sources[end->revision].at_us;
    if (!lease->is_revoked && early > 0) {
        load_violation(t->load,
                       "lease %zu: its keys went %" PRId64 " us early, in revision %" PRId64,
                       number, early, end->revision);
    }
}

/* --- all keys at the end, from each node --- */

static void judge_final(struct truth *t, const struct final_read *final, size_t node)
{
    size_t alive = 0, same = 0;
    if (final->revision < t->last) {
        load_violation(t->load, "node %zu tells revision %" PRId64 " at the end, not %" PRId64,
                       node, final->revision, t->last);
        return;
    }
    for (size_t i = 0; i < t->keys; i++) {
        alive += t->newest[i] != CHK_NONE && !t->changes.items[t->newest[i]].is_delete;
    }
    for (size_t i = 0; i < final->count; i++) {
        const struct heard *pair = &final->pairs[i];
        size_t key = key_number(t, pair->key);
        const struct chk_change *change = key == CHK_NONE || t->newest[key] == CHK_NONE
                                              ? NULL
                                              : &t->changes.items[t->newest[key]];
        char text[TEXT_BYTES];
        same += change != NULL && !change->is_delete && change->revision == pair->mod_revision &&
                change->create_revision == pair->create_revision &&
                change->version == pair->version &&
                slice_equal(change->value, number_text(text, pair->value));
    }
    if (same != final->count || alive != final->count) {
        load_violation(t->load,
                       "node %zu has %zu keys at the end, %zu of them as they should be; %zu are "
                       "alive",
                       node, final->count, same, alive);
    }
}

/* --- watches --- */

static struct chk_watch watch_of(const struct watcher *w, const struct session *session)
{
    struct chk_watch watch = {.key = SLICE_LIT("g/"),
                              .range_end = SLICE_LIT("g0"),
                              .start = session->start,
                              .is_no_delete = true};
    if (w->is_all) {
        watch.key = SLICE_LIT("\0");
        watch.range_end = SLICE_LIT("\0");
        watch.is_no_delete = false;
        watch.is_prev_kv = true;
    }
    return watch;
}

static struct chk_result feed(const struct watcher *w, const struct response *r,
                              struct chk_watch *watch, const struct chk_changes *changes)
{
    struct chk_watch_event *events = take(r->count, sizeof(*events));
    char(*texts)[TEXT_BYTES] = take(2 * r->count, sizeof(*texts));
    struct chk_watch_response response = {.revision = r->revision,
                                          .is_created = r->is_created,
                                          .is_canceled = r->is_canceled,
                                          .compact_revision = r->compact_revision,
                                          .events = events,
                                          .count = r->count};
    for (size_t i = 0; i < r->count; i++) {
        const struct heard *h = &w->events[r->first + i];
        events[i] = (struct chk_watch_event){
            .is_delete = h->is_delete,
            .key = slice_from_text(h->key),
            .value = h->is_delete ? SLICE_EMPTY : number_text(texts[2 * i], h->value),
            .create_revision = h->create_revision,
            .mod_revision = h->mod_revision,
            .version = h->version,
            .has_prev = h->has_prev,
            .prev_value = number_text(texts[2 * i + 1], h->prev_value),
            .prev_mod_revision = h->prev_mod_revision};
    }
    struct chk_result result = chk_watch_feed(watch, changes, &response);
    free(events);
    free(texts);
    return result;
}

static void judge_session(struct truth *t, const struct watcher *w, size_t number, size_t *asked)
{
    const struct session *session = &w->sessions[number];
    struct load *load = t->load;
    struct chk_watch watch = watch_of(w, session);
    for (size_t i = session->first; i < session->first + session->count; i++) {
        const struct response *r = &w->responses[i];
        while (*asked < load->asked_count && load->asked[*asked].at_us <= r->at_us) {
            t->changes.compact = load->asked[(*asked)++].revision;
        }
        struct chk_result result = feed(w, r, &watch, &t->changes);
        if (result.verdict != CHK_OK) {
            load_violation(load,
                           "watcher %d, watch %zu from %" PRId64
                           ", response %zu of revision %" PRId64
                           " with %zu events: '%s' (change %zd, event %zd)",
                           w->number, number, session->start, i - session->first, r->revision,
                           r->count, result.text, (ssize_t)result.op, (ssize_t)result.other);
            return;
        }
    }
    if (number + 1 == w->sessions_count &&
        chk_watch_end(&watch, &t->changes, t->last).verdict != CHK_OK) {
        load_violation(load, "watcher %d: changes are missing at the end", w->number);
    }
}

static void judge_watcher(struct truth *t, const struct watcher *w)
{
    size_t asked = 0;
    t->changes.compact = 0;
    for (size_t i = 0; i < w->sessions_count; i++) {
        judge_session(t, w, i, &asked);
    }
}

void load_judge(struct load *load, int64_t last_revision)
{
    struct truth t = {.load = load, .last = last_revision};
    t.keys = 1;
    for (size_t i = 0; i < 5; i++) {
        t.keys += family_size(load, i);
    }
    t.sources = take((size_t)last_revision + 1, sizeof(*t.sources));
    t.at_revision = take((size_t)last_revision + 1, sizeof(*t.at_revision));
    t.newest = take(t.keys, sizeof(*t.newest));
    t.op_of = take((size_t)load->next_value + 1, sizeof(*t.op_of));
    for (size_t i = 0; i < t.keys; i++) {
        t.newest[i] = CHK_NONE;
    }
    put_together(&t);
    narrow(&t);
    judge_history(&t);
    for (size_t i = 0; i < load->stales_count; i++) {
        judge_stale(&t, &load->stales[i]);
    }
    for (size_t i = 0; i < load->leases_count; i++) {
        judge_lease(&t, &load->leases[i], i);
    }
    for (int i = 0; i < load->watchers; i++) {
        judge_watcher(&t, &load->watcher[i]);
    }
    for (size_t i = 0; i < IO_GRPC_ENDPOINTS_MAX; i++) {
        if (load->finals[i].revision != 0) {
            judge_final(&t, &load->finals[i], i);
        }
    }
    free(t.sources);
    free(t.at_revision);
    free(t.newest);
    free(t.op_of);
    free(t.texts);
    free(t.changes.items);
}
