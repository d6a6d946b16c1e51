/* SPDX-License-Identifier: Apache-2.0 */
/* Reader and writer of the lines of log.h. The sort of a line follows from the fields in it. */
#include "jepsen/check/log.h"

#include "jepsen/check/scan.h"

static const char *const step_words[] = {
#define CHK_STEP_WORD(name, word, shape) word,
    CHK_STEPS(CHK_STEP_WORD)};
static const char *const step_shapes[] = {
#define CHK_STEP_SHAPE(name, word, shape) shape,
    CHK_STEPS(CHK_STEP_SHAPE)};
static const char *const status_words[] = {"invoke", "ok", "fail", "info"};
static const char *const guard_words[] = {"refused", "accepted"};
static const char *const what_words[] = {"off", "on"};

/* --- building --- */

int chk_log_name(struct chk_log *log, struct slice text, uint32_t *ret)
{
    return chk_name(log->names, &log->names_count, log->names_cap, text, ret);
}

int chk_log_add(struct chk_log *log, const struct chk_tx *tx)
{
    if (log->txs_count == log->txs_cap) {
        return BASE_E_NOSPACE;
    }
    log->txs[log->txs_count] = *tx;
    log->txs[log->txs_count].first = (uint32_t)log->steps_count;
    log->txs[log->txs_count++].count = 0;
    return 0;
}

int chk_log_add_step(struct chk_log *log, const struct chk_tx_step *step, const int64_t *list,
                     size_t count)
{
    if (log->txs_count == 0 || log->steps_count == log->steps_cap ||
        count > log->values_cap - log->values_count) {
        return BASE_E_NOSPACE;
    }
    struct chk_tx_step *added = &log->steps[log->steps_count++];
    *added = *step;
    added->first = (uint32_t)log->values_count;
    added->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        log->values[log->values_count++] = list[i];
    }
    log->txs[log->txs_count - 1].count++;
    return 0;
}

bool chk_log_has(const struct chk_log *log, enum chk_step_kind kind)
{
    for (size_t i = 0; i < log->txs_count; i++) {
        const struct chk_tx *tx = &log->txs[i];
        for (uint32_t j = 0; tx->status == CHK_DONE && j < tx->count; j++) {
            if (log->steps[tx->first + j].kind == kind) {
                return true;
            }
        }
    }
    return false;
}

/* --- reader --- */

/* clang-format off */
#define FIELDS(X) \
    X(PROCESS, "process") X(TYPE, "type") X(CALL, "call") X(RETURN, "return") X(TXN, "txn") \
    X(PROBER, "prober") X(ROLE, "role") X(EPOCH, "epoch") X(TIMELINE, "timeline") \
    X(TOKEN, "token") X(WRITABLE, "writable") X(AT, "at") X(KIND, "kind") \
    X(TARGET, "target") X(WHAT, "what") X(BIT, "bit") X(EVENT, "event")
/* clang-format on */
enum field {
#define FIELD_ENUM(name, word) FIELD_##name,
    FIELDS(FIELD_ENUM) FIELDS_COUNT
};
static const char *const field_words[] = {
#define FIELD_WORD(name, word) word,
    FIELDS(FIELD_WORD)};

struct reader {
    struct chk_log *log;
    struct chk_scan s;
    unsigned seen; /* bits of enum field */
    int64_t number[FIELDS_COUNT];
    uint32_t steps_from, values_from;
};

static bool has(const struct reader *r, enum field field)
{
    return (r->seen >> field & 1) != 0;
}

/* A name is a text or a number, which counts as its decimal text. */
static int take_name(struct reader *r, uint32_t *ret)
{
    struct slice text;
    uint8_t room[24];
    struct chk_scan before = r->s;
    int64_t number = 0;
    int rc = chk_scan_integer(&r->s, &number);
    if (rc == 0) {
        struct buf b = buf_over(room, sizeof(room));
        buf_put_int(&b, number);
        text = buf_slice(&b);
    } else {
        r->s = before;
        rc = chk_scan_text(&r->s, &text);
    }
    if (rc == 0) {
        rc = chk_log_name(r->log, text, ret);
        r->s.why = rc == 0                ? r->s.why
                   : rc == BASE_E_NOSPACE ? "too many names"
                                          : "name empty or longer than 63";
    }
    return rc;
}

static int take_list_number(void *ctx)
{
    struct reader *r = ctx;
    if (r->log->values_count == r->log->values_cap) {
        r->s.why = "too many numbers in lists";
        return BASE_E_NOSPACE;
    }
    int rc = chk_scan_integer(&r->s, &r->log->values[r->log->values_count]);
    r->log->values_count += rc == 0;
    return rc;
}

