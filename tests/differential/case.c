/* SPDX-License-Identifier: Apache-2.0 */
/* See case.h. */
#include "tests/differential/case.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_DEFAULT_MS 3000

static void fail(const char *line, const char *why)
{
    (void)fprintf(stderr, "etcddiff: %s in: %s\n", why, line);
    exit(2);
}

static void encode_base64(const unsigned char *data, size_t len, FILE *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned)data[i] << 16;
        n |= i + 1 < len ? (unsigned)data[i + 1] << 8 : 0;
        n |= i + 2 < len ? data[i + 2] : 0;
        (void)fputc(digits[n >> 18], out);
        (void)fputc(digits[(n >> 12) & 63], out);
        (void)fputc(i + 1 < len ? digits[(n >> 6) & 63] : '=', out);
        (void)fputc(i + 2 < len ? digits[n & 63] : '=', out);
    }
}

/* One byte of the text inside $(...), `at` moved behind it. */
static unsigned char take_byte(const char **at)
{
    if ((*at)[0] == '\\' && (*at)[1] == 'x' && isxdigit((unsigned char)(*at)[2]) &&
        isxdigit((unsigned char)(*at)[3])) {
        const char hex[3] = {(*at)[2], (*at)[3], '\0'};
        *at += 4;
        return (unsigned char)strtoul(hex, NULL, 16);
    }
    return (unsigned char)*(*at)++;
}

static char *expand(const char *line, const char *body)
{
    unsigned char bytes[1024];
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    while (*body != '\0') {
        if (strncmp(body, "$(", 2) != 0) {
            (void)fputc(*body++, out);
            continue;
        }
        size_t len = 0;
        for (body += 2; *body != ')'; len++) {
            if (*body == '\0' || len == sizeof(bytes)) {
                fail(line, "a $( without its end");
            }
            bytes[len] = take_byte(&body);
        }
        body++;
        encode_base64(bytes, len, out);
    }
    (void)fclose(out);
    return text;
}

/* Copies the next word; false at the end of the line. */
static bool take_word(const char **at, char word[CASE_TEXT_MAX])
{
    *at += strspn(*at, " ");
    size_t len = strcspn(*at, " ");
    if (len == 0 || len >= CASE_TEXT_MAX) {
        return false;
    }
    memcpy(word, *at, len);
    word[len] = '\0';
    *at += len;
    return true;
}

static void take_option(const char *line, const char *word, struct diff_case *ret)
{
    const char *value = strchr(word, '=');
    if (value == NULL) {
        fail(line, "neither an option nor a path");
        return;
    }
    value++;
    if (strncmp(word, "lines=", 6) == 0) {
        ret->lines = (unsigned)strtoul(value, NULL, 10);
    } else if (strncmp(word, "wait=", 5) == 0) {
        ret->wait_ms = (int)strtol(value, NULL, 10);
    } else if (strncmp(word, "mask=", 5) == 0) {
        (void)snprintf(ret->mask, sizeof(ret->mask), "%s", value);
    } else if (strncmp(word, "user=", 5) == 0) {
        (void)snprintf(ret->user, sizeof(ret->user), "%s", value);
    } else if (strncmp(word, "token=", 6) == 0) {
        (void)snprintf(ret->token, sizeof(ret->token), "%s", value);
    } else {
        fail(line, "unknown option");
    }
}

bool case_parse(const char *line, struct diff_case *ret)
{
    char word[CASE_TEXT_MAX];
    const char *at = line;
    *ret = (struct diff_case){.wait_ms = WAIT_DEFAULT_MS};
    if (line[0] == '#' || !take_word(&at, ret->id)) {
        return false;
    }
    for (;;) {
        if (!take_word(&at, word)) {
            fail(line, "no path");
        }
        if (word[0] == '/') {
            break;
        }
        take_option(line, word, ret);
    }
    memcpy(ret->path, word, sizeof(word));
    at += strspn(at, " ");
    ret->body = expand(line, strcmp(at, "-") == 0 ? "" : at);
    return true;
}
