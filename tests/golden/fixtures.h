/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of fixtures.c are made of. The makers of a row write the same content for ever into
 * `out`; 0 or BASE_E_*. */
#ifndef QUORATE_TESTS_GOLDEN_FIXTURES_H
#define QUORATE_TESTS_GOLDEN_FIXTURES_H

#include "base/slice.h"
#include "proto/msg/agent.h"

struct base_name fixtures_name_of(const char *text);
struct msg_names fixtures_names_of(const char *first, const char *second);
struct msg_record fixtures_record_of(unsigned version);

int fixtures_galera_record(unsigned version, struct buf *out);
int fixtures_galera_report(unsigned version, struct buf *out);
int fixtures_mongodb_record(unsigned version, struct buf *out);
int fixtures_mongodb_report(unsigned version, struct buf *out);
int fixtures_galera_disk(unsigned version, struct buf *out);
int fixtures_mongodb_disk(unsigned version, struct buf *out);

#endif