static int take_list(struct reader *r, struct chk_tx_step *step)
{
    step->first = (uint32_t)r->log->values_count;
    if (chk_scan_bare(&r->s, "null")) {
        return 0;
    }
    step->is_known = true;
    int rc = chk_scan_array(&r->s, take_list_number, r);
    step->count = (uint32_t)r->log->values_count - step->first;
    return rc;
}

static int take_argument(struct reader *r, char shape, struct chk_tx_step *step)
{
    size_t word = 0;
    int rc = 0;
    switch (shape) {
    case 't':
        return take_name(r, &step->name);
    case 'n':
        return take_name(r, &step->other);
    case 'v':
        return chk_scan_bare(&r->s, "null") ? 0 : chk_scan_integer(&r->s, &step->value);
    case 'm':
        return chk_scan_integer(&r->s, &step->number);
    case 'w':
        rc = chk_scan_word(&r->s, guard_words, BASE_COUNT_OF(guard_words), &word);
        step->is_accepted = word == 1;
        return rc;
    default:
        return take_list(r, step);
    }
}

static int take_step(void *ctx)
{
    struct reader *r = ctx;
    struct chk_tx_step step = {.kind = CHK_APPEND};
    size_t kind = 0;
    int rc = chk_scan_need(&r->s, '[');
    if (rc == 0) {
        rc = chk_scan_word(&r->s, step_words, BASE_COUNT_OF(step_words), &kind);
    }
    const char *shape = step_shapes[kind];
    for (size_t i = 0; rc == 0 && shape[i] != 0; i++) {
        rc = chk_scan_need(&r->s, ',');
        rc = rc == 0 ? take_argument(r, shape[i], &step) : rc;
    }
    rc = rc == 0 ? chk_scan_need(&r->s, ']') : rc;
    if (rc == 0 && r->log->steps_count == r->log->steps_cap) {
        r->s.why = "too many steps";
        rc = BASE_E_NOSPACE;
    }
    if (rc == 0) {
        step.kind = (enum chk_step_kind)kind;
        r->log->steps[r->log->steps_count++] = step;
    }
    return rc;
}

static int take_value(struct reader *r, enum field field)
{
    uint32_t name = 0;
    size_t word = 0;
    int rc = 0;
    switch (field) {
    case FIELD_TYPE:
        rc = chk_scan_word(&r->s, status_words, BASE_COUNT_OF(status_words), &word);
        break;
    case FIELD_WHAT:
        rc = chk_scan_word(&r->s, what_words, BASE_COUNT_OF(what_words), &word);
        break;
    case FIELD_PROBER:
    case FIELD_ROLE:
    case FIELD_KIND:
    case FIELD_TARGET:
    case FIELD_EVENT:
        rc = take_name(r, &name);
        word = name;
        break;
    case FIELD_TXN:
        return chk_scan_array(&r->s, take_step, r);
    case FIELD_CALL:
    case FIELD_RETURN:
    case FIELD_AT:
        return chk_scan_time(&r->s, &r->number[field]);
    case FIELD_PROCESS:
    case FIELD_EPOCH:
    case FIELD_TIMELINE:
    case FIELD_TOKEN:
    case FIELD_WRITABLE:
    case FIELD_BIT:
    case FIELDS_COUNT:
    default:
        return chk_scan_integer(&r->s, &r->number[field]);
    }
    r->number[field] = (int64_t)word;
    return rc;
}

static int take_field(struct reader *r)
{
    struct slice word;
    int rc = chk_scan_text(&r->s, &word);
    if (rc != 0) {
        return rc;
    }
    size_t field = 0;
    while (field < FIELDS_COUNT && !slice_equal(word, slice_from_text(field_words[field]))) {
        field++;
    }
    rc = chk_scan_need(&r->s, ':');
    if (rc != 0) {
        return rc;
    }
    if (field == FIELDS_COUNT) {
        return chk_scan_skip(&r->s); /* somebody's remark */
    }
    if (has(r, (enum field)field)) {
        return chk_scan_bad(&r->s, "field twice");
    }
    if (field != FIELD_TXN && chk_scan_bare(&r->s, "null")) {
        return 0;
    }
    r->seen |= 1u << field;
    return take_value(r, (enum field)field);
}

/* Type and times, which transactions and probes have alike. */
static int check_times(struct reader *r)
{
    if (!has(r, FIELD_TYPE) || !has(r, FIELD_CALL)) {
        return chk_scan_bad(&r->s, "type and call are needed");
    }
    bool is_done = r->number[FIELD_TYPE] == CHK_DONE;
    bool is_back = has(r, FIELD_RETURN) && r->number[FIELD_RETURN] < r->number[FIELD_CALL];
    if ((is_done && !has(r, FIELD_RETURN)) || is_back) {
        return chk_scan_bad(&r->s, "ok needs a return, and none lies before its call");
    }
    return 0;
}

