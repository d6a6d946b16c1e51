/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: the table of checks, the reading of configurations, and the answer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kv/cli/commands.h"
#include "kv/cli/doctor.h"
#include "proto/io/config.h"

#define TEXT_MAX 512
#define SECONDS_DEFAULT 3
#define SECONDS_MAX 3600

static const struct {
    const char *name;
    doctor_check_fn *run;
} checks[] = {
    {"configuration", doctor_check_configuration},
    {"certificates", doctor_check_certificates},
    {"permissions", doctor_check_permissions},
    {"versions", doctor_check_versions},
    {"units", doctor_check_units},
    {"managers", doctor_check_managers},
    {"memory", doctor_check_memory},
    {"ports", doctor_check_ports},
    {"quorum", doctor_check_quorum},
    {"clocks", doctor_check_clocks},
    {"cgroup", doctor_check_cgroup},
    {"watchdog", doctor_check_watchdog},
    {"space", doctor_check_space},
    {"flush", doctor_check_flush},
    {"pauses", doctor_check_pauses},
};

/* --- for the checks --- */

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *mend, const char *format,
                ...)
{
    static const char *const words[] = {
        [DOCTOR_OK] = "ok", [DOCTOR_SKIP] = "skip", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text[strcspn(text, "\n")] = '\0';
    d->counts[verdict]++;
    (void)json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s, s:s}", "check", d->check,
                                                       "result", words[verdict], "found", text,
                                                       "mend", mend == NULL ? "" : mend));
}

const char *doctor_text(const struct doctor_config *c, const char *key, const char *otherwise)
{
    const char *value = flat_value(&c->file, key);
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

const char *doctor_engine_text(const struct doctor_config *c, const char *key,
                               const char *otherwise)
{
    char path[192];
    if (c->engine == NULL) {
        return otherwise;
    }
    (void)snprintf(path, sizeof(path), "%s.%s", c->engine->section, key);
    return doctor_text(c, path, otherwise);
}

int64_t doctor_us(const struct doctor_config *c, const char *key, const char *otherwise)
{
    int64_t us = 0;
    if (io_parse_duration(slice_from_text(doctor_text(c, key, otherwise)), &us) != 0) {
        (void)!io_parse_duration(slice_from_text(otherwise), &us);
    }
    return us;
}

bool doctor_user(const struct doctor_config *c, uid_t *ret_uid, const char **ret_name)
{
    struct stat st;
    const char *name = c->is_node ? "quorate" : doctor_text(c, "user", c->engine->user);
    const struct passwd *user = getpwnam(name);
    if (c->is_node && stat(doctor_text(c, "data_dir", ""), &st) == 0) {
        user = getpwuid(st.st_uid); /* whoever it was started as */
        name = user == NULL ? name : user->pw_name;
    }
    *ret_name = name;
    if (geteuid() != 0 || (user == NULL && c->is_node)) {
        *ret_uid = geteuid(); /* a daemon that is not started as root stays who it is */
        return true;
    }
    *ret_uid = user == NULL ? 0 : user->pw_uid;
    return user != NULL;
}

bool doctor_has_agent(const struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        if (!d->configs[i].is_node) {
            return true;
        }
    }
    return false;
}

void doctor_program(const char *name, char *ret, size_t cap)
{
    char self[DOCTOR_PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len < 0 ? 0 : len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
        (void)snprintf(ret, cap, "%s/%s", self, name);
    }
    if (slash == NULL || access(ret, X_OK) != 0) {
        (void)snprintf(ret, cap, "%s", name);
    }
}

