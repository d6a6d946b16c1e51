/* SPDX-License-Identifier: Apache-2.0 */
/* One-token mutations of C code: what a careless hand could have typed and a compiler accepts.
 *
 *   mutate list FILE...          one line a mutation: FILE:LINE:COLUMN:OLD:NEW
 *   mutate apply FILE LINE COLUMN OLD NEW      FILE with that one token changed, on stdout
 *
 * Comments, strings, preprocessor lines, statements that only check (assertions, marks, planted
 * bugs) and what only builds with planted bugs have are left alone: a changed check proves nothing
 * about the tests. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct swap {
    const char *old, *to;
};
/* Spaces around an operator tell a binary one: the formatter puts them there. */
static const struct swap swaps[] = {
    {" < ", " <= "},  {" <= ", " < "},  {" > ", " >= "},   {" >= ", " > "},
    {" == ", " != "}, {" != ", " == "}, {" && ", " || "},  {" || ", " && "},
    {" + ", " - "},   {" - ", " + "},   {" += ", " -= "},  {" -= ", " += "},
    {"++", "--"},     {"--", "++"},     {"true", "false"}, {"false", "true"},
    {" 0", " 1"},     {" 1", " 0"},     {"(!", "("},       {" !", " "},
    {"break;", ";"},  {" | ", " & "},   {" & ", " | "},    {"continue;", "break;"},
};
static const char *const untouched[] = {"BASE_ASSERT", "BASE_IMPLIES", "_Static_assert", "MARK(",
                                        "CANARY(",     "FAILPOINT(",   "for (",          "MUST_"};

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        (void)fprintf(stderr, "mutate: cannot read %s\n", path);
        exit(2);
    }
    size_t cap = 1 << 20, len;
    char *text = malloc(cap);
    if (text == NULL || (len = fread(text, 1, cap - 1, in)) == cap - 1) {
        (void)fprintf(stderr, "mutate: %s is too large\n", path);
        exit(2);
    }
    (void)fclose(in);
    text[len] = '\0';
    *ret_len = len;
    return text;
}

/* Overwrites with '\1' all that is no code, newlines excepted. */
static void blank(char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (text[i] != '\n') {
            text[i] = '\1';
        }
    }
}

static size_t end_of_quote(const char *text, size_t at)
{
    char quote = text[at++];
    while (text[at] != '\0' && text[at] != quote) {
        at += text[at] == '\\' && text[at + 1] != '\0' ? 2 : 1;
    }
    return text[at] == '\0' ? at : at + 1;
}

static size_t end_of_directive(const char *text, size_t at)
{
    while (text[at] != '\0' && (text[at] != '\n' || text[at - 1] == '\\')) {
        at++;
    }
    return at;
}

/* Mutations are built without them. */
static void blank_planted(char *text)
{
    for (char *at = text; (at = strstr(at, "#ifdef QUORATE_CANARIES\n")) != NULL;) {
        const char *end = strstr(at, "\n#e"); /* #else or #endif */
        size_t len = end == NULL ? strlen(at) : (size_t)(end - at);
        blank(text, (size_t)(at - text), (size_t)(at - text) + len);
    }
}

static void keep_code_only(char *text)
{
    size_t at = 0;
    blank_planted(text);
    while (text[at] != '\0') {
        size_t from = at;
        if (text[at] == '/' && text[at + 1] == '*') {
            const char *end = strstr(text + at + 2, "*/");
            at = end == NULL ? strlen(text) : (size_t)(end + 2 - text);
        } else if (text[at] == '"' || text[at] == '\'') {
            at = end_of_quote(text, at);
        } else if (text[at] == '#') {
            at = end_of_directive(text, at);
        } else {
            at++;
            continue;
        }
        blank(text, from, at);
    }
}

/* Statements that only check, to their semicolon or brace. */
static void blank_checks(char *text)
{
    for (size_t i = 0; i < sizeof(untouched) / sizeof(untouched[0]); i++) {
        for (char *at = text; (at = strstr(at, untouched[i])) != NULL;) {
            size_t len = strcspn(at, "{};");
            if (strncmp(untouched[i], "for (", 5) == 0) {
                len = strcspn(at, "{");
            }
            blank(text, (size_t)(at - text), (size_t)(at - text) + len);
            at += len > 0 ? len : 1;
        }
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A whole token, inside a function: the formatter indents all code of functions. */
static bool is_token(const char *text, size_t at, const struct swap *s)
{
    size_t len = strlen(s->old);
    if (strncmp(text + at, s->old, len) != 0) {
        return false;
    }
    bool word_ends = is_word(s->old[len - 1]);
    bool word_begins = is_word(s->old[0]);
    char after = text[at + len];
    return !(word_ends && (is_word(after) || after == '.')) &&
           !(word_begins && at > 0 && is_word(text[at - 1])) &&
           !(s->old[len - 1] == '!' && after == '=');
}

static void list(const char *path)
{
    size_t len;
    char *text = read_file(path, &len);
    keep_code_only(text);
    blank_checks(text);
    unsigned line = 1;
    size_t line_start = 0;
    for (size_t at = 0; at < len; at++) {
        if (text[at] == '\n') {
            line++;
            line_start = at + 1;
        }
        for (size_t i = 0; text[line_start] == ' ' && i < sizeof(swaps) / sizeof(swaps[0]); i++) {
            if (is_token(text, at, &swaps[i])) {
                printf("%s:%u:%zu:%s:%s\n", path, line, at - line_start, swaps[i].old, swaps[i].to);
            }
        }
    }
    free(text);
}

static int apply(char **argument)
{
    size_t len;
    char *text = read_file(argument[0], &len);
    unsigned long line = strtoul(argument[1], NULL, 10), column = strtoul(argument[2], NULL, 10);
    char *at = text;
    for (unsigned long i = 1; i < line && at != NULL; i++) {
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    if (at == NULL || strlen(at) < column ||
        strncmp(at + column, argument[3], strlen(argument[3])) != 0) {
        (void)fprintf(stderr, "mutate: no '%s' at %s:%lu:%lu\n", argument[3], argument[0], line,
                      column);
        return 2;
    }
    at += column;
    printf("%.*s%s%s", (int)(at - text), text, argument[4], at + strlen(argument[3]));
    free(text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "list") == 0) {
        for (int i = 2; i < argc; i++) {
            list(argv[i]);
        }
        return 0;
    }
    if (argc == 7 && strcmp(argv[1], "apply") == 0) {
        return apply(argv + 2);
    }
    (void)fprintf(stderr, "usage: mutate list FILE... | mutate apply FILE LINE COLUMN OLD NEW\n");
    return 2;
}
