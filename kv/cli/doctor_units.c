/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: systemd's units, ours and those of other managers, by their files alone. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kv/cli/doctor.h"

#define LINE_BYTES 1024
#define MEMLOCK_MIN (UINT64_C(8) << 20)

static const char *const directories[] = {"etc/systemd/system", "run/systemd/system",
                                          "usr/lib/systemd/system", "lib/systemd/system"};

static void path_of(const struct doctor *d, size_t directory, const char *name, char *ret,
                    size_t cap)
{
    (void)snprintf(ret, cap, "%s/%s/%s", d->root, directories[directory], name);
}

/* "name@.service" of "name@instance.service"; the name itself otherwise. */
static void template_of(const char *unit, char *ret, size_t cap)
{
    const char *at = strchr(unit, '@');
    const char *dot = strrchr(unit, '.');
    if (at == NULL || dot == NULL) {
        (void)snprintf(ret, cap, "%s", unit);
    } else {
        (void)snprintf(ret, cap, "%.*s@%s", (int)(at - unit), unit, dot);
    }
}

static bool is_masked(const struct doctor *d, const char *unit)
{
    char path[DOCTOR_PATH_MAX];
    char target[64];
    for (size_t i = 0; i < 2; i++) {
        path_of(d, i, unit, path, sizeof(path));
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len < 0 ? 0 : len] = '\0';
        if (strcmp(target, "/dev/null") == 0) {
            return true;
        }
    }
    return false;
}

