/* SPDX-License-Identifier: Apache-2.0 */
/* kv setup: from a plan to one archive for each host, with certificates, configurations and unit
 * drop-ins, and to the list of what is to be typed where. What is there already (authority,
 * certificates, passwords) is used again, so that a host can be added later. Needs no connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kv/cli/cert_make.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "kv/cli/setup.h"

#define PATH_BYTES 1100
#define FLAGS_MAX 48
#define PASSWORD_LEN 24

struct job {
    struct cli *cli;
    struct setup_plan plan;
    const char *out;
    char tls[PATH_BYTES];
    bool is_forced;
};

/* --- certificates --- */

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_BYTES + 256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static int issue(const struct job *job, enum cert_role role, const char *role_name,
                 const struct setup_host *host, const char *name)
{
    char file[256];
    char error[CERT_ERROR_MAX];
    struct cert_info info;
    bool has_cluster = role == CERT_ROLE_AGENT || role == CERT_ROLE_MEMBER;
    const char *cluster = io_config_text(job->plan.config, SETUP_KEY_CLUSTER);
    struct cert_spec spec = {
        .role = role, .directory = job->tls, .name = name, .cluster = has_cluster ? cluster : NULL};
    (void)snprintf(file, sizeof(file), "%s-%s%s%s.key", role_name, has_cluster ? cluster : "",
                   has_cluster ? "-" : "", name);
    if (is_there(job->tls, file)) {
        return 0;
    }
    if (role == CERT_ROLE_NODE || role == CERT_ROLE_MEMBER) {
        spec.hosts[spec.hosts_count++] = host->address;
        if (strcmp(host->address, name) != 0) {
            spec.hosts[spec.hosts_count++] = name;
        }
        if (role == CERT_ROLE_MEMBER && job->plan.engine->has_key) {
            spec.hosts[spec.hosts_count++] = "127.0.0.1"; /* a set is founded from its own host */
        }
    }
    int rc = cert_issue(&spec, &info, error);
    return rc == 0 ? 0 : cli_fail(io_exit_of(rc), "%s", error);
}

static int issue_all(const struct job *job)
{
    char error[CERT_ERROR_MAX];
    struct cert_info info;
    int rc = 0;
    if (!is_there(job->tls, "ca.key")) {
        rc = cert_authority_make(job->tls, "Quorate authority", 0, &info, error);
        rc = rc == 0 ? 0 : cli_fail(io_exit_of(rc), "%s", error);
    }
    for (size_t i = 0; i < job->plan.hosts_count && rc == 0; i++) {
        const struct setup_host *host = &job->plan.hosts[i];
        const char *name = host->name.text;
        rc = host->has_node ? issue(job, CERT_ROLE_NODE, "node", host, name) : 0;
        if (rc == 0 && host->has_member) {
            rc = issue(job, CERT_ROLE_AGENT, "agent", host, name);
            rc = rc != 0 ? rc : issue(job, CERT_ROLE_MEMBER, "member", host, name);
        }
    }
    const char *admin = io_config_text(job->plan.config, SETUP_KEY_ADMIN);
    return rc != 0 ? rc : issue(job, CERT_ROLE_ADMIN, "admin", NULL, admin);
}

/* --- files --- */

static int open_new(const char *path, bool is_forced, FILE **ret)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (is_forced ? O_TRUNC : O_EXCL);
    int fd = open(path, flags, 0600);
    if (fd >= 0 && fchmod(fd, 0600) == 0) {
        *ret = fdopen(fd, "w");
        return *ret != NULL ? 0 : cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    int number = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return cli_fail(IO_EXIT_REFUSED, "%s: %s%s", path, strerror(number),
                    number == EEXIST ? "; --force writes it anew from the plan" : "");
}

static int close_new(const char *path, FILE *file, int rc)
{
    bool is_bad = ferror(file) != 0;
    is_bad = fflush(file) != 0 || fsync(fileno(file)) != 0 || is_bad;
    is_bad = fclose(file) != 0 || is_bad;
    if (rc == 0 && is_bad) {
        return cli_fail(IO_EXIT_INTERNAL, "cannot write %s: %s", path, strerror(errno));
    }
    return rc;
}