int doctor_run(char *const *argv, char *ret, size_t cap)
{
    int fds[2];
    int status = 0;
    size_t len = 0;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    (void)close(fds[1]);
    for (ssize_t got = 1; pid > 0 && got > 0;) {
        char rest[512];
        bool is_full = len + 1 >= cap;
        got = is_full ? read(fds[0], rest, sizeof(rest)) : read(fds[0], ret + len, cap - len - 1);
        len += got > 0 && !is_full ? (size_t)got : 0;
    }
    (void)close(fds[0]);
    ret[len] = '\0';
    bool is_ended = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    return is_ended && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

/* --- configurations --- */

/* Which engine an agent's file is for shows by its section. */
static void add_config(struct doctor *d, const char *name, bool is_node)
{
    struct io_why why = {""};
    if (d->configs_count == BASE_COUNT_OF(d->configs)) {
        return;
    }
    struct doctor_config *c = &d->configs[d->configs_count];
    *c = (struct doctor_config){.is_node = is_node};
    (void)snprintf(c->path, sizeof(c->path), "%s/%s", d->etc, name);
    d->configs_count++;
    if (flat_read(c->path, "", &c->file, &why) != 0) {
        doctor_say(d, DOCTOR_FAIL, "mend the file; the daemon does not start with it", "%s",
                   why.text);
    }
    c->engine = is_node ? NULL : doctor_engine_of(&c->file);
    c->program = is_node ? "quorated" : c->engine->program;
}

static void find_configs(struct doctor *d)
{
    DIR *dir = opendir(d->etc);
    d->check = "configuration";
    if (dir == NULL) {
        doctor_say(d, DOCTOR_FAIL, "unpack this host's archive of kv setup, or say --etc DIR",
                   "%s: %s", d->etc, strerror(errno));
        return;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        bool is_yaml = len > 4 && strcmp(e->d_name + len - 4, ".yml") == 0;
        if (strcmp(e->d_name, "quorated.yml") == 0) {
            add_config(d, e->d_name, true);
        } else if (is_yaml && strncmp(e->d_name, "agent-", 6) == 0 &&
                   d->configs_count < DOCTOR_AGENTS_MAX) {
            add_config(d, e->d_name, false);
        }
    }
    (void)closedir(dir);
    if (d->configs_count == 0) {
        doctor_say(d, DOCTOR_FAIL, "unpack this host's archive of kv setup, or say --etc DIR",
                   "%s holds neither quorated.yml nor agent-CLUSTER.yml", d->etc);
    }
}

/* --- the answer --- */

static const char *member(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text == NULL ? "" : text;
}

static int answer(const struct doctor *d)
{
    size_t i = 0;
    json_t *row = NULL;
    bool is_bad = d->counts[DOCTOR_FAIL] > 0;
    if (d->cli->output == CLI_JSON) {
        (void)cli_print_json(json_pack("{s:b, s:i, s:i, s:i, s:O}", "healthy", !is_bad, "ok",
                                       (int)d->counts[DOCTOR_OK], "warn",
                                       (int)d->counts[DOCTOR_WARN], "fail",
                                       (int)d->counts[DOCTOR_FAIL], "findings", d->findings));
        return is_bad ? IO_EXIT_FALSE : IO_EXIT_OK;
    }
    json_array_foreach(d->findings, i, row)
    {
        (void)printf("%-5s %-14s %s\n", member(row, "result"), member(row, "check"),
                     member(row, "found"));
        if (member(row, "mend")[0] != '\0') {
            (void)printf("%-20s -> %s\n", "", member(row, "mend"));
        }
    }
    (void)printf("%u ok, %u to look at, %u to mend\n", d->counts[DOCTOR_OK], d->counts[DOCTOR_WARN],
                 d->counts[DOCTOR_FAIL]);
    return is_bad ? IO_EXIT_FALSE : IO_EXIT_OK;
}

/* "a,b": is `name` among them? NULL: all are. */
static bool is_wanted(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0')) {
            return true;
        }
    }
    return list == NULL;
}

static int check_names(const char *list)
{
    char word[64];
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        bool is_known = false;
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, at);
        for (size_t i = 0; i < BASE_COUNT_OF(checks); i++) {
            is_known = is_known || strcmp(checks[i].name, word) == 0;
        }
        if (!is_known) {
            return cli_fail(IO_EXIT_USAGE,
                            "--only: there is no check '%s'; kv doctor shows their names", word);
        }
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return 0;
}

static int run(struct doctor *d, const char *only)
{
    find_configs(d);
    for (size_t i = 0; i < BASE_COUNT_OF(checks); i++) {
        if (is_wanted(only, checks[i].name)) {
            d->check = checks[i].name;
            checks[i].run(d);
        }
    }
    int rc = answer(d);
    for (size_t i = 0; i < d->configs_count; i++) {
        flat_free(&d->configs[i].file);
    }
    return rc;
}

int cmd_doctor(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"etc", true, NULL}, {"root", true, NULL}, {"seconds", true, NULL}, {"only", true, NULL}};
    int64_t seconds = SECONDS_DEFAULT;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "doctor");
    rc = rc != 0 || options[2].value == NULL ? rc
                                             : cli_number("--seconds", options[2].value, &seconds);
    if (rc == 0 && (seconds < 0 || seconds > SECONDS_MAX)) {
        rc = cli_fail(IO_EXIT_USAGE, "--seconds: allowed: 0 to %d", SECONDS_MAX);
    }
    rc = rc != 0 ? rc : check_names(options[3].value);
    struct doctor *d = rc == 0 ? calloc(1, sizeof(*d)) : NULL;
    if (d == NULL) {
        return rc != 0 ? rc : cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    d->cli = ctx;
    d->etc = options[0].value == NULL ? "/etc/quorate" : options[0].value;
    d->root = options[1].value == NULL ? "" : options[1].value;
    d->seconds = (unsigned)seconds;
    d->findings = json_array();
    rc = run(d, options[3].value);
    json_decref(d->findings);
    free(d);
    return rc;
}