static bool find_unit(const struct doctor *d, const char *unit, char *ret, size_t cap)
{
    char name[256];
    for (unsigned round = 0; round < 2; round++) {
        if (round == 0) {
            (void)snprintf(name, sizeof(name), "%s", unit);
        } else {
            template_of(unit, name, sizeof(name));
        }
        for (size_t i = 0; i < BASE_COUNT_OF(directories); i++) {
            path_of(d, i, name, ret, cap);
            if (access(ret, R_OK) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The last "KEY=" of a file. */
static bool read_value(const char *path, const char *key, char *ret, size_t cap)
{
    char line[LINE_BYTES];
    size_t len = strlen(key);
    bool is_found = false;
    FILE *in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, key, len) == 0 && line[len] == '=') {
            (void)snprintf(ret, cap, "%s", line + len + 1);
            is_found = true;
        }
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return is_found;
}

static bool read_dropins(const struct doctor *d, const char *unit, const char *key, char *ret,
                         size_t cap)
{
    bool is_found = false;
    for (size_t i = BASE_COUNT_OF(directories); i > 0; i--) {
        char path[DOCTOR_PATH_MAX];
        char file[DOCTOR_PATH_MAX + 256];
        char name[300];
        (void)snprintf(name, sizeof(name), "%.256s.d", unit);
        path_of(d, i - 1, name, path, sizeof(path));
        DIR *dir = opendir(path);
        for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
            const char *dot = strrchr(e->d_name, '.');
            if (dot != NULL && strcmp(dot, ".conf") == 0) {
                (void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
                is_found = read_value(file, key, ret, cap) || is_found;
            }
        }
        if (dir != NULL) {
            (void)closedir(dir);
        }
    }
    return is_found;
}

bool doctor_unit_value(const struct doctor *d, const char *unit, const char *key, char *ret,
                       size_t cap)
{
    char path[DOCTOR_PATH_MAX];
    char template[256];
    if (!find_unit(d, unit, path, sizeof(path))) {
        return false;
    }
    bool is_found = read_value(path, key, ret, cap);
    template_of(unit, template, sizeof(template));
    is_found = read_dropins(d, template, key, ret, cap) || is_found;
    return read_dropins(d, unit, key, ret, cap) || is_found;
}

static void unit_of(const struct doctor_config *c, char *ret, size_t cap)
{
    if (c->is_node) {
        (void)snprintf(ret, cap, "quorated.service");
    } else {
        (void)snprintf(ret, cap, "%s@%s.service", c->program, doctor_text(c, "cluster.name", ""));
    }
}

/* A guard and a database that the agent's unit would take along. */
static bool check_agent_unit(struct doctor *d, const char *unit)
{
    static const struct {
        const char *key, *value, *mend;
    } wanted[] = {
        {"KillMode", "process", "KillMode=process: else a stop of the agent kills the database"},
        {"Delegate", "yes", "Delegate=yes: else the guard cannot freeze by cgroup"},
    };
    bool is_good = true;
    for (size_t i = 0; i < BASE_COUNT_OF(wanted); i++) {
        char value[LINE_BYTES] = "";
        if (!doctor_unit_value(d, unit, wanted[i].key, value, sizeof(value)) ||
            strcmp(value, wanted[i].value) != 0) {
            doctor_say(d, DOCTOR_FAIL, wanted[i].mend, "%s has %s=%s", unit, wanted[i].key,
                       value[0] == '\0' ? "(its default)" : value);
            is_good = false;
        }
    }
    return is_good;
}

void doctor_check_units(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        char unit[256];
        char template[256];
        char path[DOCTOR_PATH_MAX];
        char mend[320];
        unit_of(c, unit, sizeof(unit));
        template_of(unit, template, sizeof(template));
        (void)snprintf(mend, sizeof(mend), "systemctl unmask %s", unit);
        if (is_masked(d, unit) || is_masked(d, template)) {
            doctor_say(d, DOCTOR_FAIL, mend, "%s is masked: it cannot be started", unit);
        } else if (!find_unit(d, unit, path, sizeof(path))) {
            doctor_say(d, DOCTOR_SKIP, NULL, "no unit file %s: it is started by other means", unit);
        } else if (c->is_node || check_agent_unit(d, unit)) {
            doctor_say(d, DOCTOR_OK, NULL, "%s", path);
        }
    }
}

/* --- other managers --- */

static bool is_enabled(const struct doctor *d, const char *unit)
{
    char path[DOCTOR_PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/etc/systemd/system/multi-user.target.wants/%s", d->root,
                   unit);
    return lstat(path, &st) == 0 && !is_masked(d, unit);
}

/* Units of the engine's own package and of other managers; false: one of them is enabled. */
static bool check_others(struct doctor *d, const struct doctor_engine *engine)
{
    bool is_good = true;
    for (size_t i = 0; i < BASE_COUNT_OF(engine->others) && engine->others[i] != NULL; i++) {
        char mend[128];
        (void)snprintf(mend, sizeof(mend), "systemctl disable --now %s", engine->others[i]);
        if (is_enabled(d, engine->others[i])) {
            doctor_say(d, DOCTOR_FAIL, mend,
                       "%s is enabled: it would start a database that only the guard may start",
                       engine->others[i]);
            is_good = false;
        }
    }
    return is_good;
}

void doctor_check_managers(struct doctor *d)
{
    bool is_good = true;
    for (size_t i = 0; i < d->configs_count; i++) {
        bool is_told = d->configs[i].engine == NULL;
        for (size_t k = 0; k < i; k++) {
            is_told = is_told || d->configs[k].engine == d->configs[i].engine;
        }
        is_good = (is_told || check_others(d, d->configs[i].engine)) && is_good;
    }
    if (is_good) {
        doctor_say(d, DOCTOR_OK, NULL, "nobody else starts a database here");
    }
}

/* --- locked memory --- */

/* "64M", "infinity", bytes. */
static uint64_t bytes_of(const char *text)
{
    char *end = NULL;
    if (strcmp(text, "infinity") == 0) {
        return UINT64_MAX;
    }
    uint64_t number = strtoull(text, &end, 10);
    return *end == 'K'   ? number << 10
           : *end == 'M' ? number << 20
           : *end == 'G' ? number << 30
                         : number;
}

void doctor_check_memory(struct doctor *d)
{
    static const char mend[] = "LimitMEMLOCK=64M in the unit, or ulimit -l for whoever starts the "
                               "agent: else the guard may be swapped out";
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        struct rlimit limit = {0};
        char unit[256];
        char value[64];
        if (c->is_node) {
            continue;
        }
        unit_of(c, unit, sizeof(unit));
        bool has_unit = doctor_unit_value(d, unit, "LimitMEMLOCK", value, sizeof(value));
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        uint64_t bytes = has_unit                          ? bytes_of(value)
                         : limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                           : limit.rlim_cur;
        if (bytes < MEMLOCK_MIN) {
            doctor_say(d, DOCTOR_FAIL, mend, "%s may lock %llu kB of memory; wanted are %llu",
                       has_unit ? unit : "this session", (unsigned long long)(bytes >> 10),
                       (unsigned long long)(MEMLOCK_MIN >> 10));
        } else {
            doctor_say(d, DOCTOR_OK, NULL, "%s may lock enough memory",
                       has_unit ? unit : "this session");
        }
    }
}
