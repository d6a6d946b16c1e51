/* SPDX-License-Identifier: Apache-2.0 */
/* Options of commands, and output: what the commands of `kv` share besides calls. */
#include "kv/cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("kv: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return code;
}

int cli_print_json(json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    (void)putchar('\n');
    json_decref(value);
    return IO_EXIT_OK;
}

int cli_end_list(const struct cli *cli, struct io_table *table, json_t *array, int status)
{
    if (status == 0 && cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(array));
    } else if (status == 0) {
        io_table_print(table, stdout, true);
    }
    json_decref(array);
    (void)io_table_free(table);
    return status == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

static void encode_base64(const uint8_t *data, size_t len, char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        group |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
        group |= i + 2 < len ? (uint32_t)data[i + 2] : 0;
        *ret++ = digits[group >> 18 & 63];
        *ret++ = digits[group >> 12 & 63];
        *ret++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
        *ret++ = i + 2 < len ? digits[group & 63] : '=';
    }
    *ret = '\0';
}

json_t *cli_json_bytes(const uint8_t *data, size_t len)
{
    json_t *text = json_stringn((const char *)data, len);
    if (text != NULL) {
        return text;
    }
    char *encoded = malloc((len + 2) / 3 * 4 + 1);
    if (encoded == NULL) {
        return json_null();
    }
    encode_base64(data, len, encoded);
    json_t *object = json_pack("{s:s}", "base64", encoded);
    free(encoded);
    return object;
}

static struct cli_option *find_option(const char *argument, struct cli_option *options,
                                      size_t count)
{
    size_t len = strcspn(argument, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == len && strncmp(options[i].name, argument, len) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* argv[*at] is an option: take it, and its value. */
static int take_option(int argc, char **argv, int *at, struct cli_option *options, size_t count)
{
    const char *argument = argv[*at] + 2;
    struct cli_option *option = find_option(argument, options, count);
    if (option == NULL) {
        return cli_fail(IO_EXIT_USAGE, "unknown option %s; see --help", argv[*at]);
    }
    const char *equals = strchr(argument, '=');
    if (!option->has_value) {
        option->value = "";
        return equals == NULL ? 0
                              : cli_fail(IO_EXIT_USAGE, "option --%s takes no value", option->name);
    }
    if (equals == NULL && *at + 1 >= argc) {
        return cli_fail(IO_EXIT_USAGE, "option --%s needs a value", option->name);
    }
    option->value = equals == NULL ? argv[++*at] : equals + 1;
    return 0;
}

/* "-x"; but "-" and "-5" are operands. */
static bool is_short_option(const char *argument)
{
    return argument[0] == '-' && ((argument[1] >= 'a' && argument[1] <= 'z') ||
                                  (argument[1] >= 'A' && argument[1] <= 'Z'));
}

int cli_options(int *argc, char **argv, struct cli_option *options, size_t count)
{
    int kept = 1;
    bool is_literal = false;
    for (int i = 1; i < *argc; i++) {
        if (!is_literal && strcmp(argv[i], "--") == 0) {
            is_literal = true;
        } else if (!is_literal && is_short_option(argv[i])) {
            return cli_fail(IO_EXIT_USAGE,
                            "unknown option %s; see --help; what begins with '-' and "
                            "is no option goes behind --",
                            argv[i]);
        } else if (is_literal || strncmp(argv[i], "--", 2) != 0) {
            argv[kept++] = argv[i];
        } else {
            int rc = take_option(*argc, argv, &i, options, count);
            if (rc != 0) {
                return rc;
            }
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

int cli_no_operands(int argc, char **argv, const char *command)
{
    return argc == 1 ? 0
                     : cli_fail(IO_EXIT_USAGE, "%s: '%s' is too much; see kv %s --help", command,
                                argv[1], command);
}

int cli_number(const char *what, const char *text, int64_t *ret)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        return cli_fail(IO_EXIT_USAGE, "%s: '%s' is not a number", what, text);
    }
    *ret = value;
    return 0;
}

int cli_hex_id(const char *what, const char *text, uint64_t *ret)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 16);
    if (end == text || *end != '\0' || text[0] == '-') {
        return cli_fail(IO_EXIT_USAGE, "%s: '%s' is no hexadecimal id", what, text);
    }
    *ret = value;
    return 0;
}

void cli_print_bytes(const struct cli *cli, const uint8_t *data, size_t len)
{
    if (!cli->is_hex && len > 0) {
        (void)fwrite(data, 1, len, stdout);
    }
    for (size_t i = 0; cli->is_hex && i < len; i++) {
        (void)printf("\\x%02x", data[i]);
    }
    (void)putchar('\n');
}
