/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses what a picture shows: the time around those concerned, their lanes first, the faults of
 * that time. One that is kept for long (a lock, a lost write) makes the stretch long; then those
 * far from all concerned are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "jepsen/check/picture.h"
#include "jepsen/check/sort.h"
#include "jepsen/tools/judge.h"

#define LANES_MAX 24u
#define BARS_MAX 600u
#define BANDS_MAX 64u
#define LABEL_BYTES 160
#define OUT_BYTES ((size_t)4 << 20)
#define PAD_MIN_US 5000

struct view {
    const struct judge_options *options;
    const struct judge_input *input;
    const struct chk_report *report;
    struct chk_picture picture;
    struct slice lanes[LANES_MAX];
    uint32_t lane_ids[LANES_MAX]; /* process or name of a host */
    char lane_texts[LANES_MAX][24];
    struct chk_bar bars[BARS_MAX];
    char labels[BARS_MAX][LABEL_BYTES];
    struct chk_band bands[BANDS_MAX];
    char band_labels[BANDS_MAX][2 * CHK_KEY_MAX + 4];
    char title[200];
};

/* One record, whatever it comes from. */
struct item {
    uint32_t who;
    int64_t call_us, return_us;
    enum chk_status status;
};

enum source { FROM_HISTORY, FROM_LOG, FROM_PROBES };

static enum source source_of(const struct view *v)
{
    if (strcmp(v->options->kind, "prober") == 0) {
        return FROM_PROBES;
    }
    return strcmp(v->options->kind, "register") == 0 ? FROM_HISTORY : FROM_LOG;
}

static size_t items_count(const struct view *v)
{
    const size_t counts[] = {v->input->history.count, v->input->log.txs_count,
                             v->input->log.probes_count};
    return counts[source_of(v)];
}

static struct item item_at(const struct view *v, size_t index)
{
    if (source_of(v) == FROM_HISTORY) {
        const struct chk_op *op = &v->input->history.ops[index];
        return (struct item){op->process, op->call_us, op->return_us, op->status};
    }
    if (source_of(v) == FROM_LOG) {
        const struct chk_tx *tx = &v->input->log.txs[index];
        return (struct item){tx->process, tx->call_us, tx->return_us, tx->status};
    }
    const struct chk_probe *probe = &v->input->log.probes[index];
    return (struct item){probe->host, probe->call_us, probe->return_us, probe->status};
}

/* --- labels --- */

void judge_put_operation(struct buf *out, const struct chk_history *h, const struct chk_op *op)
{
    static const char *const words[] = {"get ", "put ", "del "};
    if (op->has_compare) {
        buf_put_text(out, "if ");
        buf_put_text(out, h->keys[op->compare_key].text);
        buf_put_text(out, " is ");
        buf_put_int(out, op->compare_value);
        buf_put_text(out, op->is_applied ? ": " : " (it was not): ");
    }
    for (size_t i = 0; i < op->parts_count; i++) {
        const struct chk_part *part = &op->parts[i];
        buf_put_text(out, i > 0 ? ", " : "");
        buf_put_text(out, words[part->kind]);
        buf_put_text(out, h->keys[part->key].text);
        buf_put_text(out, part->kind == CHK_WRITE ? " = " : " saw ");
        buf_put_int(out, part->value);
    }
    if (op->revision != 0) {
        buf_put_text(out, " @");
        buf_put_dec(out, op->revision);
    }
}

static void put_probe(struct buf *out, const struct chk_probe *probe)
{
    buf_put_text(out, probe->is_writable ? "accepted, epoch " : "refused, epoch ");
    buf_put_int(out, probe->epoch);
    buf_put_text(out, " timeline ");
    buf_put_int(out, probe->timeline);
    buf_put_text(out, " token ");
    buf_put_int(out, probe->token);
}

static struct slice label_of(const struct view *v, size_t index, char room[LABEL_BYTES])
{
    struct buf out = buf_over(room, LABEL_BYTES);
    const struct chk_log *log = &v->input->log;
    if (source_of(v) == FROM_HISTORY) {
        judge_put_operation(&out, &v->input->history, &v->input->history.ops[index]);
    } else if (source_of(v) == FROM_PROBES) {
        put_probe(&out, &log->probes[index]);
    } else {
        const struct chk_tx *tx = &log->txs[index];
        for (uint32_t i = 0; i < tx->count && out.cap - out.len > 40; i++) {
            struct chk_tx_step step = log->steps[tx->first + i];
            uint32_t shown = step.count < 8 ? step.count : 8;
            step.first += step.count - shown;
            step.count = shown;
            chk_log_write_step(&out, log, &step);
        }
    }
    return buf_slice(&out);
}

/* --- choice --- */

static const char *role_of(const struct view *v, size_t index)
{
    for (size_t i = 0; i < v->report->hits_count; i++) {
        if (v->report->hits[i].index == index) {
            return v->report->hits[i].role;
        }
    }
    return NULL;
}

static void choose_time(struct view *v)
{
    int64_t from_us = INT64_MAX, to_us = INT64_MIN;
    for (size_t i = 0; i < v->report->hits_count; i++) {
        if (v->report->hits[i].index >= items_count(v)) {
            continue;
        }
        struct item item = item_at(v, v->report->hits[i].index);
        int64_t end_us = item.return_us == CHK_NO_RETURN ? item.call_us : item.return_us;
        from_us = item.call_us < from_us ? item.call_us : from_us;
        to_us = end_us > to_us ? end_us : to_us;
    }
    if (from_us > to_us) { /* nobody in particular: the beginning */
        from_us = to_us = items_count(v) > 0 ? item_at(v, 0).call_us : 0;
    }
    int64_t pad_us = (to_us - from_us) / 4 > PAD_MIN_US ? (to_us - from_us) / 4 : PAD_MIN_US;
    if (to_us - from_us < PAD_MIN_US / 10) {
        pad_us = to_us - from_us + 1; /* histories of tests count in single microseconds */
    }
    v->picture.from_us = from_us - pad_us;
    v->picture.to_us = to_us + pad_us;
}

