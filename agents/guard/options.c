/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of quorate-guard, one table. */
#include "agents/guard/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
    OPT_SOCKET = 1,
    OPT_STATE_DIR,
    OPT_DATA_DIR,
    OPT_CGROUP,
    OPT_LOG,
    OPT_LOG_FD,
    OPT_MARGIN,
    OPT_UID,
    OPT_GID,
    OPT_GROUPS,
    OPT_ADOPT,
    OPT_READY,
    OPT_WATCHDOG,
    OPT_WATCHDOG_DEVICE,
    OPT_WATCHDOG_TIMEOUT,
    OPT_LEFTOVERS,
    OPT_RELEASE,
    OPT_RESUME,
    OPT_HELP,
    OPT_VERSION
};

static const struct option option_rows[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"data-dir", required_argument, NULL, OPT_DATA_DIR},
    {"cgroup", required_argument, NULL, OPT_CGROUP},
    {"log", required_argument, NULL, OPT_LOG},
    {"log-fd", required_argument, NULL, OPT_LOG_FD},
    {"margin-us", required_argument, NULL, OPT_MARGIN},
    {"uid", required_argument, NULL, OPT_UID},
    {"gid", required_argument, NULL, OPT_GID},
    {"groups", required_argument, NULL, OPT_GROUPS},
    {"adopt", required_argument, NULL, OPT_ADOPT},
    {"watchdog", required_argument, NULL, OPT_WATCHDOG},
    {"watchdog-device", required_argument, NULL, OPT_WATCHDOG_DEVICE},
    {"watchdog-timeout-us", required_argument, NULL, OPT_WATCHDOG_TIMEOUT},
    {"kill-leftovers", no_argument, NULL, OPT_LEFTOVERS},
    {"release", no_argument, NULL, OPT_RELEASE},
    {"ready-fd", required_argument, NULL, OPT_READY},
    {"resume-fd", required_argument, NULL, OPT_RESUME},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char option_usage[] =
    "usage: quorate-guard --socket PATH --state-dir DIR [options] -- COMMAND ARGS...\n"
    "       quorate-guard --kill-leftovers --socket PATH --state-dir DIR --data-dir DIR -- CMD\n"
    "       quorate-guard --release --socket PATH     leaves an adopted database running\n"
    "  --margin-us N     margin of the lease (200000)\n"
    "  --data-dir DIR    of the database: what a former guard left there is killed first\n"
    "  --cgroup WHERE    auto, none, or a delegated cgroup v2 directory (auto)\n"
    "  --uid N --gid N [--groups N,N]   whom the database runs as\n"
    "  --log FILE | --log-fd N          output of the database (inherited)\n"
    "  --adopt PID       watch a root that runs already; COMMAND serves later starts\n"
    "  --watchdog MODE   off, try, require (off)\n"
    "  --watchdog-device PATH --watchdog-timeout-us N   (/dev/watchdog, 1000000)\n";

static bool number_from(const char *text, int64_t low, int64_t high, int64_t *ret)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < low || value > high) {
        return false;
    }
    *ret = value;
    return true;
}

static bool groups_from(const char *text, struct guard_options *o)
{
    const char *p = text;
    while (*p != '\0' && o->groups_count < GUARD_GROUPS_MAX) {
        char *end = NULL;
        unsigned long value = strtoul(p, &end, 10);
        if (end == p || (*end != ',' && *end != '\0') || value >= UINT32_MAX) {
            return false;
        }
        o->groups[o->groups_count++] = (uint32_t)value;
        p = *end == ',' ? end + 1 : end;
    }
    return *p == '\0';
}

