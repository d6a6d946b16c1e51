/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text; see metric.h. */
#include "base/metric.h"

#define US_PER_S 1000000u

void base_metric_head(struct buf *b, const char *type, const char *name, const char *help)
{
    buf_put_text(b, "# HELP ");
    buf_put_text(b, name);
    buf_put_u8(b, ' ');
    buf_put_text(b, help);
    buf_put_text(b, "\n# TYPE ");
    buf_put_text(b, name);
    buf_put_u8(b, ' ');
    buf_put_text(b, type);
    buf_put_u8(b, '\n');
}

/* Backslash, quote and line feed are escaped in label values. */
static void put_value(struct buf *b, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            buf_put_text(b, "\\n");
            continue;
        }
        if (*value == '"' || *value == '\\') {
            buf_put_u8(b, '\\');
        }
        buf_put_u8(b, (uint8_t)*value);
    }
}

void base_metric_name(struct buf *b, const char *name, const char *suffix,
                      const struct base_metric_label *labels)
{
    buf_put_text(b, name);
    buf_put_text(b, suffix);
    for (const struct base_metric_label *l = labels; l != NULL && l->name != NULL; l++) {
        buf_put_u8(b, l == labels ? '{' : ',');
        buf_put_text(b, l->name);
        buf_put_text(b, "=\"");
        put_value(b, l->value);
        buf_put_u8(b, '"');
    }
    buf_put_text(b, labels != NULL && labels->name != NULL ? "} " : " ");
}

void base_metric_u64(struct buf *b, uint64_t value)
{
    buf_put_dec(b, value);
    buf_put_u8(b, '\n');
}

void base_metric_seconds(struct buf *b, uint64_t us)
{
    uint64_t fraction = us % US_PER_S;
    buf_put_dec(b, us / US_PER_S);
    buf_put_u8(b, '.');
    for (uint64_t scale = US_PER_S / 10; scale > 0; scale /= 10) {
        buf_put_u8(b, (uint8_t)('0' + fraction / scale % 10));
    }
    buf_put_u8(b, '\n');
}