static void print_password(const char *role, FILE *out)
{
    static const char letters[] =
        "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789_-.+~%^";
    unsigned char bytes[PASSWORD_LEN];
    char text[PASSWORD_LEN + 1];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        abort(); /* the kernel gives 24 bytes always */
    }
    for (size_t i = 0; i < PASSWORD_LEN; i++) {
        text[i] = letters[bytes[i] % (sizeof(letters) - 1)];
    }
    text[PASSWORD_LEN] = '\0';
    (void)fprintf(out, "%s:%s\n", role, text);
    explicit_bzero(text, sizeof(text));
}

static void print_passwords(const struct job *job, FILE *out)
{
    for (size_t i = 0; job->plan.engine->roles[i] != NULL; i++) {
        print_password(job->plan.engine->roles[i], out);
    }
}

/* The members' shared key, as 'openssl rand -base64 756' makes one. */
static void print_key(const struct job *job, FILE *out)
{
    unsigned char bytes[756];
    unsigned char text[1024];
    (void)job;
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        abort(); /* only a signal handler could cut it short, and there is none */
    }
    int len = EVP_EncodeBlock(text, bytes, sizeof(bytes));
    for (int i = 0; i < len; i += 64) {
        (void)fprintf(out, "%.*s\n", len - i < 64 ? len - i : 64, (const char *)text + i);
    }
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(text, sizeof(text));
}

/* Kept over runs: members that are there already know it. */
static int write_secret(const struct job *job, const char *on_hosts,
                        void (*print)(const struct job *job, FILE *out))
{
    char path[PATH_BYTES];
    FILE *out = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s", job->out, setup_file_name(on_hosts));
    if (access(path, F_OK) == 0) {
        return 0;
    }
    int rc = open_new(path, false, &out);
    if (rc != 0) {
        return rc;
    }
    print(job, out);
    return close_new(path, out, 0);
}

static int write_kv(const struct job *job)
{
    char path[PATH_BYTES];
    char dir[PATH_MAX];
    FILE *out = NULL;
    (void)snprintf(path, sizeof(path), "%s/kv.yml", job->out);
    if (realpath(job->tls, dir) == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "%s: %s", job->tls, strerror(errno));
    }
    int rc = open_new(path, job->is_forced, &out);
    if (rc == 0) {
        setup_print_kv(&job->plan, dir, out);
        rc = close_new(path, out, 0);
    }
    return rc;
}

static int write_archives(const struct job *job)
{
    int rc = 0;
    for (size_t i = 0; i < job->plan.hosts_count && rc == 0; i++) {
        const struct setup_host *host = &job->plan.hosts[i];
        char path[PATH_BYTES];
        struct io_why why = {""};
        FILE *out = NULL;
        (void)snprintf(path, sizeof(path), "%s/%s.tar", job->out, host->name.text);
        rc = open_new(path, job->is_forced, &out);
        if (rc == 0) {
            int status = setup_write_archive(&job->plan, host, job->out, out, &why);
            rc = close_new(path, out,
                           status == 0 ? 0 : cli_fail(io_exit_of(status), "%s", why.text));
        }
    }
    return rc;
}

/* --- the answer --- */

static int answer(const struct job *job)
{
    const char *advice = setup_plan_advice(&job->plan);
    if (job->cli->output != CLI_JSON) {
        if (advice != NULL) {
            (void)fprintf(stderr, "kv: note: %s\n", advice);
        }
        setup_print_steps(&job->plan, job->out, stdout);
        return IO_EXIT_OK;
    }
    json_t *hosts = json_array();
    for (size_t i = 0; i < job->plan.hosts_count; i++) {
        const struct setup_host *host = &job->plan.hosts[i];
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/%s.tar", job->out, host->name.text);
        (void)json_array_append_new(hosts,
                                    json_pack("{s:s, s:s, s:b, s:b, s:s}", "name", host->name.text,
                                              "address", host->address, "node", host->has_node,
                                              "member", host->has_member, "archive", path));
    }
    return cli_print_json(json_pack(
        "{s:s, s:s, s:o, s:s}", "cluster", io_config_text(job->plan.config, SETUP_KEY_CLUSTER),
        "out", job->out, "hosts", hosts, "note", advice == NULL ? "" : advice));
}

