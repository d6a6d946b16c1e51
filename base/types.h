/* SPDX-License-Identifier: Apache-2.0 */
/* Types that must not be mixed: two kinds of time, names, and small helpers on them.
 *
 * Monotonic time is CLOCK_BOOTTIME of the machine that reads it, in microseconds. It is never sent
 * to another machine as a point in time, only as a duration. Wall time is for people and never
 * decides.
 */
#ifndef QUORATE_BASE_TYPES_H
#define QUORATE_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_mono {
    int64_t us;
};

struct base_wall {
    int64_t us;
};

#define BASE_US_PER_MS INT64_C(1000)
#define BASE_US_PER_S INT64_C(1000000)

#define BASE_MONO_NEVER ((struct base_mono){INT64_MAX})
#define BASE_MONO_LONG_AGO ((struct base_mono){INT64_MIN / 2})

static inline struct base_mono base_mono_add_us(struct base_mono t, int64_t us)
{
    return (struct base_mono){us > 0 && t.us > INT64_MAX - us ? INT64_MAX : t.us + us};
}

static inline int64_t base_mono_diff_us(struct base_mono later, struct base_mono earlier)
{
    return later.us - earlier.us;
}

static inline bool base_mono_before(struct base_mono a, struct base_mono b)
{
    return a.us < b.us;
}

static inline struct base_mono base_mono_max(struct base_mono a, struct base_mono b)
{
    return a.us < b.us ? b : a;
}

static inline struct base_mono base_mono_min(struct base_mono a, struct base_mono b)
{
    return a.us < b.us ? a : b;
}

/* A name of a cluster, member or node: 1 to 63 bytes of [a-z0-9_-], first one a letter or digit, so
 * that it can stand in a key, a file name, a certificate and an application_name alike. Always
 * zero-filled behind the text, so that names compare with memcmp and copy by assignment. */
#define BASE_NAME_MAX 63

struct base_name {
    char text[BASE_NAME_MAX + 1];
};

/* A host name or address, or a short text that a person reads. Zero-filled behind the text. */
#define BASE_TEXT_MAX 255

struct base_text {
    char text[BASE_TEXT_MAX + 1];
};

#define BASE_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
