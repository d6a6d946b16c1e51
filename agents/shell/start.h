/* SPDX-License-Identifier: Apache-2.0 */
/* What every agent does before it runs: becomes the user of its database, finds its guard, looks at
 * its directories. All: main thread, before any loop; 0, or BASE_E_* with a line in *why.
 */
#ifndef QUORATE_AGENTS_SHELL_START_H
#define QUORATE_AGENTS_SHELL_START_H

#include "agents/shell/agent_config.h"

#define AGENT_PATH_BYTES 1024

/* Started as root: becomes the user of the key 'user', with the capabilities that a virtual IP
 * needs; run_dir, state_dir and `data_dir` (NULL: none) are made for it where they are missing.
 * Else nothing. NOTFOUND, DENIED, IO. setuid(2), initgroups(3). */
MUST_CHECK int agent_become_user(const struct io_config *config,
                                 const struct agent_settings *common, const char *data_dir,
                                 struct io_why *why);

/* Path of the guard: what guard.program says, else quorate-guard beside this program. NOTFOUND. */
MUST_CHECK int agent_find_guard(const struct io_config *config,
                                char ret_path[static AGENT_PATH_BYTES], struct io_why *why);

/* Path of the guard's socket. RANGE: too long, unix(7). */
MUST_CHECK int agent_guard_socket(const struct agent_settings *common,
                                  char ret_path[static AGENT_PATH_BYTES], struct io_why *why);

/* Name of the user that we are: not root. DENIED. */
MUST_CHECK int agent_find_user(struct agent_settings *common, struct io_why *why);

/* Those of `files` that are not "" can be read. NOTFOUND. */
MUST_CHECK int agent_check_files(const struct agent_settings *common, const char *const *files,
                                 size_t count, struct io_why *why);

/* Makes it if it is missing. DENIED: it belongs to somebody else; INVALID, IO. A run_dir of root's
 * for a group, where nobody takes away what is another one's, is fine. */
MUST_CHECK int agent_check_directory(const char *path, struct io_why *why);

/* A guard answers at that socket: whatever runs is its own. */
bool agent_has_guard(const char *socket);
/* An agent of ours has written its state there. */
bool agent_has_state(const char *state_dir);
/* An arbiter has led the member of this state directory before: a server that was there before us
 * is taken over no more. A state that cannot be read counts as one. */
bool agent_was_led(const char *state_dir);
/* A guard of ours had taken this process over, and is no more: the next guard ends it. */
bool agent_is_guards_root(const char *state_dir, int32_t pid);

/* Takes a word of the program's own out of its arguments; true: it was there. */
bool agent_take_word(int *argc, char **argv, const char *word);

#endif