/* The open invocation of a process; NULL when there is none. */
static struct chk_tx *find_invoked(struct chk_log *log, uint32_t process)
{
    for (size_t i = log->open > 0 ? log->txs_count : 0; i-- > 0;) {
        if (log->txs[i].process == process) {
            return log->txs[i].status == CHK_INVOKED ? &log->txs[i] : NULL;
        }
    }
    return NULL;
}

static int store_tx(struct reader *r)
{
    int rc = check_times(r);
    bool is_fit = has(r, FIELD_PROCESS) && r->number[FIELD_PROCESS] >= 0 &&
                  r->number[FIELD_PROCESS] <= UINT32_MAX && r->log->steps_count > r->steps_from;
    if (rc != 0 || !is_fit) {
        return rc != 0 ? rc : chk_scan_bad(&r->s, "a process and at least one step are needed");
    }
    enum chk_status status = (enum chk_status)r->number[FIELD_TYPE];
    bool is_over = status == CHK_DONE || (status == CHK_FAILED && has(r, FIELD_RETURN));
    struct chk_tx tx = {.process = (uint32_t)r->number[FIELD_PROCESS],
                        .status = status,
                        .call_us = r->number[FIELD_CALL],
                        .return_us = is_over ? r->number[FIELD_RETURN] : CHK_NO_RETURN,
                        .first = r->steps_from,
                        .count = (uint32_t)r->log->steps_count - r->steps_from};
    struct chk_tx *invoked = find_invoked(r->log, tx.process);
    if (invoked != NULL && (status == CHK_INVOKED || invoked->call_us != tx.call_us)) {
        r->s.why = "the process has another transaction under way";
        return BASE_E_STATE;
    }
    if (invoked != NULL) {
        *invoked = tx;
        r->log->open--;
        return 0;
    }
    if (r->log->txs_count == r->log->txs_cap) {
        r->s.why = "too many transactions";
        return BASE_E_NOSPACE;
    }
    r->log->txs[r->log->txs_count++] = tx;
    r->log->open += status == CHK_INVOKED;
    return 0;
}

static int store_probe(struct reader *r)
{
    int rc = check_times(r);
    if (rc != 0) {
        return rc;
    }
    if (r->log->probes_count == r->log->probes_cap) {
        r->s.why = "too many probes";
        return BASE_E_NOSPACE;
    }
    enum chk_status status = (enum chk_status)r->number[FIELD_TYPE];
    bool is_writable = has(r, FIELD_WRITABLE) ? r->number[FIELD_WRITABLE] != 0 : status == CHK_DONE;
    r->log->probes[r->log->probes_count++] = (struct chk_probe){
        .host = (uint32_t)r->number[FIELD_PROBER],
        .role = has(r, FIELD_ROLE) ? (uint32_t)r->number[FIELD_ROLE] : CHK_NO_NAME,
        .status = status,
        .is_writable = is_writable,
        .call_us = r->number[FIELD_CALL],
        .return_us = has(r, FIELD_RETURN) ? r->number[FIELD_RETURN] : CHK_NO_RETURN,
        .epoch = r->number[FIELD_EPOCH],
        .timeline = r->number[FIELD_TIMELINE],
        .token = r->number[FIELD_TOKEN]};
    return 0;
}

static int store_fault(struct reader *r)
{
    if (!has(r, FIELD_AT) || !has(r, FIELD_KIND)) {
        return chk_scan_bad(&r->s, "a fault needs at, kind and what");
    }
    if (r->log->faults_count == r->log->faults_cap) {
        r->s.why = "too many faults";
        return BASE_E_NOSPACE;
    }
    r->log->faults[r->log->faults_count++] = (struct chk_fault){
        .at_us = r->number[FIELD_AT],
        .kind = (uint32_t)r->number[FIELD_KIND],
        .target = has(r, FIELD_TARGET) ? (uint32_t)r->number[FIELD_TARGET] : CHK_NO_NAME,
        .is_on = r->number[FIELD_WHAT] == 1,
        .bit = r->number[FIELD_BIT]};
    return 0;
}

static int store_mark(struct reader *r)
{
    if (!has(r, FIELD_AT)) {
        return chk_scan_bad(&r->s, "an event needs at");
    }
    if (r->log->marks_count == r->log->marks_cap) {
        r->s.why = "too many events";
        return BASE_E_NOSPACE;
    }
    r->log->marks[r->log->marks_count++] =
        (struct chk_mark){.at_us = r->number[FIELD_AT], .name = (uint32_t)r->number[FIELD_EVENT]};
    return 0;
}

