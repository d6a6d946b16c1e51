/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line prints: aligned tables, help from a table of subcommands, exit codes.
 *
 * Widths count UTF-8 characters. Nothing is cut, the last column is not padded. Cells are copied;
 * control bytes in them are written as '?'. JSON output is the caller's affair (jansson). One
 * thread.
 */
#ifndef QUORATE_PROTO_IO_TABLE_H
#define QUORATE_PROTO_IO_TABLE_H

#include <stdio.h>

#include "base/error.h"
#include "base/types.h"

/* Exit codes that scripts rely on. */
enum io_exit {
    IO_EXIT_OK = 0,
    IO_EXIT_FALSE = 1, /* not found, or the answer is no */
    IO_EXIT_USAGE = 2,
    IO_EXIT_UNAVAILABLE = 3,
    IO_EXIT_REFUSED = 4,
    IO_EXIT_INTERNAL = 5,
};
/* Exit code for a BASE_E_* code. */
int io_exit_of(int code);

#define IO_TABLE_COLUMNS_MAX 16
struct io_table;

/* headers: "NAME|>EPOCH|NOTE": columns by '|', '>' in front aligns right. NULL on no memory. */
struct io_table *io_table_new(const char *headers);
/* One row, count cells (missing ones are empty, NULL is "-"). */
MUST_CHECK int io_table_add(struct io_table *table, const char *const *cells, size_t count);
#define IO_TABLE_ADD(table, ...) \
    io_table_add((table), (const char *const[]){__VA_ARGS__}, \
                 BASE_COUNT_OF(((const char *const[]){__VA_ARGS__})))
size_t io_table_rows(const struct io_table *table);
/* Columns two spaces apart, headers in front unless has_headers is false. */
void io_table_print(const struct io_table *table, FILE *out, bool has_headers);
struct io_table *io_table_free(struct io_table *table);

/* --- subcommands --- */
struct io_command {
    const char *name;      /* "db list": one or more words */
    const char *arguments; /* "CLUSTER [--force]"; "" for none */
    const char *group;     /* heading in the overall help: "keys" */
    const char *help;      /* one line */
    const char *details;   /* further text for --help of this command; may be NULL */
    int (*run)(void *ctx, int argc,
               char **argv); /* argv[0] is the command's name; returns enum io_exit */
};

/* Finds the command whose words come first in argv[1..] (longest match) and runs it; --help or -h
 * among its arguments prints its help. Unknown ones: the nearest name is suggested, IO_EXIT_USAGE.
 */
int io_command_run(const char *program, const struct io_command *commands, size_t count, void *ctx,
                   int argc, char **argv);
void io_command_help(const char *program, const struct io_command *commands, size_t count,
                     FILE *out);
/* Usage line of one command on stderr, with a message in front; returns IO_EXIT_USAGE. */
int io_command_usage(const char *program, const struct io_command *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Nearest of names (edit distance at most a third of its length), or NULL. */
const char *io_nearest(const char *text, const char *const *names, size_t count);

#endif
