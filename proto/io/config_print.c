/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration as text: effective values, the sample file, help; and what main() does first. */
#include <stdlib.h>
#include <string.h>

#include "proto/io/config_internal.h"
#include "proto/io/daemon.h"

/* Prints the section line when the key is in another one than the key before; the key's last part.
 */
static const char *enter(const char *name, char section[static 64], FILE *out, const char *comment)
{
    const char *dot = strchr(name, '.');
    size_t len = dot == NULL ? 0 : (size_t)(dot - name);
    if (strlen(section) != len || strncmp(section, name, len) != 0) {
        (void)snprintf(section, 64, "%.*s", (int)len, name);
        if (len > 0) {
            (void)fprintf(out, "%s%s:\n", comment, section);
        }
    }
    return dot == NULL ? name : dot + 1;
}

static bool needs_quotes(const char *text)
{
    return text[0] == '\0' || strpbrk(text, ":#{}[],&*!|>'\"%@`\\ ") != NULL || text[0] == '-' ||
           text[0] == '?';
}

static void put_scalar(const char *text, FILE *out)
{
    if (!needs_quotes(text)) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('\'', out);
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '\'' ? "''" : (const char[]){*text, '\0'}, out);
    }
    (void)fputc('\'', out);
}

static void put_items(const struct io_config_key *key, const struct config_value *value, FILE *out)
{
    bool is_map = key->type == IO_CONFIG_MAP;
    (void)fputs(is_map ? " {" : " [", out);
    for (size_t i = 0; i < value->items_count; i++) {
        const char *text = value->items[i];
        const char *equals = is_map ? strchr(text, '=') : NULL;
        (void)fputs(i == 0 ? "" : ", ", out);
        if (equals != NULL) {
            (void)fprintf(out, "%.*s: ", (int)(equals - text), text);
            text = equals + 1;
        }
        put_scalar(text, out);
    }
    (void)fputs(is_map ? "}" : "]", out);
}

void io_config_print(const struct io_config *config, FILE *out)
{
    char section[64] = "";
    for (size_t i = 0; i < config->spec->keys_count; i++) {
        const struct io_config_key *key = &config->spec->keys[i];
        const struct config_value *value = &config->values[i];
        const char *last = enter(key->name, section, out, "");
        (void)fprintf(out, "%s%s:", section[0] == '\0' ? "" : "  ", last);
        if ((key->flags & IO_CONFIG_SECRET) != 0) {
            (void)fputs(value->source == CONFIG_DEFAULT ? " ''" : " '********'", out);
        } else if (key->type == IO_CONFIG_LIST || key->type == IO_CONFIG_MAP) {
            put_items(key, value, out);
        } else {
            (void)fputc(' ', out);
            put_scalar(value->text, out);
        }
        (void)fprintf(out, "%s%s\n", value->source == CONFIG_DEFAULT ? "" : "  # ",
                      value->source == CONFIG_DEFAULT ? "" : value->origin);
    }
}

static void put_range(const struct io_config_key *key, FILE *out)
{
    char low[48];
    char high[48];
    if (key->choices != NULL) {
        (void)fprintf(out, "; one of %s", key->choices);
    } else if (key->type == IO_CONFIG_DURATION && key->max != 0) {
        (void)fprintf(out, "; %s to %s", io_duration_text(key->min, low, sizeof(low)),
                      io_duration_text(key->max, high, sizeof(high)));
    } else if (key->type == IO_CONFIG_SIZE && key->max != 0) {
        (void)fprintf(out, "; %s to %s", io_size_text(key->min, low, sizeof(low)),
                      io_size_text(key->max, high, sizeof(high)));
    } else if (key->type == IO_CONFIG_INT && key->max != 0) {
        (void)fprintf(out, "; %lld to %lld", (long long)key->min, (long long)key->max);
    }
}

static void put_default(const struct io_config_key *key, FILE *out)
{
    const char *text = key->default_text == NULL ? "" : key->default_text;
    if (key->type == IO_CONFIG_MAP && text[0] == '\0') {
        (void)fputs("{}", out);
    } else if (key->type == IO_CONFIG_LIST) {
        (void)fprintf(out, "[%s]", text);
    } else {
        put_scalar(text, out);
    }
    (void)fputc('\n', out);
}