static bool number_take(struct guard_options *o, enum option_id id)
{
    int64_t value = 0;
    if (!number_from(optarg, 0, INT32_MAX, &value)) {
        return false;
    }
    if (id == OPT_MARGIN) {
        o->margin_us = value;
    } else if (id == OPT_UID) {
        o->uid = (uint32_t)value;
        o->has_user = true;
    } else if (id == OPT_GID) {
        o->gid = (uint32_t)value;
    } else if (id == OPT_ADOPT) {
        o->adopt = (int32_t)value;
    } else if (id == OPT_WATCHDOG_TIMEOUT) {
        o->watchdog_timeout_us = value;
    } else if (id == OPT_LOG_FD) {
        o->log_fd = (int)value;
    } else if (id == OPT_READY) {
        o->ready_fd = (int)value;
    } else {
        o->resume_fd = (int)value;
    }
    return true;
}

static bool mode_take(struct guard_options *o)
{
    static const char *const modes[] = {"off", "try", "require"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(optarg, modes[i]) == 0) {
            o->watchdog_mode = (enum guard_watchdog_mode)i;
            return true;
        }
    }
    return false;
}

static bool option_take(struct guard_options *o, enum option_id id)
{
    const char **texts[] = {[OPT_SOCKET] = &o->socket,
                            [OPT_STATE_DIR] = &o->state_dir,
                            [OPT_DATA_DIR] = &o->data_dir,
                            [OPT_CGROUP] = &o->cgroup,
                            [OPT_LOG] = &o->log};
    if (id <= OPT_LOG) {
        *texts[id] = optarg;
        return true;
    }
    if (id == OPT_GROUPS) {
        return groups_from(optarg, o);
    }
    if (id == OPT_WATCHDOG) {
        return mode_take(o);
    }
    if (id == OPT_WATCHDOG_DEVICE) {
        o->watchdog_device = optarg;
        return true;
    }
    if (id == OPT_LEFTOVERS) {
        o->is_kill_leftovers = true;
        return true;
    }
    if (id == OPT_RELEASE) {
        o->is_release = true;
        return true;
    }
    return number_take(o, id);
}

static const char *complaint_of(const struct guard_options *o)
{
    if (o->is_release) {
        return o->socket == NULL ? "--release needs --socket" : NULL;
    }
    if (o->socket == NULL || o->state_dir == NULL) {
        return "--socket and --state-dir are needed";
    }
    if (o->is_kill_leftovers && o->data_dir == NULL) {
        return "--kill-leftovers needs --data-dir";
    }
    if (o->command == NULL) {
        return "no command after --";
    }
    if (o->socket[0] != '/' || strlen(o->socket) > 100) {
        return "--socket must be an absolute path of at most 100 bytes";
    }
    if (o->margin_us < 1000) {
        return "--margin-us is too small";
    }
    return NULL;
}

int guard_options_parse(int argc, char *const *argv, struct guard_options *ret)
{
    struct guard_options o = {.cgroup = "auto",
                              .log_fd = -1,
                              .resume_fd = -1,
                              .ready_fd = -1,
                              .margin_us = 200000,
                              .watchdog_device = "/dev/watchdog",
                              .watchdog_timeout_us = BASE_US_PER_S,
                              .argv = argv};
    int id = 0;
    opterr = 0; /* the one message below says it */
    while ((id = getopt_long(argc, argv, "+", option_rows, NULL)) != -1) {
        if (id == OPT_HELP || id == OPT_VERSION) {
            (void)printf("%s",
                         id == OPT_HELP ? option_usage : "quorate-guard " QUORATE_VERSION "\n");
            (void)fflush(stdout);
            return BASE_E_CANCELED;
        }
        if (id == '?' || !option_take(&o, (enum option_id)id)) {
            (void)fprintf(stderr, "quorate-guard: bad option or value: %s; see --help\n",
                          argv[optind - 1]);
            return BASE_E_INVALID;
        }
    }
    o.command = optind < argc ? argv + optind : NULL;
    const char *complaint = complaint_of(&o);
    if (complaint != NULL) {
        (void)fprintf(stderr, "quorate-guard: %s\n", complaint);
        return BASE_E_INVALID;
    }
    *ret = o;
    return 0;
}
