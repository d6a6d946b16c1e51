/* SPDX-License-Identifier: Apache-2.0 */
/* Port: reading this machine's monotonic clock (CLOCK_BOOTTIME) at this very moment, never a cached
 * time. Used by glue at the few places where the moment matters: send time of a report, sending of
 * a grant, the counting of the winning vote. */
#ifndef QUORATE_PROTO_PORT_CLOCK_H
#define QUORATE_PROTO_PORT_CLOCK_H

#include "base/types.h"

struct clock_port {
    void *ctx;
    struct base_mono (*now)(void *ctx);
    struct base_wall (*wall)(void *ctx); /* for people only */
};

#endif
