/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing of histories; see picture.h. Coordinates are whole pixels. */
#include "jepsen/check/picture.h"

#include "jepsen/check/scan.h"

#define LEFT 120
#define RIGHT 20
#define WIDTH 1400
#define TOP 70
#define LANE 40
#define BAR 18
#define LINE 18
#define TICKS 10
#define LINES_MAX 60u

/* --- pieces of text --- */

static void put_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            buf_put_text(out, "&amp;");
            break;
        case '<':
            buf_put_text(out, "&lt;");
            break;
        case '>':
            buf_put_text(out, "&gt;");
            break;
        case '"':
            buf_put_text(out, "&quot;");
            break;
        default:
            buf_put_u8(out, text.data[i] < 0x20 ? ' ' : text.data[i]);
            break;
        }
    }
}

/* Microseconds as milliseconds, "12.345". */
static void put_ms(struct buf *out, int64_t us)
{
    uint64_t size = us < 0 ? (uint64_t)-us : (uint64_t)us;
    buf_put_text(out, us < 0 ? "-" : "");
    buf_put_dec(out, size / 1000);
    buf_put_text(out, ".");
    uint8_t digits[3] = {(uint8_t)('0' + size / 100 % 10), (uint8_t)('0' + size / 10 % 10),
                         (uint8_t)('0' + size % 10)};
    buf_put(out, slice_from(digits, sizeof(digits)));
}

static void put_attribute(struct buf *out, const char *name, int64_t value)
{
    buf_put_text(out, " ");
    buf_put_text(out, name);
    buf_put_text(out, "=\"");
    buf_put_int(out, value);
    buf_put_text(out, "\"");
}

static void put_rect(struct buf *out, const char *class_, const int64_t box[4])
{
    buf_put_text(out, "<rect class=\"");
    buf_put_text(out, class_);
    buf_put_text(out, "\"");
    put_attribute(out, "x", box[0]);
    put_attribute(out, "y", box[1]);
    put_attribute(out, "width", box[2]);
    put_attribute(out, "height", box[3]);
    buf_put_text(out, ">");
}

static void begin_text(struct buf *out, const char *class_, int64_t x, int64_t y)
{
    buf_put_text(out, "<text class=\"");
    buf_put_text(out, class_);
    buf_put_text(out, "\"");
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    buf_put_text(out, ">");
}

static void put_words(struct buf *out, const char *class_, int64_t x, int64_t y, struct slice words)
{
    begin_text(out, class_, x, y);
    put_escaped(out, words);
    buf_put_text(out, "</text>\n");
}