static int make(struct job *job)
{
    struct io_why why = {""};
    if (setup_plan_read(job->plan.config, &job->plan, &why) != 0) {
        return cli_fail(IO_EXIT_USAGE, "%s", why.text);
    }
    if (mkdir(job->out, 0700) != 0 && errno != EEXIST) {
        return cli_fail(IO_EXIT_REFUSED, "%s: %s", job->out, strerror(errno));
    }
    (void)snprintf(job->tls, sizeof(job->tls), "%s/tls", job->out);
    int rc = issue_all(job);
    rc = rc != 0 ? rc : write_secret(job, job->plan.passwords, print_passwords);
    rc = rc != 0 || !job->plan.engine->has_key ? rc
                                               : write_secret(job, job->plan.key_file, print_key);
    rc = rc != 0 ? rc : write_kv(job);
    rc = rc != 0 ? rc : write_archives(job);
    return rc != 0 ? rc : answer(job);
}

/* Flags of the plan go on as they are; the file becomes --config. */
struct words {
    char *list[FLAGS_MAX + 2];
    size_t count;
    char *asked[FLAGS_MAX];
    size_t asked_count;
    char config[PATH_BYTES];
    const char *out;
    bool is_sample;
    bool is_forced;
    bool has_file;
};

static int take_words(struct words *w, int argc, char **argv)
{
    static char program[] = "kv setup";
    w->list[w->count++] = program;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sample") == 0) {
            w->is_sample = true;
        } else if (strcmp(argv[i], "--force") == 0) {
            w->is_forced = true;
        } else if (strncmp(argv[i], "--out=", 6) == 0) {
            w->out = argv[i] + 6;
        } else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            w->out = argv[++i];
        } else if (argv[i][0] == '-' && w->count < FLAGS_MAX) {
            w->list[w->count++] = argv[i];
        } else if (w->has_file || strlen(argv[i]) > PATH_BYTES - 16) {
            return cli_fail(IO_EXIT_USAGE, "'%s' is too much; see kv setup --help", argv[i]);
        } else {
            (void)snprintf(w->config, sizeof(w->config), "--config=%s", argv[i]);
            w->list[w->count++] = w->config;
            w->has_file = true;
        }
    }
    return 0;
}

static int ask(struct words *w)
{
    int rc = setup_ask(stdin, stderr, w->asked, FLAGS_MAX - w->count, &w->asked_count);
    for (size_t i = 0; i < w->asked_count; i++) {
        w->list[w->count++] = w->asked[i];
    }
    return rc == 0 ? 0
                   : cli_fail(IO_EXIT_USAGE, "nothing was answered; give a plan: kv setup FILE "
                                             "(kv setup --sample prints one)");
}

int cmd_setup(void *ctx, int argc, char **argv)
{
    struct words w = {.out = "quorate-setup"};
    struct io_config *config = NULL;
    struct io_why why = {""};
    int rc = take_words(&w, argc, argv);
    if (rc == 0 && w.is_sample) {
        io_config_sample(&setup_spec, stdout);
        return IO_EXIT_OK;
    }
    if (rc == 0 && w.count == 1) {
        rc = ask(&w);
    }
    if (rc == 0 && io_config_read(&setup_spec, (int)w.count, w.list, &config, &why) != 0) {
        rc = cli_fail(IO_EXIT_USAGE, "%s", why.text);
    }
    if (rc == 0) {
        struct job *job = calloc(1, sizeof(*job));
        if (job == NULL) {
            rc = cli_fail(IO_EXIT_INTERNAL, "out of memory");
        } else {
            *job = (struct job){.cli = ctx, .out = w.out, .is_forced = w.is_forced};
            job->plan.config = config;
            rc = make(job);
            free(job);
        }
    }
    config = io_config_free(config);
    for (size_t i = 0; i < w.asked_count; i++) {
        free(w.asked[i]);
    }
    return rc;
}
