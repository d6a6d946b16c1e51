/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, help and dispatch of the command line; see table.h. */
#include "proto/io/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64

struct row {
    char *cells[IO_TABLE_COLUMNS_MAX];
};

struct io_table {
    size_t columns;
    bool is_right[IO_TABLE_COLUMNS_MAX];
    size_t widths[IO_TABLE_COLUMNS_MAX];
    size_t rows_count, rows_cap;
    struct row *rows; /* the first one holds the headers */
};

int io_exit_of(int code)
{
    switch (code) {
    case 0:
        return IO_EXIT_OK;
    case BASE_E_NOTFOUND:
        return IO_EXIT_FALSE;
    case BASE_E_INVALID:
    case BASE_E_RANGE:
    case BASE_E_TOOBIG:
    case BASE_E_EXISTS:
        return IO_EXIT_USAGE;
    case BASE_E_DENIED:
    case BASE_E_STATE:
    case BASE_E_CONFLICT:
    case BASE_E_UNSUPPORTED:
    case BASE_E_COMPACTED:
    case BASE_E_FUTURE:
        return IO_EXIT_REFUSED;
    case BASE_E_BUSY:
    case BASE_E_TIMEOUT:
    case BASE_E_NOTLEADER:
    case BASE_E_NOQUORUM:
    case BASE_E_CLOSED:
    case BASE_E_UNREACHABLE:
    case BASE_E_CANCELED:
    case BASE_E_TLS:
        return IO_EXIT_UNAVAILABLE;
    default:
        return IO_EXIT_INTERNAL;
    }
}

/* Characters of UTF-8 text: every byte that does not go on a character. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static char *copy_cell(const char *text)
{
    char *copy = strdup(text == NULL ? "-" : text);
    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    return copy;
}

static int add_row(struct io_table *table, const char *const *cells, size_t count)
{
    if (table->rows_count == table->rows_cap) {
        size_t cap = table->rows_cap == 0 ? 16 : table->rows_cap * 2;
        struct row *rows = reallocarray(table->rows, cap, sizeof(*rows));
        if (rows == NULL) {
            return BASE_E_NOMEM;
        }
        table->rows = rows;
        table->rows_cap = cap;
    }
    struct row row = {{0}};
    for (size_t i = 0; i < table->columns; i++) {
        row.cells[i] = copy_cell(i < count ? cells[i] : "");
        if (row.cells[i] == NULL) {
            for (size_t j = 0; j < i; j++) {
                free(row.cells[j]);
            }
            return BASE_E_NOMEM;
        }
        size_t width = width_of(row.cells[i]);
        table->widths[i] = width > table->widths[i] ? width : table->widths[i];
    }
    table->rows[table->rows_count++] = row;
    return 0;
}

struct io_table *io_table_new(const char *headers)
{
    struct io_table *table = calloc(1, sizeof(*table));
    char *text = strdup(headers);
    const char *cells[IO_TABLE_COLUMNS_MAX];
    if (table == NULL || text == NULL) {
        free(table);
        free(text);
        return NULL;
    }
    char *rest = text;
    for (char *h = strsep(&rest, "|"); h != NULL && table->columns < IO_TABLE_COLUMNS_MAX;
         h = strsep(&rest, "|")) {
        table->is_right[table->columns] = h[0] == '>';
        cells[table->columns++] = h[0] == '>' ? h + 1 : h;
    }
    int rc = add_row(table, cells, table->columns);
    free(text);
    return rc == 0 ? table : io_table_free(table);
}

int io_table_add(struct io_table *table, const char *const *cells, size_t count)
{
    return add_row(table, cells, count);
}

size_t io_table_rows(const struct io_table *table)
{
    return table->rows_count - 1;
}

static void print_cell(const struct io_table *table, const char *text, size_t column, FILE *out)
{
    size_t pad = table->widths[column] - width_of(text);
    bool is_last = column + 1 == table->columns;
    if (table->is_right[column]) {
        (void)fprintf(out, "%*s%s", (int)pad, "", text);
    } else if (is_last) {
        (void)fputs(text, out);
    } else {
        (void)fprintf(out, "%s%*s", text, (int)pad, "");
    }
    (void)fputs(is_last ? "\n" : "  ", out);
}

void io_table_print(const struct io_table *table, FILE *out, bool has_headers)
{
    for (size_t i = has_headers ? 0 : 1; i < table->rows_count; i++) {
        for (size_t c = 0; c < table->columns; c++) {
            print_cell(table, table->rows[i].cells[c], c, out);
        }
    }
}

struct io_table *io_table_free(struct io_table *table)
{
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < table->rows_count; i++) {
        for (size_t c = 0; c < table->columns; c++) {
            free(table->rows[i].cells[c]);
        }
    }
    free(table->rows);
    free(table);
    return NULL;
}

/* --- commands --- */

