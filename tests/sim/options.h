/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of the simulator. */
#ifndef QUORATE_TESTS_SIM_OPTIONS_H
#define QUORATE_TESTS_SIM_OPTIONS_H

#include "tests/sim/setup.h"

struct options {
    uint64_t seed, count, jobs;
    const char *faults; /* only=N,N,... or without=N,N,... */
    const char *often;  /* KIND,KIND,... */
    const char *json;   /* file for the sums */
    const char *script; /* a file to run */
    const char *shrink; /* a file to write */
    struct setup_wish wish;
    bool is_tracing, is_quiet, is_history, is_twice, is_check, is_going_on, is_plan;
    bool is_canaries; /* list the planted bugs, and no run */
};

/* False: not understood. */
bool options_parse(int argc, char **argv, struct options *ret);
void options_usage(FILE *out);

#endif
