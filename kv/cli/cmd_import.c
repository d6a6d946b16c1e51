/* SPDX-License-Identifier: Apache-2.0 */
/* kv import-patroni: a member's file of Patroni's becomes the agent's file, the password file and
 * the cluster's configuration document, with a list of what became of each key. Needs no
 * connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "kv/cli/patroni.h"

#define PATH_BYTES 1024
#define NODES_MAX 7
#define DYNAMIC_PREFIX "bootstrap.dcs."

enum { OPT_DYNAMIC, OPT_NODES, OPT_OUT, OPT_TLS_DIR, OPT_PASSWORDS, OPT_FORCE, OPT_COUNT };

struct job {
    struct cli *cli;
    struct flat_file file;
    struct patroni_import import;
    const char *out;
    const char *tls_dir;
    const char *passwords;
    bool is_forced;
    json_t *report; /* of objects {key, fate, ours, note, line} */
    char cluster[BASE_NAME_MAX + 1];
    char member[BASE_NAME_MAX + 1];
};

/* --- the report --- */

static void tell(struct job *job, const char *key, const char *fate, const char *ours,
                 const char *note, size_t line)
{
    (void)json_array_append_new(job->report,
                                json_pack("{s:s, s:s, s:s, s:s, s:I}", "key", key, "fate", fate,
                                          "quorate", ours == NULL ? "" : ours, "note",
                                          note == NULL ? "" : note, "line", (json_int_t)line));
}

static void take_leaf(struct job *job, const struct flat_leaf *leaf)
{
    const struct patroni_row *row = patroni_row_of(leaf->path);
    if (row == NULL) {
        tell(job, leaf->path, "not known", NULL, "not a key of Patroni's documentation",
             leaf->line);
        return;
    }
    bool is_taken = row->take != NULL && row->take(&job->import, row, leaf);
    bool is_refused = row->take != NULL && !is_taken;
    tell(job, leaf->path, is_refused ? "not taken" : patroni_fate_text(row->fate), row->ours,
         is_refused && row->text == NULL ? "the value is not one that can be taken" : row->text,
         leaf->line);
}

static void take_all(struct job *job)
{
    const struct flat_file *file = &job->file;
    for (size_t i = 0; i < file->count; i++) {
        take_leaf(job, &file->leaves[i]);
    }
}

/* --- what no key of Patroni's says --- */

static const char *text_at(const json_t *object, const char *section, const char *key)
{
    const json_t *found = section == NULL ? object : json_object_get(object, section);
    return json_string_value(json_object_get(found, key));
}

static void put_default(json_t *object, const char *section, const char *key, const char *value)
{
    char path[FLAT_PATH_MAX];
    const json_t *found = section == NULL ? object : json_object_get(object, section);
    if (json_object_get(found, key) != NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s%s%s", section == NULL ? "" : section,
                   section == NULL ? "" : ".", key);
    patroni_put(object, path, json_string(value));
}

/* "a=10.0.0.1:2380,..." */
static int put_nodes(struct job *job, char *list)
{
    json_t *nodes = json_object();
    char *rest = NULL;
    int rc = 0;
    for (char *one = strtok_r(list, ",", &rest); one != NULL && rc == 0;
         one = strtok_r(NULL, ",", &rest)) {
        struct base_name name;
        char *equals = strchr(one, '=');
        if (equals == NULL || base_name_from(slice_from(one, (size_t)(equals - one)), &name) != 0 ||
            strrchr(equals, ':') == NULL) {
            rc = cli_fail(IO_EXIT_USAGE, "--nodes: '%s'; allowed: NAME=HOST:PORT,...", one);
        } else {
            (void)json_object_set_new(nodes, name.text, json_string(equals + 1));
        }
    }
    patroni_put(job->import.agent, "quorum.nodes", nodes);
    return rc;
}

