/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of a stretch of a history: a lane per client or host, a bar per operation from call to
 * return, faults as bands across all lanes, those concerned coloured, numbered and listed below.
 *
 * As SVG without anything from outside, and as text. The caller chooses what is in it
 * (`judge_picture.c` of jepsen-check) and owns all memory.
 */
#ifndef QUORATE_JEPSEN_CHECK_PICTURE_H
#define QUORATE_JEPSEN_CHECK_PICTURE_H

#include "jepsen/check/history.h"

struct chk_bar {
    uint32_t lane;
    int64_t from_us;
    int64_t to_us; /* CHK_NO_RETURN: open to the end */
    enum chk_status status;
    const char *role; /* of one that is concerned; NULL */
    struct slice label;
};

struct chk_band {
    int64_t from_us;
    int64_t to_us;
    struct slice label;
};

struct chk_picture {
    const char *title;
    struct slice findings; /* lines for people, shown below */
    const struct slice *lanes;
    size_t lanes_count;
    const struct chk_bar *bars; /* in order of from_us */
    size_t bars_count;
    const struct chk_band *bands;
    size_t bands_count;
    int64_t from_us; /* what is shown; times are printed relative to it */
    int64_t to_us;
};

/* is_full of `out` tells when it did not fit. */
void chk_picture_svg(struct buf *out, const struct chk_picture *picture);
void chk_picture_text(struct buf *out, const struct chk_picture *picture);

#endif
