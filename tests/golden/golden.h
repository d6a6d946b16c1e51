/* SPDX-License-Identifier: Apache-2.0 */
/* Golden scripts: commands to one core, each followed by the effects that the core gave.
 *
 * golden.c reads a script, runs its commands and writes the script anew with the effects of now. A
 * driver (drive_CORE.c, one per program) defines golden_driver: its commands over one core and how
 * effects are put into words. Nothing here reads a clock or draws a random number, so that a script
 * comes out the same in every build.
 */
#ifndef QUORATE_TESTS_GOLDEN_GOLDEN_H
#define QUORATE_TESTS_GOLDEN_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOLDEN_WORDS_MAX 48

/* The words of one line; the first is the command's name. */
struct golden_line {
    int count;
    const char *words[GOLDEN_WORDS_MAX];
};

struct golden_command {
    const char *name;
    void (*run)(const struct golden_line *line);
};

struct golden_driver {
    void (*begin)(void); /* of a script: everything new */
    void (*end)(void);
    const struct golden_command *commands;
    size_t count;
};

/* Defined by the driver. */
extern const struct golden_driver golden_driver;

/* One effect, as one indented line. */
void golden_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The script is wrong: says where and ends the program. */
_Noreturn void golden_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Word `at`; golden_wrong when there is none. */
const char *golden_word(const struct golden_line *line, int at);
/* The same as a number. */
int64_t golden_number(const struct golden_line *line, int at);
int64_t golden_to_number(const char *text);
/* The value of "key=value", NULL when the line has none. */
const char *golden_option(const struct golden_line *line, const char *key);
int64_t golden_option_number(const struct golden_line *line, const char *key, int64_t otherwise);
/* The word stands in the line by itself. */
bool golden_has(const struct golden_line *line, const char *word);

#endif