static int store(struct reader *r)
{
    if (has(r, FIELD_TXN)) {
        return store_tx(r);
    }
    if (has(r, FIELD_PROBER)) {
        return store_probe(r);
    }
    if (has(r, FIELD_WHAT)) {
        return store_fault(r);
    }
    return has(r, FIELD_EVENT) ? store_mark(r)
                               : chk_scan_bad(&r->s, "neither txn, prober, what nor event");
}

int chk_log_read_line(struct chk_log *log, struct slice line, const char **ret_why)
{
    struct reader r = {.log = log,
                       .s = {line, "malformed"},
                       .steps_from = (uint32_t)log->steps_count,
                       .values_from = (uint32_t)log->values_count};
    int rc = chk_scan_need(&r.s, '{');
    while (rc == 0) {
        rc = take_field(&r);
        if (rc == 0 && !chk_scan_char(&r.s, ',')) {
            break;
        }
    }
    rc = rc == 0 ? chk_scan_need(&r.s, '}') : rc;
    rc = rc == 0 ? chk_scan_end(&r.s) : rc;
    rc = rc == 0 ? store(&r) : rc;
    if (rc != 0) {
        *ret_why = r.s.why;
        log->steps_count = r.steps_from;
        log->values_count = r.values_from;
    }
    return rc;
}

int chk_log_read(struct chk_log *log, struct slice text, size_t *ret_line, const char **ret_why)
{
    size_t number = 0;
    for (struct slice line; chk_scan_line(&text, &line);) {
        number++;
        int rc = line.len > 0 ? chk_log_read_line(log, line, ret_why) : 0;
        if (rc != 0) {
            *ret_line = number;
            return rc;
        }
    }
    return 0;
}

/* --- writer --- */

static void put_text(struct buf *out, const char *text)
{
    buf_put_text(out, "\"");
    buf_put_text(out, text);
    buf_put_text(out, "\"");
}

static void put_list(struct buf *out, const struct chk_log *log, const struct chk_tx_step *step)
{
    if (!step->is_known) {
        buf_put_text(out, "null");
        return;
    }
    buf_put_text(out, "[");
    for (uint32_t i = 0; i < step->count; i++) {
        buf_put_text(out, i > 0 ? "," : "");
        buf_put_int(out, log->values[step->first + i]);
    }
    buf_put_text(out, "]");
}

void chk_log_write_step(struct buf *out, const struct chk_log *log, const struct chk_tx_step *step)
{
    buf_put_text(out, "[");
    put_text(out, step_words[step->kind]);
    for (const char *shape = step_shapes[step->kind]; *shape != 0; shape++) {
        buf_put_text(out, ",");
        switch (*shape) {
        case 't':
            put_text(out, log->names[step->name].text);
            break;
        case 'n':
            put_text(out, log->names[step->other].text);
            break;
        case 'v':
            buf_put_int(out, step->value);
            break;
        case 'm':
            buf_put_int(out, step->number);
            break;
        case 'w':
            put_text(out, guard_words[step->is_accepted]);
            break;
        default:
            put_list(out, log, step);
            break;
        }
    }
    buf_put_text(out, "]");
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    buf_put_text(out, ",\"");
    buf_put_text(out, name);
    buf_put_text(out, "\":");
    buf_put_int(out, value);
}

static void put_times(struct buf *out, enum chk_status status, int64_t call_us, int64_t return_us)
{
    buf_put_text(out, ",\"type\":");
    put_text(out, status_words[status]);
    put_number(out, "call", call_us);
    if (return_us != CHK_NO_RETURN) {
        put_number(out, "return", return_us);
    }
}

void chk_log_write(struct buf *out, const struct chk_log *log, const struct chk_tx *tx)
{
    buf_put_text(out, "{\"process\":");
    buf_put_dec(out, tx->process);
    put_times(out, tx->status, tx->call_us, tx->return_us);
    buf_put_text(out, ",\"txn\":[");
    for (uint32_t i = 0; i < tx->count; i++) {
        buf_put_text(out, i > 0 ? "," : "");
        chk_log_write_step(out, log, &log->steps[tx->first + i]);
    }
    buf_put_text(out, "]}\n");
}

void chk_log_write_probe(struct buf *out, const struct chk_log *log, const struct chk_probe *probe)
{
    buf_put_text(out, "{\"prober\":");
    put_text(out, log->names[probe->host].text);
    put_times(out, probe->status, probe->call_us, probe->return_us);
    if (probe->role != CHK_NO_NAME) {
        buf_put_text(out, ",\"role\":");
        put_text(out, log->names[probe->role].text);
    }
    put_number(out, "epoch", probe->epoch);
    put_number(out, "timeline", probe->timeline);
    put_number(out, "token", probe->token);
    put_number(out, "writable", probe->is_writable);
    buf_put_text(out, "}\n");
}
