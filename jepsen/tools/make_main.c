/* SPDX-License-Identifier: Apache-2.0 */
/* jepsen-history KIND COUNT [SEED]: prints a good history (register, append or set) as JSON lines:
 * 10 clients, 20 keys at a time of at most 200 operations, one in a hundred without an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/check/json.h"
#include "jepsen/tools/make.h"

#define LINE_BYTES ((size_t)8 << 20)

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "jepsen-history: assertion failed at %s:%d: %s\n", file, line,
                  expression);
    abort();
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL) {
        (void)fprintf(stderr, "jepsen-history: no memory for so many operations\n");
        exit(2);
    }
    return memory;
}

static void flush(struct buf *out)
{
    BASE_ASSERT(!out->is_full);
    (void)fwrite(out->data, 1, out->len, stdout);
    buf_reset(out);
}

static void print_register(size_t count, const struct make_options *options, struct buf *out)
{
    size_t keys = count / MAKE_KEY_OPS + options->keys + 1;
    struct chk_history h = chk_history_over(take(count, sizeof(struct chk_op)), count,
                                            take(keys, sizeof(struct chk_key)), keys);
    make_register(&h, count, options);
    for (size_t i = 0; i < h.count; i++) {
        chk_json_write(out, &h, &h.ops[i]);
        flush(out);
    }
    free(h.ops);
    free(h.keys);
}

static void print_log(bool is_set, size_t count, const struct make_options *options,
                      struct buf *out)
{
    struct chk_log log = {.txs_cap = count,
                          .steps_cap = count * 3,
                          .values_cap = count * (is_set ? 120 : 300),
                          .names_cap = count * 3 / MAKE_KEY_OPS + options->keys + 8};
    log.txs = take(log.txs_cap, sizeof(*log.txs));
    log.steps = take(log.steps_cap, sizeof(*log.steps));
    log.values = take(log.values_cap, sizeof(*log.values));
    log.names = take(log.names_cap, sizeof(*log.names));
    (is_set ? make_set : make_append)(&log, count, options);
    for (size_t i = 0; i < log.txs_count; i++) {
        chk_log_write(out, &log, &log.txs[i]);
        flush(out);
    }
    free(log.txs);
    free(log.steps);
    free(log.values);
    free(log.names);
}

int main(int argc, char **argv)
{
    uint64_t count = 0, seed = 1;
    bool is_good = argc >= 3 && slice_to_u64(slice_from_text(argv[2]), &count) == 0 && count > 0 &&
                   count <= 10000000 &&
                   (argc < 4 || slice_to_u64(slice_from_text(argv[3]), &seed) == 0);
    struct make_options options = {.seed = seed, .clients = 10, .keys = 20, .lost_ppm = 10000};
    struct buf out = buf_over(take(LINE_BYTES, 1), LINE_BYTES);
    if (is_good && strcmp(argv[1], "register") == 0) {
        print_register((size_t)count, &options, &out);
    } else if (is_good && (strcmp(argv[1], "append") == 0 || strcmp(argv[1], "set") == 0)) {
        print_log(strcmp(argv[1], "set") == 0, (size_t)count, &options, &out);
    } else {
        (void)fprintf(stderr, "usage: jepsen-history register|append|set COUNT [SEED]\n");
        free(out.data);
        return 2;
    }
    free(out.data);
    return 0;
}
