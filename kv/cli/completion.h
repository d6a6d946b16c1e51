/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for shells, made from the table of commands. */
#ifndef QUORATE_KV_CLI_COMPLETION_H
#define QUORATE_KV_CLI_COMPLETION_H

#include "proto/io/table.h"

/* shell: bash, zsh or fish. An exit code. */
int completion_print(const char *shell, const struct io_command *commands, size_t count);

#endif
