/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the agent's durable state, one small file saved as a whole.
 *
 * The content is agents/core/disk.h's encoding. A save is atomic (the old or the new content after
 * any crash) and durable before its completion is told: temporary file, fsync, rename, fsync of the
 * directory. One save at a time. At start the shell reads the file and decodes it with
 * agt_disk_decode; a missing file is an agt_disk of zeros, a damaged one must stop the agent with a
 * message: its promises are unknown.
 */
#ifndef QUORATE_AGENTS_PORT_STATE_H
#define QUORATE_AGENTS_PORT_STATE_H

#include "base/slice.h"

struct state_port {
    void *ctx;
    /* Copies the bytes and returns at once; agt_driver_saved is called later with 0 or BASE_E_*,
     * never from inside of this call. Never blocks the loop. */
    void (*save)(void *ctx, struct slice bytes);
};

#endif
