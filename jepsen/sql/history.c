/* SPDX-License-Identifier: Apache-2.0 */
/* Histories, and the clock of all of them; see sql.h. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "jepsen/sql/sql.h"

int64_t sql_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sql_pause_us(int64_t us)
{
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000L};
    (void)nanosleep(&t, NULL);
}

const char *sql_end_name(enum sql_end end)
{
    static const char *const names[] = {"ok", "fail", "info"};
    return names[end];
}

int sql_history_open(struct sql_history *h, const char *path, bool is_live)
{
    h->file = fopen(path, "ae");
    if (h->file == NULL) {
        return -1;
    }
    if (is_live) {
        (void)setvbuf(h->file, NULL, _IOLBF, BUFSIZ);
    }
    h->field = h->field == NULL ? "txn" : h->field;
    return pthread_mutex_init(&h->lock, NULL);
}

void sql_history_txn(struct sql_history *h, int64_t process, enum sql_end end, int64_t call_us,
                     const char *ops)
{
    int64_t return_us = sql_now_us();
    (void)pthread_mutex_lock(&h->lock);
    (void)fprintf(h->file,
                  "{\"process\":%" PRId64 ",\"type\":\"%s\",\"call\":%" PRId64
                  ",\"return\":%" PRId64 ",\"%s\":[%s]}\n",
                  process, sql_end_name(end), call_us, return_us, h->field, ops);
    (void)pthread_mutex_unlock(&h->lock);
}