/* Lane of a client or host, made when there is room; LANES_MAX none. */
static uint32_t lane_of(struct view *v, uint32_t who)
{
    size_t count = v->picture.lanes_count;
    for (uint32_t i = 0; i < count; i++) {
        if (v->lane_ids[i] == who) {
            return i;
        }
    }
    if (count == LANES_MAX) {
        return LANES_MAX;
    }
    v->lane_ids[count] = who;
    if (source_of(v) == FROM_PROBES) {
        v->lanes[count] = slice_from_text(v->input->log.names[who].text);
    } else {
        (void)snprintf(v->lane_texts[count], sizeof(v->lane_texts[count]), "process %u", who);
        v->lanes[count] = slice_from_text(v->lane_texts[count]);
    }
    return (uint32_t)v->picture.lanes_count++;
}

static void add_bar(struct view *v, size_t index, bool only_concerned)
{
    struct item item = item_at(v, index);
    const char *role = role_of(v, index);
    bool is_inside = item.call_us <= v->picture.to_us &&
                     (item.return_us == CHK_NO_RETURN || item.return_us >= v->picture.from_us);
    if (!is_inside || (role != NULL) != only_concerned || v->picture.bars_count == BARS_MAX) {
        return;
    }
    uint32_t lane = lane_of(v, item.who);
    if (lane == LANES_MAX) {
        return;
    }
    size_t at = v->picture.bars_count++;
    v->bars[at] = (struct chk_bar){.lane = lane,
                                   .from_us = item.call_us,
                                   .to_us = item.return_us,
                                   .status = item.status,
                                   .role = role,
                                   .label = label_of(v, index, v->labels[at])};
}

static void add_bands(struct view *v)
{
    const struct chk_log *log = &v->input->log;
    for (size_t i = 0; i < log->faults_count && v->picture.bands_count < BANDS_MAX; i++) {
        const struct chk_fault *on = &log->faults[i];
        int64_t end_us = v->picture.to_us;
        for (size_t j = 0; j < log->faults_count; j++) {
            const struct chk_fault *off = &log->faults[j];
            bool is_end = !off->is_on && off->kind == on->kind && off->target == on->target &&
                          off->at_us >= on->at_us && off->at_us < end_us;
            end_us = is_end ? off->at_us : end_us;
        }
        if (!on->is_on || end_us < v->picture.from_us || on->at_us > v->picture.to_us) {
            continue;
        }
        size_t at = v->picture.bands_count++;
        (void)snprintf(v->band_labels[at], sizeof(v->band_labels[at]), "%s %s",
                       log->names[on->kind].text,
                       on->target == CHK_NO_NAME ? "" : log->names[on->target].text);
        v->bands[at] = (struct chk_band){on->at_us, end_us, slice_from_text(v->band_labels[at])};
    }
}

static bool bar_before(const void *list, size_t a, size_t b)
{
    const struct chk_bar *bars = list;
    return bars[a].from_us < bars[b].from_us;
}

static void bar_swap(void *list, size_t a, size_t b)
{
    struct chk_bar *bars = list, kept = bars[a];
    bars[a] = bars[b];
    bars[b] = kept;
}

static void fill(struct view *v)
{
    choose_time(v);
    for (int concerned = 1; concerned >= 0; concerned--) {
        for (size_t i = 0; i < items_count(v); i++) {
            add_bar(v, i, concerned == 1);
        }
    }
    add_bands(v);
    chk_heap_sort(v->bars, v->picture.bars_count, bar_before, bar_swap);
    (void)snprintf(v->title, sizeof(v->title), "%s: %s", v->options->kind, v->report->rule);
    v->picture.title = v->title;
    v->picture.findings = buf_slice(&v->report->text);
    v->picture.lanes = v->lanes;
    v->picture.bars = v->bars;
    v->picture.bands = v->bands;
}

static int write_file(const char *path, const struct buf *out)
{
    FILE *file = fopen(path, "wb");
    bool is_written = file != NULL && fwrite(out->data, 1, out->len, file) == out->len;
    if (file != NULL && fclose(file) != 0) {
        is_written = false;
    }
    if (!is_written) {
        (void)fprintf(stderr, "jepsen-check: %s: cannot be written\n", path);
    }
    return is_written ? 0 : BASE_E_IO;
}

int judge_picture(const struct judge_options *options, const struct judge_input *input,
                  const struct chk_report *report)
{
    struct view *view = calloc(1, sizeof(*view));
    void *room = malloc(OUT_BYTES);
    int rc = view == NULL || room == NULL ? BASE_E_NOMEM : 0;
    if (rc == 0) {
        *view = (struct view){.options = options, .input = input, .report = report};
        fill(view);
        struct buf out = buf_over(room, OUT_BYTES);
        chk_picture_svg(&out, &view->picture);
        rc = options->svg != NULL ? write_file(options->svg, &out) : 0;
        buf_reset(&out);
        chk_picture_text(&out, &view->picture);
        if (rc == 0 && options->picture != NULL) {
            rc = write_file(options->picture, &out);
        }
    }
    free(view);
    free(room);
    return rc;
}