/* --- SVG --- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int64_t x_of(const struct chk_picture *p, int64_t us)
{
    int64_t span = p->to_us > p->from_us ? p->to_us - p->from_us : 1;
    int64_t at = clamp(us, p->from_us, p->to_us) - p->from_us;
    return LEFT + (int64_t)((double)at * (WIDTH - LEFT - RIGHT) / (double)span);
}

static int64_t lanes_end(const struct chk_picture *p)
{
    return TOP + (int64_t)p->lanes_count * LANE;
}

static size_t concerned(const struct chk_picture *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->bars_count; i++) {
        count += p->bars[i].role != NULL;
    }
    return count;
}

static size_t lines_of(struct slice text)
{
    size_t count = 0;
    for (struct slice line; chk_scan_line(&text, &line);) {
        count++;
    }
    return count < LINES_MAX ? count : LINES_MAX;
}

static void put_head(struct buf *out, const struct chk_picture *p)
{
    int64_t height =
        lanes_end(p) + LINE * (int64_t)(concerned(p) + lines_of(p->findings) + 3) + LINE;
    buf_put_text(out, "<svg xmlns=\"http://www.w3.org/2000/svg\"");
    put_attribute(out, "width", WIDTH);
    put_attribute(out, "height", height);
    buf_put_text(out, ">\n<style>"
                      "text{font:12px sans-serif;fill:#222}"
                      ".title{font-size:16px;font-weight:bold}.small{font-size:10px;fill:#666}"
                      ".mono{font-family:monospace;font-size:11px}"
                      ".paper{fill:#fff}.odd{fill:#f4f6f8}.band{fill:#d9534f;fill-opacity:.12}"
                      ".tick{stroke:#ccc}.ok{fill:#9cc5a1}.fail{fill:#c9c9c9}.info{fill:#ecd48f}"
                      ".hit{stroke:#b3261e;stroke-width:3}"
                      ".number{font-weight:bold;fill:#b3261e}"
                      "</style>\n");
    put_rect(out, "paper", (int64_t[4]){0, 0, WIDTH, height});
    buf_put_text(out, "</rect>\n");
    put_words(out, "title", 10, 22, slice_from_text(p->title));
    begin_text(out, "small", 10, 40);
    buf_put_text(out, "milliseconds from ");
    buf_put_int(out, p->from_us);
    buf_put_text(out, " us; green: known, yellow: nobody knows, grey: surely without effect, red "
                      "frame: concerned; red bands: faults</text>\n");
}

static void put_lanes(struct buf *out, const struct chk_picture *p)
{
    for (size_t i = 0; i < p->lanes_count; i++) {
        int64_t y = TOP + (int64_t)i * LANE;
        put_rect(out, i % 2 == 0 ? "odd" : "paper", (int64_t[4]){0, y, WIDTH, LANE});
        buf_put_text(out, "</rect>\n");
        put_words(out, "", 10, y + LANE / 2 + 4, p->lanes[i]);
    }
    for (int64_t i = 0; i < TICKS; i++) {
        int64_t us = p->from_us + (p->to_us - p->from_us) / TICKS * i;
        buf_put_text(out, "<line class=\"tick\"");
        put_attribute(out, "x1", x_of(p, us));
        put_attribute(out, "x2", x_of(p, us));
        put_attribute(out, "y1", TOP - 6);
        put_attribute(out, "y2", lanes_end(p));
        buf_put_text(out, "></line>");
        begin_text(out, "small", x_of(p, us) + 2, TOP - 8);
        put_ms(out, us - p->from_us);
        buf_put_text(out, "</text>\n");
    }
}

static void put_bands(struct buf *out, const struct chk_picture *p)
{
    for (size_t i = 0; i < p->bands_count; i++) {
        const struct chk_band *band = &p->bands[i];
        int64_t x = x_of(p, band->from_us), end = x_of(p, band->to_us);
        put_rect(out, "band", (int64_t[4]){x, TOP, end > x ? end - x : 1, lanes_end(p) - TOP});
        buf_put_text(out, "<title>");
        put_escaped(out, band->label);
        buf_put_text(out, "</title></rect>\n");
        put_words(out, "small", x + 3, TOP + 9 + (int64_t)(i % 3) * 10, band->label);
    }
}

static void put_bars(struct buf *out, const struct chk_picture *p)
{
    static const char *const classes[] = {"info", "ok", "fail", "info"};
    int64_t number = 0;
    for (size_t i = 0; i < p->bars_count; i++) {
        const struct chk_bar *bar = &p->bars[i];
        bool is_open = bar->to_us == CHK_NO_RETURN;
        int64_t x = x_of(p, bar->from_us), end = x_of(p, is_open ? p->to_us : bar->to_us);
        int64_t y = TOP + (int64_t)bar->lane * LANE + (is_open ? LANE - 8 : 12);
        char class_[16];
        struct buf word = buf_over(class_, sizeof(class_));
        buf_put_text(&word, classes[bar->status]);
        buf_put_text(&word, bar->role != NULL ? " hit" : "");
        (void)buf_terminate(&word);
        put_rect(out, class_, (int64_t[4]){x, y, end > x + 2 ? end - x : 3, is_open ? 5 : BAR});
        buf_put_text(out, "<title>");
        put_escaped(out, bar->label);
        buf_put_text(out, "</title></rect>\n");
        if (bar->role != NULL) {
            begin_text(out, "number", x, y - 2);
            buf_put_int(out, ++number);
            buf_put_text(out, "</text>\n");
        } else if (!is_open && end - x > (int64_t)bar->label.len * 6) {
            put_words(out, "small", x + 3, y + 13, bar->label);
        }
    }
}

static void put_span(struct buf *out, const struct chk_picture *p, const struct chk_bar *bar)
{
    put_ms(out, bar->from_us - p->from_us);
    buf_put_text(out, " .. ");
    if (bar->to_us == CHK_NO_RETURN) {
        buf_put_text(out, "?");
    } else {
        put_ms(out, bar->to_us - p->from_us);
    }
}

static int64_t put_legend(struct buf *out, const struct chk_picture *p)
{
    int64_t y = lanes_end(p) + 2 * LINE, number = 0;
    for (size_t i = 0; i < p->bars_count; i++) {
        const struct chk_bar *bar = &p->bars[i];
        if (bar->role == NULL) {
            continue;
        }
        begin_text(out, "mono", 10, y);
        buf_put_int(out, ++number);
        buf_put_text(out, "  ");
        put_escaped(out, p->lanes[bar->lane]);
        buf_put_text(out, "  ");
        put_span(out, p, bar);
        buf_put_text(out, "  ");
        put_escaped(out, bar->label);
        buf_put_text(out, "  (");
        put_escaped(out, slice_from_text(bar->role));
        buf_put_text(out, ")</text>\n");
        y += LINE;
    }
    return y;
}

void chk_picture_svg(struct buf *out, const struct chk_picture *picture)
{
    put_head(out, picture);
    put_lanes(out, picture);
    put_bands(out, picture);
    put_bars(out, picture);
    int64_t y = put_legend(out, picture) + LINE / 2;
    struct slice left = picture->findings, line;
    for (size_t i = 0; i < LINES_MAX && chk_scan_line(&left, &line); i++) {
        put_words(out, "mono", 10, y, line);
        y += LINE;
    }
    buf_put_text(out, "</svg>\n");
}

/* --- text --- */

static void text_bar(struct buf *out, const struct chk_picture *p, const struct chk_bar *bar)
{
    static const char *const words[] = {" open ", " ok   ", " fail ", " info "};
    buf_put_text(out, bar->role != NULL ? "* " : "  ");
    put_span(out, p, bar);
    buf_put_text(out, " ms  ");
    buf_put(out, p->lanes[bar->lane]);
    buf_put_text(out, words[bar->status]);
    buf_put(out, bar->label);
    if (bar->role != NULL) {
        buf_put_text(out, "   <- ");
        buf_put_text(out, bar->role);
    }
    buf_put_text(out, "\n");
}

void chk_picture_text(struct buf *out, const struct chk_picture *picture)
{
    buf_put_text(out, picture->title);
    buf_put_text(out, "\nmilliseconds from ");
    buf_put_int(out, picture->from_us);
    buf_put_text(out, " us\n");
    for (size_t i = 0; i < picture->bands_count; i++) {
        buf_put_text(out, "fault ");
        put_ms(out, picture->bands[i].from_us - picture->from_us);
        buf_put_text(out, " .. ");
        put_ms(out, picture->bands[i].to_us - picture->from_us);
        buf_put_text(out, " ms  ");
        buf_put(out, picture->bands[i].label);
        buf_put_text(out, "\n");
    }
    for (size_t i = 0; i < picture->bars_count; i++) {
        text_bar(out, picture, &picture->bars[i]);
    }
    buf_put(out, picture->findings);
    buf_put_text(out, picture->findings.len > 0 ? "\n" : "");
}
