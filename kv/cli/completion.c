/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for shells, made from the table of commands; see completion.h. A command's options are
 * the words with two dashes in its usage and its details. */
#include "kv/cli/completion.h"

#include <stdbool.h>
#include <string.h>

#include "kv/cli/cli.h"

#define WORD_MAX 64
#define OPTIONS_MAX 64

static const char global_options[] = "--endpoints --cacert --cert --key --user --password --token "
                                     "--output --timeout --dial-timeout --hex --help";

struct words {
    size_t count;
    char list[OPTIONS_MAX][WORD_MAX];
};

static void add_word(struct words *words, const char *text, size_t len)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strlen(words->list[i]) == len && strncmp(words->list[i], text, len) == 0) {
            return;
        }
    }
    if (words->count < OPTIONS_MAX && len < WORD_MAX) {
        memcpy(words->list[words->count], text, len);
        words->list[words->count++][len] = '\0';
    }
}

static void add_options(struct words *words, const char *text)
{
    for (const char *at = text; at != NULL && (at = strstr(at, "--")) != NULL;) {
        size_t len = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        if (len > 2) {
            add_word(words, at, len);
        }
        at += len;
    }
}

static void print_options(const struct io_command *command)
{
    struct words words = {0};
    add_options(&words, command->arguments);
    add_options(&words, command->details);
    for (size_t i = 0; i < words.count; i++) {
        (void)printf("%s ", words.list[i]);
    }
}

/* First words, or the next words of those that begin with the words `first`. */
static void print_words(const struct io_command *commands, size_t count, const char *first)
{
    struct words words = {0};
    size_t len = first == NULL ? 0 : strlen(first);
    for (size_t i = 0; i < count; i++) {
        const char *name = commands[i].name;
        if (first == NULL) {
            add_word(&words, name, strcspn(name, " "));
        } else if (strncmp(first, name, len) == 0 && name[len] == ' ') {
            add_word(&words, name + len + 1, strcspn(name + len + 1, " "));
        }
    }
    for (size_t i = 0; i < words.count; i++) {
        (void)printf("%s%s", i == 0 ? "" : " ", words.list[i]);
    }
}

static void print_bash(const struct io_command *commands, size_t count)
{
    struct words groups = {0};
    (void)puts(
        "_kv_complete() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} i line=\"\" words=\"\" n=0\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i]} in -*) ;; *) line+=\"${COMP_WORDS[i]} \" n=$((n + 1)) ;; "
        "esac\n"
        "    done\n"
        "    case $line in");
    for (size_t i = 0; i < count; i++) {
        (void)printf("    \"%s \"*) words=\"", commands[i].name);
        print_options(&commands[i]);
        (void)puts("\" ;;");
        const char *name = commands[i].name;
        for (const char *space = strchr(name, ' '); space != NULL; space = strchr(space + 1, ' ')) {
            add_word(&groups, name, (size_t)(space - name));
        }
    }
    for (size_t i = 0; i < groups.count; i++) {
        (void)printf("    \"%s \") words=\"", groups.list[i]);
        print_words(commands, count, groups.list[i]);
        (void)puts("\" ;;");
    }
    (void)printf("    \"\") words=\"");
    print_words(commands, count, NULL);
    (void)printf("\" ;;\n    esac\n"
                 "    case $word in -*) words+=\" %s\" ;; esac\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
                 "}\n"
                 "complete -F _kv_complete kv\n",
                 global_options);
}

static void print_zsh(const struct io_command *commands, size_t count)
{
    (void)puts("#compdef kv\nautoload -U +X bashcompinit && bashcompinit");
    print_bash(commands, count);
}

/* Text within single quotes. */
static void print_quoted(const char *text)
{
    (void)putchar('\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
    (void)putchar('\'');
}

static void print_fish_command(const struct io_command *command)
{
    struct words words = {0};
    const char *space = strchr(command->name, ' ');
    size_t len = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
    (void)printf("complete -c kv -f -n ");
    if (space == NULL) {
        (void)printf("__fish_use_subcommand -a %s -d ", command->name);
    } else {
        (void)printf("'__fish_seen_subcommand_from %.*s' -a %s -d ", (int)len, command->name,
                     space + 1);
    }
    print_quoted(command->help);
    (void)putchar('\n');
    add_options(&words, command->arguments);
    add_options(&words, command->details);
    for (size_t i = 0; i < words.count; i++) {
        (void)printf("complete -c kv -n '__fish_seen_subcommand_from %s' -l %s\n",
                     space == NULL ? command->name : space + 1, words.list[i] + 2);
    }
}

static void print_fish(const struct io_command *commands, size_t count)
{
    struct words groups = {0};
    for (size_t i = 0; i < count; i++) {
        const char *space = strchr(commands[i].name, ' ');
        if (space != NULL) {
            add_word(&groups, commands[i].name, (size_t)(space - commands[i].name));
        }
        print_fish_command(&commands[i]);
    }
    for (size_t i = 0; i < groups.count; i++) {
        (void)printf("complete -c kv -f -n __fish_use_subcommand -a %s\n", groups.list[i]);
    }
}

int completion_print(const char *shell, const struct io_command *commands, size_t count)
{
    static const struct {
        const char *name;
        void (*print)(const struct io_command *commands, size_t count);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < BASE_COUNT_OF(shells); i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print(commands, count);
            return IO_EXIT_OK;
        }
    }
    return cli_fail(IO_EXIT_USAGE, "completion: '%s'; allowed: bash zsh fish", shell);
}