/* Hosts of the store that Patroni uses now: likely those of the quorum, too. */
static int guess_nodes(struct job *job)
{
    char list[NODES_MAX * 280] = "";
    size_t used = 0;
    unsigned count = 0;
    static const char *const paths[] = {"etcd3.hosts", "etcd3.host", "etcd.hosts", "etcd.host"};
    for (size_t i = 0; i < job->file.count; i++) {
        const struct flat_leaf *leaf = &job->file.leaves[i];
        bool is_host = false;
        for (size_t k = 0; k < BASE_COUNT_OF(paths); k++) {
            is_host = is_host || strcmp(leaf->path, paths[k]) == 0;
        }
        for (const char *at = leaf->value; is_host && *at != '\0' && count < NODES_MAX;) {
            size_t len = strcspn(at, ", ");
            size_t host = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":, ");
            host = host < len ? host : len;
            if (host > 0 && host < 256) {
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%sn%u=%.*s:2380",
                                         count > 0 ? "," : "", count + 1, (int)host, at);
                count++;
            }
            at += len + strspn(at + len, ", ");
        }
    }
    if (count == 0) {
        return cli_fail(IO_EXIT_USAGE, "the quorum's nodes are not known: say "
                                       "--nodes a=HOST:2380,b=HOST:2380,c=HOST:2380");
    }
    tell(job, "(none)", "assumed", "quorum.nodes",
         "the hosts of Patroni's store, port 2380; say --nodes where they are others", 0);
    return put_nodes(job, list);
}

static void put_file(struct job *job, const char *path, const char *role, const char *suffix)
{
    char text[PATH_BYTES];
    if (role == NULL) {
        (void)snprintf(text, sizeof(text), "%s/ca.crt", job->tls_dir);
    } else {
        (void)snprintf(text, sizeof(text), "%s/%s-%s-%s%s", job->tls_dir, role, job->cluster,
                       job->member, suffix);
    }
    patroni_put(job->import.agent, path, json_string(text));
}

static void complete_agent(struct job *job)
{
    json_t *agent = job->import.agent;
    char path[PATH_BYTES];
    patroni_put(agent, "cluster.adopt", json_string("running"));
    put_file(job, "tls.ca", NULL, "");
    put_file(job, "tls.cert", "agent", ".crt");
    put_file(job, "tls.key", "agent", ".key");
    put_file(job, "postgresql.tls_cert", "member", ".crt");
    put_file(job, "postgresql.tls_key", "member", ".key");
    (void)snprintf(path, sizeof(path), "/var/lib/quorate/%s", job->cluster);
    put_default(agent, NULL, "state_dir", path);
    put_default(agent, NULL, "run_dir", "/run/quorate");
    put_default(agent, "postgresql", "password_file", job->passwords);
    put_default(agent, "postgresql", "socket_dir", "/var/run/postgresql");
}

/* Patroni is asynchronous unless told otherwise; that stays, and is said. */
static void complete_document(struct job *job)
{
    json_t *document = job->import.document;
    bool has_lines =
        json_object_get(json_object_get(document, "postgresql"), "pg_hba") != NULL ||
        json_object_get(json_object_get(job->import.agent, "postgresql"), "hba") != NULL;
    if (json_object_get(document, "sync") == NULL) {
        patroni_put(document, "sync", json_string("off"));
        tell(job, "(none)", "default", "sync",
             "off, as Patroni's default; on: a failover loses nothing (kv db config set)", 0);
    }
    const char *sync = json_string_value(json_object_get(document, "sync"));
    if (sync != NULL && strcmp(sync, "off") == 0) {
        (void)json_object_del(document, "strict");
    }
    if (!has_lines) {
        patroni_put(document, "postgresql.pg_hba", json_string("keep"));
        tell(job, "(none)", "default", "postgresql.pg_hba",
             "keep: the lines that are there stay behind our own", 0);
    }
}

static void complete_secrets(struct job *job)
{
    json_t *secrets = job->import.secrets;
    json_t *replication = json_object_get(secrets, "replication");
    if (json_object_get(secrets, "rewind") == NULL && replication != NULL) {
        (void)json_object_set(secrets, "rewind", replication);
        tell(job, "(none)", "default", "rewind", "the password of replication", 0);
    }
    if (replication == NULL) {
        tell(job, "(none)", "missing", "replication",
             "no password that can be taken: write the password file yourself, the same on all "
             "members, lines replication:... and rewind:...",
             0);
    }
}