/* Edit distance of Levenshtein, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES + 1];
    size_t len = strlen(b);
    if (len > NAME_MAX_BYTES) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; *a != '\0'; a++, i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t change = corner + (*a != b[j - 1]);
            corner = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[len];
}

const char *io_nearest(const char *text, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(text) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(text, names[i]);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* How many words of argv[1..] the command's name takes; 0 when it does not match. */
static int matched_words(const struct io_command *command, int argc, char **argv)
{
    const char *name = command->name;
    int words = 0;
    while (*name != '\0') {
        size_t len = strcspn(name, " ");
        if (words + 1 >= argc || strlen(argv[words + 1]) != len ||
            strncmp(argv[words + 1], name, len) != 0) {
            return 0;
        }
        words++;
        name += len + (name[len] == ' ' ? 1 : 0);
    }
    return words;
}

static void print_command_help(const char *program, const struct io_command *command, FILE *out)
{
    (void)fprintf(out, "usage: %s %s%s%s\n\n%s\n", program, command->name,
                  command->arguments[0] == '\0' ? "" : " ", command->arguments, command->help);
    if (command->details != NULL) {
        (void)fprintf(out, "\n%s\n", command->details);
    }
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the command's name begins with the word, and goes on after it. */
static bool is_below(const struct io_command *command, const char *word)
{
    size_t len = strlen(word);
    return len > 0 && strncmp(command->name, word, len) == 0 && command->name[len] == ' ';
}

/* "kv db": the first word of several commands. Lists them; -1 when it is none such. */
static int partial_command(const char *program, const struct io_command *commands, size_t count,
                           int argc, char **argv)
{
    bool is_alone = argc == 2;
    if (!is_alone && !asks_help(argc - 1, argv + 1)) {
        return -1;
    }
    FILE *out = is_alone ? stderr : stdout;
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        if (!is_below(&commands[i], argv[1])) {
            continue;
        }
        if (!is_found) {
            (void)fprintf(out, "usage: %s %s COMMAND; which one?\n\n", program, argv[1]);
        }
        is_found = true;
        (void)fprintf(out, "  %-17s %s\n", commands[i].name, commands[i].help);
    }
    return !is_found ? -1 : is_alone ? IO_EXIT_USAGE : IO_EXIT_OK;
}

static int unknown_command(const char *program, const struct io_command *commands, size_t count,
                           char **argv)
{
    char wanted[2 * NAME_MAX_BYTES];
    const char *names[128];
    (void)snprintf(wanted, sizeof(wanted), "%s%s%s", argv[1], argv[2] == NULL ? "" : " ",
                   argv[2] == NULL ? "" : argv[2]);
    size_t names_count = 0;
    for (size_t i = 0; i < count && names_count < 128; i++) {
        names[names_count++] = commands[i].name;
    }
    const char *nearest = io_nearest(wanted, names, names_count);
    if (nearest == NULL) {
        nearest = io_nearest(argv[1], names, names_count);
    }
    if (nearest == NULL) {
        (void)fprintf(stderr, "%s: unknown command '%s'; see %s --help\n", program, wanted,
                      program);
    } else {
        (void)fprintf(stderr, "%s: unknown command '%s'; did you mean '%s'? see %s --help\n",
                      program, wanted, nearest, program);
    }
    return IO_EXIT_USAGE;
}

int io_command_run(const char *program, const struct io_command *commands, size_t count, void *ctx,
                   int argc, char **argv)
{
    const struct io_command *found = NULL;
    int words = 0;
    for (size_t i = 0; i < count; i++) {
        int matched = matched_words(&commands[i], argc, argv);
        if (matched > words) {
            words = matched;
            found = &commands[i];
        }
    }
    if (argc < 2) {
        io_command_help(program, commands, count, stderr);
        return IO_EXIT_USAGE;
    }
    if (found == NULL) {
        int rc = partial_command(program, commands, count, argc, argv);
        return rc >= 0 ? rc : unknown_command(program, commands, count, argv);
    }
    if (asks_help(argc - words, argv + words)) {
        print_command_help(program, found, stdout);
        return IO_EXIT_OK;
    }
    return found->run(ctx, argc - words, argv + words);
}

void io_command_help(const char *program, const struct io_command *commands, size_t count,
                     FILE *out)
{
    const char *group = "";
    (void)fprintf(out, "usage: %s COMMAND [ARGUMENTS]; %s COMMAND --help tells more\n", program,
                  program);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(group, commands[i].group) != 0) {
            group = commands[i].group;
            (void)fprintf(out, "\n%s\n", group);
        }
        (void)fprintf(out, "  %-17s %s\n", commands[i].name, commands[i].help);
    }
}

int io_command_usage(const char *program, const struct io_command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s: ", program);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\nusage: %s %s %s\n", program, command->name, command->arguments);
    va_end(arguments);
    return IO_EXIT_USAGE;
}
