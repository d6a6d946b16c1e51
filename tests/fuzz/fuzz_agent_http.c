/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's HTTP answers: any method, path and query, about any valid report and order. A body
 * that claims to be JSON is JSON; nobody is called primary whose deadline has passed. */
#include <jansson.h>

#include "agents/http.h"
#include "proto/wire/agent.h"
#include "tests/fuzz/fuzz.h"

static struct slice line_of(struct slice *in)
{
    size_t len = 0;
    while (len < in->len && in->data[len] != '\n') {
        len++;
    }
    struct slice line = fuzz_bytes(in, len);
    (void)fuzz_u8(in);
    return line;
}

static void check_body(const struct agt_http_answer *answer, const struct buf *body)
{
    struct slice text = buf_slice(body);
    bool is_json = answer->content_type != NULL && strstr(answer->content_type, "json") != NULL &&
                   text.len > 0;
    if (is_json) {
        json_error_t error;
        json_t *value = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, &error);
        BASE_ASSERT(value != NULL);
        json_decref(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[AGT_HTTP_BODY_MAX];
    static struct msg_report report;
    static struct msg_order order;
    static struct agt_disk disk;
    static struct guard_status guard;
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    struct agt_http_request request = {.method =
                                           how % 4 == 0 ? line_of(&in) : slice_from_text("GET"),
                                       .path = line_of(&in),
                                       .query = line_of(&in)};
    struct slice first = fuzz_bytes(&in, fuzz_u8(&in) * 2u);
    memset(&report, 0, sizeof(report));
    memset(&order, 0, sizeof(order));
    bool has_order = wire_order_decode(in, &order) == 0;
    (void)!wire_report_decode(first, &report);
    struct agt_http_snapshot snapshot = {.now = {BASE_US_PER_S},
                                         .report = &report,
                                         .order = has_order ? &order : NULL,
                                         .disk = &disk,
                                         .guard = (how & 16) != 0 ? &guard : NULL,
                                         .is_open = (how & 32) != 0,
                                         .is_answering = (how & 64) != 0,
                                         .order_age_us = -1,
                                         .report_age_us = how};
    struct buf body = buf_over(memory, sizeof(memory));
    struct agt_http_answer answer = agt_http_answer(&snapshot, &request, &body);
    BASE_ASSERT(answer.status >= 200 && answer.status < 600);
    bool is_primary =
        slice_equal(request.path, slice_from_text("/primary")) && answer.status == 200;
    BASE_ASSERT(!is_primary || snapshot.is_open ||
                slice_equal(request.method, slice_from_text("OPTIONS")));
    check_body(&answer, &body);
    return 0;
}