static int complete(struct job *job, char *nodes)
{
    const json_t *agent = job->import.agent;
    const char *cluster = text_at(agent, "cluster", "name");
    const char *member = text_at(agent, NULL, "member");
    const char *missing = cluster == NULL || cluster[0] == '\0'       ? "scope"
                          : member == NULL || member[0] == '\0'       ? "name"
                          : text_at(agent, NULL, "advertise") == NULL ? "postgresql.connect_address"
                          : text_at(agent, "postgresql", "data_dir") == NULL ? "postgresql.data_dir"
                                                                             : NULL;
    if (missing != NULL) {
        return cli_fail(IO_EXIT_REFUSED, "the file has no %s that can be taken: is it a member's?",
                        missing);
    }
    (void)snprintf(job->cluster, sizeof(job->cluster), "%s", cluster);
    (void)snprintf(job->member, sizeof(job->member), "%s", member);
    int rc = nodes != NULL ? put_nodes(job, nodes) : guess_nodes(job);
    if (rc == 0) {
        complete_agent(job);
        complete_document(job);
        complete_secrets(job);
    }
    return rc;
}

/* --- files --- */

static int open_out(const struct job *job, const char *name, mode_t mode, FILE **ret)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s", job->out, name);
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (job->is_forced ? O_TRUNC : O_EXCL);
    int fd = open(path, flags, mode);
    *ret = fd < 0 ? NULL : fdopen(fd, "w");
    if (*ret == NULL) {
        int number = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return cli_fail(IO_EXIT_REFUSED, "%s: %s%s", path, strerror(number),
                        number == EEXIST ? "; --force writes over it" : "");
    }
    return fchmod(fd, mode) == 0 ? 0 : cli_fail(IO_EXIT_INTERNAL, "%s: %s", path, strerror(errno));
}

static int close_out(FILE *out, const char *name)
{
    bool is_bad = ferror(out) != 0;
    is_bad = fclose(out) != 0 || is_bad;
    return is_bad ? cli_fail(IO_EXIT_INTERNAL, "cannot write %s: %s", name, strerror(errno)) : 0;
}

static int write_agent(const struct job *job, const char *name)
{
    FILE *out = NULL;
    int rc = open_out(job, name, 0640, &out);
    if (rc != 0) {
        return rc;
    }
    (void)fprintf(out, "# Agent of member %s of cluster %s, made from Patroni's file.\n",
                  job->member, job->cluster);
    patroni_print_agent(job->import.agent, out);
    return close_out(out, name);
}

static int write_document(const struct job *job)
{
    FILE *out = NULL;
    int rc = open_out(job, "cluster.json", 0640, &out);
    if (rc != 0) {
        return rc;
    }
    (void)json_dumpf(job->import.document, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    return close_out(out, "cluster.json");
}

static int write_secrets(const struct job *job)
{
    FILE *out = NULL;
    const char *role = NULL;
    json_t *value = NULL;
    if (json_object_get(job->import.secrets, "replication") == NULL) {
        return 0;
    }
    int rc = open_out(job, "passwords", 0600, &out);
    if (rc != 0) {
        return rc;
    }
    json_object_foreach(job->import.secrets, role, value)
    {
        (void)fprintf(out, "%s:%s\n", role, json_string_value(value));
    }
    return close_out(out, "passwords");
}

static int write_all(struct job *job, char *agent_name, size_t cap)
{
    (void)snprintf(agent_name, cap, "agent-%s.yml", job->cluster);
    if (mkdir(job->out, 0750) != 0 && errno != EEXIST) {
        return cli_fail(IO_EXIT_REFUSED, "%s: %s", job->out, strerror(errno));
    }
    int rc = write_agent(job, agent_name);
    rc = rc != 0 ? rc : write_document(job);
    return rc != 0 ? rc : write_secrets(job);
}

/* --- the answer --- */

static int add_row(struct io_table *table, const json_t *row)
{
    return IO_TABLE_ADD(table, json_string_value(json_object_get(row, "key")),
                        json_string_value(json_object_get(row, "fate")),
                        json_string_value(json_object_get(row, "quorate")),
                        json_string_value(json_object_get(row, "note")));
}

static int print_table(const struct job *job, const char *agent_name)
{
    struct io_table *table = io_table_new("PATRONI|FATE|QUORATE|NOTE");
    size_t i = 0;
    json_t *row = NULL;
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    json_array_foreach(job->report, i, row)
    {
        rc = rc != 0 ? rc : add_row(table, row);
    }
    if (rc == 0) {
        io_table_print(table, stdout, true);
        (void)printf("\nwritten: %s/%s, %s/cluster.json, %s/passwords\n"
                     "next: the document once (kv db create %s --file %s/cluster.json), the other "
                     "files to the member's host; docs/from-patroni.md goes on from here\n",
                     job->out, agent_name, job->out, job->out, job->cluster, job->out);
    }
    table = io_table_free(table);
    return rc == 0 ? 0 : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

static int answer(struct job *job, const char *agent_name)
{
    if (job->cli->output != CLI_JSON) {
        return print_table(job, agent_name);
    }
    return cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:O, s:O}", "cluster", job->cluster,
                                    "member", job->member, "out", job->out, "agent", agent_name,
                                    "document", job->import.document, "keys", job->report));
}