void io_config_sample(const struct io_config_spec *spec, FILE *out)
{
    char section[64] = "";
    (void)fprintf(out, "# %s: %s\n# Lines with '#' in front show the defaults.\n", spec->program,
                  spec->summary);
    for (size_t i = 0; i < spec->keys_count; i++) {
        const struct io_config_key *key = &spec->keys[i];
        bool was_inside = section[0] != '\0';
        const char *last = enter(key->name, section, out, "\n");
        (void)fputs(was_inside && section[0] == '\0' ? "\n" : "", out);
        const char *indent = section[0] == '\0' ? "" : "  ";
        (void)fprintf(out, "%s# %s", indent, key->help);
        put_range(key, out);
        (void)fprintf(out, "\n%s%s%s: ", indent, (key->flags & IO_CONFIG_REQUIRED) != 0 ? "" : "#",
                      last);
        put_default(key, out);
    }
}

void io_config_help(const struct io_config_spec *spec, FILE *out)
{
    for (size_t i = 0; i < spec->keys_count; i++) {
        const struct io_config_key *key = &spec->keys[i];
        (void)fprintf(out, "  --%s=%s\n        %s", key->name,
                      key->default_text == NULL ? "" : key->default_text, key->help);
        put_range(key, out);
        (void)fputc('\n', out);
    }
    for (size_t i = 0; i < spec->aliases_count; i++) {
        (void)fprintf(out, "  --%s\n        Another name for --%s\n", spec->aliases[i].flag,
                      spec->aliases[i].key);
    }
    for (size_t i = 0; i < spec->absent_count; i++) {
        (void)fprintf(out, "  --%s\n        Refused: %s\n", spec->absent[i].flag,
                      spec->absent[i].why);
    }
}

static void print_help(const struct io_config_spec *spec)
{
    (void)printf("usage: %s [--config FILE] [--KEY=VALUE ...]\n\n%s.\n\n"
                 "  --config FILE     read this file%s%s\n"
                 "  --check-config    say whether the configuration is good, and exit\n"
                 "  --print-config    print every key with its value and where it came from\n"
                 "  --sample-config   print a file with every key and its default\n%s"
                 "  --version  --help\n\n"
                 "Flags win over the environment (QUORATE_SECTION_KEY), that over the file:\n\n",
                 spec->program, spec->summary, spec->default_file == NULL ? "" : "; default ",
                 spec->default_file == NULL ? "" : spec->default_file,
                 spec->words == NULL ? "" : spec->words);
    io_config_help(spec, stdout);
}

static bool has_flag(int argc, char *const *argv, const char *flag)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], flag) == 0) {
            return true;
        }
    }
    return false;
}

/* Flags that need no configuration; true when one was there. */
static bool answer_first(const struct io_config_spec *spec, int argc, char *const *argv)
{
    char memory[128];
    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        print_help(spec);
    } else if (has_flag(argc, argv, "--version")) {
        (void)puts(io_daemon_version(spec->program, memory, sizeof(memory)));
    } else if (has_flag(argc, argv, "--sample-config")) {
        io_config_sample(spec, stdout);
    } else {
        return false;
    }
    return true;
}

int io_config_main(const struct io_config_spec *spec, int argc, char *const *argv,
                   int (*check)(const struct io_config *config, struct io_why *why),
                   struct io_config **ret)
{
    struct io_why why = {""};
    struct io_config *config = NULL;
    if (answer_first(spec, argc, argv)) {
        return 0;
    }
    int rc = io_config_read(spec, argc, argv, &config, &why);
    if (rc == 0 && check != NULL) {
        rc = check(config, &why);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", spec->program, why.text);
        (void)io_config_free(config);
        return 2;
    }
    if (has_flag(argc, argv, "--print-config")) {
        io_config_print(config, stdout);
    } else if (has_flag(argc, argv, "--check-config")) {
        (void)printf("%s: the configuration is good\n",
                     io_config_file(config)[0] == '\0' ? spec->program : io_config_file(config));
    } else {
        *ret = config;
        return -1;
    }
    (void)io_config_free(config);
    return 0;
}
