/* SPDX-License-Identifier: Apache-2.0 */
/* kv db create, config show, set, edit, history; promote-cluster and demote-cluster, which set one
 * section of it. Every change is written over the revision that was read, or refused. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"
#include "kv/cli/setup.h"
#include "proto/io/json_patch.h"

/* --- files --- */

/* "-": standard input. */
static int load_file(const char *path, json_t **ret)
{
    json_error_t error;
    bool is_input = strcmp(path, "-") == 0;
    json_t *document = is_input ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                                : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(document)) {
        json_decref(document);
        return cli_fail(IO_EXIT_USAGE, "%s: line %d: %s", path, error.line,
                        document == NULL ? error.text : "not a JSON object");
    }
    *ret = document;
    return 0;
}

/* --- writing --- */

static int done(struct cli *cli, char *name, uint64_t revision, bool is_waiting)
{
    if (cli->output == CLI_JSON && !is_waiting) {
        return cli_print_json(json_pack("{s:I}", "revision", (json_int_t)revision));
    }
    if (cli->output != CLI_JSON) {
        (void)printf("%s: configuration revision %" PRIu64 "\n", name, revision);
        (void)fflush(stdout);
    }
    return is_waiting ? db_wait(cli, name, db_is_configured, &revision, false) : 0;
}

static int assign_all(json_t *document, char **assignments)
{
    int rc = 0;
    for (; *assignments != NULL && rc == 0; assignments++) {
        static const char *const fast[] = {"ttl=600ms", "heartbeat=100ms"};
        static const char *const standard[] = {"ttl=null", "heartbeat=null"};
        bool is_fast = strcmp(*assignments, "profile=fast") == 0;
        if (!is_fast && strcmp(*assignments, "profile=default") != 0) {
            rc = db_config_assign(document, *assignments);
            continue;
        }
        for (size_t i = 0; i < BASE_COUNT_OF(fast) && rc == 0; i++) {
            rc = db_config_assign(document, is_fast ? fast[i] : standard[i]);
        }
    }
    return rc;
}

/* What is there already is changed, not made. */
static int check_is_new(struct cli *cli, const char *name)
{
    Quorate__V1__DatabaseListRequest request;
    ProtobufCMessage *message = NULL;
    quorate__v1__database_list_request__init(&request);
    int rc = cli_call(cli, "/quorate.v1.Databases/List", &request.base,
                      &quorate__v1__database_list_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseListResponse *answer =
        (const Quorate__V1__DatabaseListResponse *)(const void *)message;
    for (size_t i = 0; i < answer->n_clusters && rc == 0; i++) {
        if (strcmp(answer->clusters[i]->name, name) == 0 && answer->clusters[i]->epoch != 0) {
            rc = cli_fail(IO_EXIT_REFUSED, "%s runs already; kv db config set changes it", name);
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

/* Which engine a cluster is of shows by the section of its document, empty or not. */
static int assign_engine(json_t *document, const char *engine)
{
    char known[128] = "";
    for (size_t i = 0; i < setup_engines_count; i++) {
        size_t len = strlen(known);
        (void)snprintf(known + len, sizeof(known) - len, "%s%s", i == 0 ? "" : ", ",
                       setup_engines[i].name);
        if (strcmp(setup_engines[i].name, engine) != 0) {
            continue;
        }
        if (json_object_get(document, engine) == NULL) {
            (void)json_object_set_new(document, engine, json_object());
        }
        return 0;
    }
    return cli_fail(IO_EXIT_USAGE, "engine '%s' is not known; there are: %s", engine, known);
}

int cmd_db_create(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"file", true, NULL}, {"engine", true, NULL}};
    json_t *document = NULL;
    uint64_t revision = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && argc < 2) {
        rc =
            cli_fail(IO_EXIT_USAGE, "usage: kv db create CLUSTER [KEY=VALUE ...] [--engine ENGINE] "
                                    "[--file FILE]");
    }
    rc = rc != 0 ? rc : check_is_new(ctx, argv[1]);
    rc = rc != 0 || options[0].value == NULL ? rc : load_file(options[0].value, &document);
    if (rc == 0 && document == NULL) {
        document = json_object();
    }
    rc = rc != 0 || options[1].value == NULL ? rc : assign_engine(document, options[1].value);
    rc = rc != 0 ? rc : assign_all(document, argv + 2);
    rc = rc != 0 ? rc : db_config_put(ctx, argv[1], 0, document, &revision);
    json_decref(document);
    return rc != 0 ? rc : done(ctx, argv[1], revision, false);
}

int cmd_db_config_set(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"wait", false, NULL}};
    uint64_t revision = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && argc < 3) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv db config set CLUSTER KEY=VALUE ... [--wait]");
    }
    if (rc == 0) {
        json_t *document = NULL;
        uint64_t expect = 0;
        rc = db_config_get(ctx, argv[1], &expect, &document);
        rc = rc != 0 ? rc : assign_all(document, argv + 2);
        rc = rc != 0 ? rc : db_config_put(ctx, argv[1], expect, document, &revision);
        json_decref(document);
    }
    return rc != 0 ? rc : done(ctx, argv[1], revision, options[0].value != NULL);
}

