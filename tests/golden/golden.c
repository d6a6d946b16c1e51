/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter of golden scripts, the same for every core.
 *
 * usage: golden-CORE DIRECTORY SCRIPT...   writes each script, as it comes out now, to DIRECTORY.
 * Lines that begin with "#" and empty lines are kept, indented lines are the effects of before and
 * are dropped, every other line is a command. Comparing is golden.sh's. Exit status 2: a script is
 * wrong.
 */
#include "tests/golden/golden.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

static const char *script;
static int line_number;
static FILE *out;

void golden_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("    ", out);
    (void)vfprintf(out, format, args);
    (void)fputc('\n', out);
    va_end(args);
}

_Noreturn void golden_wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s:%d: ", script == NULL ? "golden" : script, line_number);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2);
}

const char *golden_word(const struct golden_line *line, int at)
{
    if (at >= line->count) {
        golden_wrong("%s wants %d words more", line->words[0], at - line->count + 1);
    }
    return line->words[at];
}

int64_t golden_to_number(const char *text)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        golden_wrong("'%s' is no number", text);
    }
    return value;
}

int64_t golden_number(const struct golden_line *line, int at)
{
    return golden_to_number(golden_word(line, at));
}

const char *golden_option(const struct golden_line *line, const char *key)
{
    size_t len = strlen(key);
    for (int i = 1; i < line->count; i++) {
        if (strncmp(line->words[i], key, len) == 0 && line->words[i][len] == '=') {
            return line->words[i] + len + 1;
        }
    }
    return NULL;
}

int64_t golden_option_number(const struct golden_line *line, const char *key, int64_t otherwise)
{
    const char *text = golden_option(line, key);
    return text == NULL ? otherwise : golden_to_number(text);
}

bool golden_has(const struct golden_line *line, const char *word)
{
    for (int i = 1; i < line->count; i++) {
        if (strcmp(line->words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* Cuts the line in place. */
static struct golden_line split(char *text)
{
    struct golden_line line = {0};
    for (char *at = text; *at != '\0';) {
        at += strspn(at, " ");
        if (*at == '\0') {
            break;
        }
        if (line.count == GOLDEN_WORDS_MAX) {
            golden_wrong("more than %d words", GOLDEN_WORDS_MAX);
        }
        line.words[line.count++] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    return line;
}

static void run_command(char *text)
{
    struct golden_line line = split(text);
    for (size_t i = 0; i < golden_driver.count; i++) {
        if (strcmp(golden_driver.commands[i].name, line.words[0]) == 0) {
            golden_driver.commands[i].run(&line);
            return;
        }
    }
    golden_wrong("no command '%s'", line.words[0]);
}

static void run_script(FILE *in)
{
    char text[LINE_MAX_BYTES];
    golden_driver.begin();
    for (line_number = 1; fgets(text, sizeof(text), in) != NULL; line_number++) {
        size_t len = strcspn(text, "\n");
        if (text[len] == '\0') {
            golden_wrong("a line is too long or the last one does not end");
        }
        text[len] = '\0';
        if (text[0] == ' ') {
            continue;
        }
        (void)fprintf(out, "%s\n", text);
        if (text[0] != '#' && text[0] != '\0') {
            run_command(text);
        }
    }
    golden_driver.end();
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        golden_wrong("usage: %s DIRECTORY SCRIPT...", argv[0]);
    }
    for (int i = 2; i < argc; i++) {
        char path[LINE_MAX_BYTES];
        const char *name = strrchr(argv[i], '/');
        script = argv[i];
        line_number = 0;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], name == NULL ? argv[i] : name + 1);
        FILE *in = fopen(argv[i], "r");
        out = fopen(path, "w");
        if (in == NULL || out == NULL) {
            golden_wrong("cannot read it, or write %s", path);
        }
        run_script(in);
        (void)fclose(in);
        if (fclose(out) != 0) {
            golden_wrong("cannot write %s", path);
        }
    }
    return 0;
}
