/* SPDX-License-Identifier: Apache-2.0 */
/* A connection without a network, in place of proto/io/stream.c: takes what is written, and adds it
 * up. */
#ifndef QUORATE_TESTS_FUZZ_FAKE_STREAM_H
#define QUORATE_TESTS_FUZZ_FAKE_STREAM_H

#include "proto/io/server_internal.h"
#include "proto/io/stream.h"

struct io_stream {
    uint64_t sum;   /* of what was written */
    uint64_t bytes; /* how much */
    bool is_closed; /* or aborted: no data is handed in any more */
};

#endif