/* --- editing --- */

static int run(const char *const *command)
{
    int status = 0;
    union {
        const char *const *in;
        char *const *out;
    } u = {.in = command};
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)execvp(command[0], u.out);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *editor(void)
{
    const char *visual = getenv("VISUAL");
    const char *plain = getenv("EDITOR");
    return visual != NULL && visual[0] != '\0' ? visual
           : plain != NULL && plain[0] != '\0' ? plain
                                               : "vi";
}

/* Two private files: what stands, and what is edited. */
struct edit {
    char before[64];
    char after[64];
};

static int write_private(char path[static 64], const json_t *document)
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, 64, "%.40s/kv-config-XXXXXX", dir == NULL ? "/tmp" : dir);
    int fd = mkstemp(path); /* mode 0600 */
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        path[0] = '\0';
        return cli_fail(IO_EXIT_INTERNAL, "no file can be made in %s: %s",
                        dir == NULL ? "/tmp" : dir, strerror(errno));
    }
    (void)json_dumpf(document, file, JSON_INDENT(2));
    (void)fputc('\n', file);
    return fclose(file) == 0 ? 0 : cli_fail(IO_EXIT_INTERNAL, "%s cannot be written", path);
}

/* Shows what would change and asks. */
static int agree(const struct edit *edit, bool is_forced)
{
    const char *const diff[] = {"diff", "-u", edit->before, edit->after, NULL};
    char line[8] = "";
    int rc = run(diff);
    if (rc == 0) {
        return cli_fail(IO_EXIT_OK, "nothing was changed");
    }
    if (is_forced) {
        return -1;
    }
    if (isatty(STDIN_FILENO) == 0) {
        return cli_fail(IO_EXIT_REFUSED, "nobody is there to agree; give --force");
    }
    (void)fprintf(stderr, "Write this? [y/N] ");
    bool is_yes = fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
    return is_yes ? -1 : cli_fail(IO_EXIT_REFUSED, "nothing was written");
}

static int edit_by_hand(const struct edit *edit, json_t **ret)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "exec %.400s \"$1\"", editor());
    const char *const shell[] = {"sh", "-c", command, "sh", edit->after, NULL};
    int rc = run(shell);
    if (rc != 0) {
        return cli_fail(IO_EXIT_INTERNAL, "%s ended with %d; nothing was written", editor(), rc);
    }
    return load_file(edit->after, ret);
}

