/* SPDX-License-Identifier: Apache-2.0 */
/* Requests made from the schema: for each method, each field of its request by itself with values
 * at the edges of its type, and each pair of a message field and its own fields. */
#ifndef QUORATE_TESTS_DIFFERENTIAL_GENERATE_H
#define QUORATE_TESTS_DIFFERENTIAL_GENERATE_H

/* Calls `emit` with the lines of cases (case.h), always the same ones in the same order. */
void generate_cases(void (*emit)(void *ctx, const char *line), void *ctx);

#endif
