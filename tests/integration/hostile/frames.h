/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 frames made by hand, also such as no library would send. Appends to a fixed block; what
 * does not fit is an error of this program and ends it.
 */
#ifndef QUORATE_TESTS_INTEGRATION_HOSTILE_FRAMES_H
#define QUORATE_TESTS_INTEGRATION_HOSTILE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frames {
    uint8_t bytes[1 << 18];
    size_t len;
};

extern const char frames_preface[25];
extern const char frames_put_path[], frames_range_path[], frames_watch_path[];

/* Preface and SETTINGS with this window for answers. Begins anew. */
void frames_begin(struct frames *f, uint32_t window);
void frames_settings(struct frames *f, uint32_t window);
void frames_ping(struct frames *f);
void frames_reset(struct frames *f, uint32_t stream);
/* HEADERS of a gRPC call; is_end: and no body. */
void frames_head(struct frames *f, uint32_t stream, const char *path, bool is_end);
/* HEADERS and the message; is_end: the client says no more. */
void frames_call(struct frames *f, uint32_t stream, const char *path, const char *message,
                 size_t len, bool is_end);
/* HEADERS that go on, and a piece of 16 KiB of such. */
void frames_head_open(struct frames *f, uint32_t stream);
void frames_continuation(struct frames *f, uint32_t stream);
/* The head of a DATA frame of 16 MiB. */
void frames_huge(struct frames *f, uint32_t stream);

#endif