/* From `document` to what is wanted: merged with a file, replaced by one, or edited. */
static int wanted_of(struct edit *edit, json_t *document, const char *apply, const char *replace,
                     json_t **ret)
{
    json_t *other = NULL;
    int rc = write_private(edit->before, document);
    if (rc != 0 || (apply == NULL && replace == NULL)) {
        rc = rc != 0 ? rc : write_private(edit->after, document);
        return rc != 0 ? rc : edit_by_hand(edit, ret);
    }
    rc = load_file(apply != NULL ? apply : replace, &other);
    if (rc != 0) {
        return rc;
    }
    *ret = replace != NULL ? json_incref(other) : json_deep_copy(document);
    if (apply != NULL) {
        io_json_patch(*ret, other);
    }
    json_decref(other);
    return write_private(edit->after, *ret);
}

int cmd_db_config_edit(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"apply", true, NULL},
                                   {"replace", true, NULL},
                                   {"force", false, NULL},
                                   {"wait", false, NULL}};
    struct edit edit = {"", ""};
    json_t *document = NULL;
    json_t *wanted = NULL;
    uint64_t expect = 0;
    uint64_t revision = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc
                 : db_one_cluster(argc, "db config edit [--apply FILE | --replace FILE] [--force] "
                                        "[--wait]");
    rc = rc != 0 ? rc : db_config_get(ctx, argv[1], &expect, &document);
    rc = rc != 0 ? rc : wanted_of(&edit, document, options[0].value, options[1].value, &wanted);
    bool may_write = false;
    if (rc == 0) {
        rc = agree(&edit, options[2].value != NULL);
        may_write = rc < 0;
        rc = may_write ? db_config_put(ctx, argv[1], expect, wanted, &revision) : rc;
    }
    for (int i = 0; i < 2; i++) {
        const char *path = i == 0 ? edit.before : edit.after;
        if (path[0] != '\0') {
            (void)unlink(path);
        }
    }
    json_decref(document);
    json_decref(wanted);
    return rc != 0 || !may_write ? rc : done(ctx, argv[1], revision, options[3].value != NULL);
}

/* --- looking --- */

int cmd_db_config_show(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"revision", true, NULL}, {"effective", false, NULL}};
    Quorate__V1__DatabaseConfigRequest request;
    ProtobufCMessage *message = NULL;
    const struct cli *cli = ctx;
    int64_t revision = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_config_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db config show [--revision N] [--effective]");
    rc = rc != 0 || options[0].value == NULL
             ? rc
             : cli_number("--revision", options[0].value, &revision);
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    request.revision = (uint64_t)revision;
    request.effective = options[1].value != NULL;
    rc = cli_call(ctx, "/quorate.v1.Databases/Config", &request.base,
                  &quorate__v1__database_config_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseConfigResponse *answer =
        (const Quorate__V1__DatabaseConfigResponse *)(const void *)message;
    json_t *document = json_loads(answer->json, 0, NULL);
    document = document == NULL ? json_null() : document;
    if (cli->output == CLI_JSON) {
        document = json_pack("{s:I, s:I, s:I, s:o}", "revision", (json_int_t)answer->revision,
                             "in_force", (json_int_t)answer->in_force, "newest",
                             (json_int_t)answer->newest, "document", document);
    }
    rc = cli_print_json(document);
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

static int print_revisions(const struct cli *cli,
                           const Quorate__V1__DatabaseConfigHistoryResponse *answer)
{
    json_t *array = json_array();
    struct io_table *table = io_table_new(">REVISION|WHEN|DOCUMENT");
    int rc = table == NULL || array == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < answer->n_revisions && rc == 0; i++) {
        const Quorate__V1__DatabaseConfigRevision *r = answer->revisions[i];
        char number[CELL_MAX];
        char wall[CELL_MAX];
        char text[64];
        json_t *document = json_loads(r->json, 0, NULL);
        (void)snprintf(text, sizeof(text), "%.56s%s", r->json, strlen(r->json) > 56 ? " ..." : "");
        (void)json_array_append_new(array, json_pack("{s:I, s:I, s:o}", "revision",
                                                     (json_int_t)r->revision, "wall_us",
                                                     (json_int_t)r->wall_us, "document",
                                                     document == NULL ? json_null() : document));
        rc = IO_TABLE_ADD(table, db_number_text(r->revision, number),
                          db_wall_text(r->wall_us, wall), text);
    }
    return cli_end_list(cli, table, array, rc);
}

