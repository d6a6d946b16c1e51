/* SPDX-License-Identifier: Apache-2.0 */
/* What a former guard, killed together with its twin, has left running; and what is not ours to
 * kill.
 *
 * A process is a leftover when it carries our mark in its environment, or when it runs the
 * database's program with the data directory as working directory (a database server overwrites its
 * environment). A live server that holds the directory's lock file and was not started by us is
 * somebody else's: nothing is killed then.
 */
#ifndef QUORATE_AGENTS_GUARD_LEFTOVERS_H
#define QUORATE_AGENTS_GUARD_LEFTOVERS_H

#include "agents/guard/options.h"
#include "agents/guard/tree.h"

/* Kills and waits until a whole look at /proc finds none. 0; BASE_E_CONFLICT with *ret_foreign the
 * pid of a server that is not ours; BASE_E_TIMEOUT. *ret_killed counts (written in any case). tree:
 * memory for its own use. */
MUST_CHECK int leftovers_kill(const struct guard_options *options, struct guard_processes *tree,
                              int *ret_killed, int32_t *ret_foreign);

/* The same without the question whose it is: for a directory whose server was adopted. 0 or
 * BASE_E_TIMEOUT. */
MUST_CHECK int leftovers_kill_all(const struct guard_options *options,
                                  struct guard_processes *tree);

/* The process runs the database's program in the data directory. */
bool leftovers_is_server(const struct guard_options *options, int32_t pid);

/* Remembers the root just started in the state directory. Failure is harmless: it is then
 * recognised otherwise. */
void leftovers_remember(const struct guard_options *options, int32_t root);
/* No root any more. */
void leftovers_forget(const struct guard_options *options);

#endif
