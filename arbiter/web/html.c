/* SPDX-License-Identifier: Apache-2.0 */
/* Writing HTML; see html.h. */
#include "arbiter/web/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/types.h"

#define SECONDS_PER_DAY 86400

static void put(struct web_out *out, struct slice piece)
{
    if (!out->is_failed && io_bytes_append(&out->bytes, piece) != 0) {
        out->is_failed = true;
    }
}

void web_raw(struct web_out *out, const char *markup)
{
    put(out, slice_from_text(markup));
}

static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)c < ' ' || (unsigned char)c == 0x7f ? " " : NULL;
    }
}

void web_text(struct web_out *out, const char *text)
{
    const char *begin = text;
    for (; *text != '\0'; text++) {
        const char *entity = entity_of(*text);
        if (entity != NULL) {
            put(out, slice_from(begin, (size_t)(text - begin)));
            put(out, slice_from_text(entity));
            begin = text + 1;
        }
    }
    put(out, slice_from(begin, (size_t)(text - begin)));
}

void web_textf(struct web_out *out, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    web_text(out, text);
}

void web_attribute(struct web_out *out, const char *name, const char *value)
{
    web_raw(out, " ");
    web_raw(out, name);
    web_raw(out, "=\"");
    web_text(out, value);
    web_raw(out, "\"");
}

void web_number(struct web_out *out, const char *name, int64_t value)
{
    char text[WEB_CELL_MAX];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    web_attribute(out, name, text);
}

void web_out_free(struct web_out *out)
{
    io_bytes_free(&out->bytes);
    out->is_failed = false;
}

const char *web_level_name(enum web_level level)
{
    static const char *const names[] = {"good", "watch", "bad", "idle"};
    return names[level];
}

void web_mark(struct web_out *out, enum web_level level)
{
    static const char *const shapes[] = {
        "<circle cx=\"8\" cy=\"8\" r=\"7\"/><path d=\"M4.5 8.2 7 10.8 11.5 5.4\"/>",
        "<path class=\"edge\" d=\"M8 1 15.5 14.5H.5Z\"/><path d=\"M8 6v4.2M8 12v.6\"/>",
        "<rect x=\"1\" y=\"1\" width=\"14\" height=\"14\"/><path d=\"M5 5l6 6M11 5l-6 6\"/>",
        "<circle cx=\"8\" cy=\"8\" r=\"6\"/>",
    };
    web_raw(out, "<svg class=\"mark ");
    web_raw(out, web_level_name(level));
    web_raw(out, "\" viewBox=\"0 0 16 16\" aria-hidden=\"true\" focusable=\"false\">");
    web_raw(out, shapes[level]);
    web_raw(out, "</svg>");
}

const char *web_age(int64_t since_us, int64_t now_us, char memory[WEB_CELL_MAX])
{
    int64_t seconds = (now_us - since_us) / BASE_US_PER_S;
    if (since_us == 0 || seconds < 0) {
        return "-";
    }
    if (seconds >= SECONDS_PER_DAY) {
        (void)snprintf(memory, WEB_CELL_MAX, "%" PRId64 " d %02" PRId64 ":%02" PRId64,
                       seconds / SECONDS_PER_DAY, seconds / 3600 % 24, seconds / 60 % 60);
    } else if (seconds >= 3600) {
        (void)snprintf(memory, WEB_CELL_MAX, "%" PRId64 " h %02" PRId64 " min", seconds / 3600,
                       seconds / 60 % 60);
    } else if (seconds >= 60) {
        (void)snprintf(memory, WEB_CELL_MAX, "%" PRId64 " min", seconds / 60);
    } else {
        (void)snprintf(memory, WEB_CELL_MAX, "%" PRId64 " s", seconds);
    }
    return memory;
}

const char *web_bytes(uint64_t bytes, char memory[WEB_CELL_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < BASE_COUNT_OF(units) && (unit < 2 || bytes >= 10240)) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(memory, WEB_CELL_MAX, "%" PRIu64 " %s", bytes, units[unit]);
    return memory;
}

void web_time(struct web_out *out, int64_t wall_us)
{
    char text[WEB_CELL_MAX];
    char machine[WEB_CELL_MAX];
    time_t seconds = (time_t)(wall_us / BASE_US_PER_S);
    struct tm parts;
    if (wall_us <= 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts) == 0 ||
        strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        web_raw(out, "-");
        return;
    }
    web_raw(out, "<time");
    web_attribute(out, "datetime", machine);
    web_raw(out, ">");
    web_text(out, text);
    web_raw(out, "</time>");
}
