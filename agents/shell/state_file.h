/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's durable state in one file: agents/port_state.h over a worker thread.
 *
 * Written as temporary file, fsync, rename, fsync of the directory; the old or the new content is
 * there after any crash. A damaged file stops the agent: its promises are unknown. Loop thread, but
 * for the write itself. */
#ifndef QUORATE_AGENTS_SHELL_STATE_FILE_H
#define QUORATE_AGENTS_SHELL_STATE_FILE_H

#include "agents/core/disk.h"
#include "agents/port_state.h"
#include "proto/io/address.h"
#include "proto/io/loop.h"

struct state_file;

/* Makes the directory (mode 0700) when it is not there and reads DIRECTORY/agent.state; a missing
 * file is zeros. CORRUPT, IO, DENIED with why; BUSY when another agent lives on the directory.
 * saved: loop thread, once per save. */
MUST_CHECK int state_file_open(struct io_loop *loop, const char *directory,
                               void (*saved)(void *ctx, int status), void *ctx,
                               struct state_file **ret, struct agt_disk *ret_disk,
                               struct io_why *why);
struct state_port state_file_port(struct state_file *file);
/* Waits for a write under way. NULL is fine. Returns NULL. */
struct state_file *state_file_close(struct state_file *file);

#endif