static int read_files(struct job *job, const char *path, const char *dynamic)
{
    struct io_why why = {""};
    int rc = flat_read(path, "", &job->file, &why);
    if (rc == 0 && dynamic != NULL) { /* the present state instead of that of the first day */
        flat_drop(&job->file, DYNAMIC_PREFIX);
        rc = flat_read(dynamic, DYNAMIC_PREFIX, &job->file, &why);
    }
    return rc == 0 ? 0 : cli_fail(io_exit_of(rc), "%s", why.text);
}

static void drop_secrets(json_t *secrets)
{
    const char *role = NULL;
    json_t *value = NULL;
    json_object_foreach(secrets, role, value)
    {
        char *text = (char *)(uintptr_t)json_string_value(value);
        explicit_bzero(text, strlen(text));
    }
    json_decref(secrets);
}

static int run(struct job *job, const char *path, const char *dynamic, char *nodes)
{
    char agent_name[BASE_NAME_MAX + 16];
    int rc = read_files(job, path, dynamic);
    if (rc == 0) {
        take_all(job);
        rc = complete(job, nodes);
    }
    rc = rc != 0 ? rc : write_all(job, agent_name, sizeof(agent_name));
    return rc != 0 ? rc : answer(job, agent_name);
}

int cmd_import_patroni(void *ctx, int argc, char **argv)
{
    struct cli_option options[OPT_COUNT] = {[OPT_DYNAMIC] = {"dynamic", true, NULL},
                                            [OPT_NODES] = {"nodes", true, NULL},
                                            [OPT_OUT] = {"out", true, NULL},
                                            [OPT_TLS_DIR] = {"tls-dir", true, NULL},
                                            [OPT_PASSWORDS] = {"passwords", true, NULL},
                                            [OPT_FORCE] = {"force", false, NULL}};
    int rc = cli_options(&argc, argv, options, OPT_COUNT);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv import-patroni FILE [--dynamic FILE] "
                                     "[--nodes NAME=HOST:PORT,...] [--out DIR]");
    }
    if (rc != 0) {
        return rc;
    }
    struct job job = {
        .cli = ctx,
        .out = options[OPT_OUT].value == NULL ? "." : options[OPT_OUT].value,
        .tls_dir =
            options[OPT_TLS_DIR].value == NULL ? "/etc/quorate/tls" : options[OPT_TLS_DIR].value,
        .passwords = options[OPT_PASSWORDS].value == NULL ? "/etc/quorate/passwords"
                                                          : options[OPT_PASSWORDS].value,
        .is_forced = options[OPT_FORCE].value != NULL,
        .report = json_array(),
        .import = {.agent = json_object(), .document = json_object(), .secrets = json_object()}};
    job.import.file = &job.file;
    char *nodes = options[OPT_NODES].value == NULL ? NULL : strdup(options[OPT_NODES].value);
    rc = run(&job, argv[1], options[OPT_DYNAMIC].value, nodes);
    free(nodes);
    drop_secrets(job.import.secrets);
    json_decref(job.import.agent);
    json_decref(job.import.document);
    json_decref(job.report);
    flat_free(&job.file);
    return rc;
}