int cmd_db_config_history(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseConfigHistoryRequest request;
    ProtobufCMessage *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    quorate__v1__database_config_history_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db config history");
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    rc = cli_call(ctx, "/quorate.v1.Databases/ConfigHistory", &request.base,
                  &quorate__v1__database_config_history_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_revisions(
            ctx, (const Quorate__V1__DatabaseConfigHistoryResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

/* --- a cluster that follows another one --- */

static bool is_leading(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const bool *wanted = ctx;
    return (c->is_standby_cluster != 0) == *wanted && strcmp(c->state, "no primary") != 0;
}

/* standby: the section; NULL takes it away. */
static int set_standby(struct cli *cli, char *name, json_t *standby, bool is_waiting)
{
    json_t *document = NULL;
    uint64_t expect = 0;
    uint64_t revision = 0;
    bool is_standby = standby != NULL;
    int rc = db_config_get(cli, name, &expect, &document);
    if (rc == 0 && standby == NULL && json_object_del(document, "standby_cluster") != 0) {
        rc = cli_fail(IO_EXIT_REFUSED, "%s is no standby cluster", name);
    } else if (rc == 0 && standby != NULL) {
        (void)json_object_set(document, "standby_cluster", standby);
    }
    rc = rc != 0 ? rc : db_config_put(cli, name, expect, document, &revision);
    json_decref(document);
    json_decref(standby);
    rc = rc != 0 ? rc : done(cli, name, revision, false);
    return rc != 0 || !is_waiting ? rc : db_wait(cli, name, is_leading, &is_standby, false);
}

int cmd_db_promote_cluster(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"force", false, NULL}, {"wait", false, NULL}};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : db_one_cluster(argc, "db promote-cluster [--force] [--wait]");
    rc = rc != 0 ? rc
                 : db_confirm(options[0].value != NULL, argv[1],
                              "This cluster opens for writes. The one that it follows must not "
                              "write any more: nothing stops it from here");
    return rc != 0 ? rc : set_standby(ctx, argv[1], NULL, options[1].value != NULL);
}

int cmd_db_demote_cluster(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"host", true, NULL},
                                   {"port", true, NULL},
                                   {"primary-slot-name", true, NULL},
                                   {"restore-command", true, NULL},
                                   {"force", false, NULL},
                                   {"wait", false, NULL}};
    int64_t port = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0
             ? rc
             : db_one_cluster(argc, "db demote-cluster --host H [--port P] [--primary-slot-name "
                                    "S] [--restore-command C] [--force] [--wait]");
    if (rc == 0 && options[0].value == NULL && options[3].value == NULL) {
        rc = cli_fail(IO_EXIT_USAGE, "--host or --restore-command says whom it follows");
    }
    rc = rc != 0 || options[1].value == NULL ? rc : cli_number("--port", options[1].value, &port);
    rc = rc != 0 ? rc
                 : db_confirm(options[4].value != NULL, argv[1],
                              "This cluster stops taking writes and follows another one; what "
                              "that one does not have is thrown away");
    if (rc != 0) {
        return rc;
    }
    json_t *standby = json_object();
    static const char *const keys[] = {"host", NULL, "primary_slot_name", "restore_command"};
    for (size_t i = 0; i < BASE_COUNT_OF(keys); i++) {
        if (keys[i] != NULL && options[i].value != NULL) {
            (void)json_object_set_new(standby, keys[i], json_string(options[i].value));
        }
    }
    if (options[1].value != NULL) {
        (void)json_object_set_new(standby, "port", json_integer(port));
    }
    return set_standby(ctx, argv[1], standby, options[5].value != NULL);
}
