/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands `kv db ...` share; see db.h. */
#include "kv/cli/db.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/io/loop.h"

#define POLL_NS 50000000

/* --- cells --- */

const char *db_age_text(int64_t since_wall_us, char memory[static CELL_MAX])
{
    int64_t seconds = (io_wall_now().us - since_wall_us) / BASE_US_PER_S;
    if (since_wall_us == 0 || seconds < 0) {
        return "-";
    }
    if (seconds >= 86400) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 "d %02" PRId64 ":%02" PRId64, seconds / 86400,
                       seconds / 3600 % 24, seconds / 60 % 60);
    } else if (seconds >= 3600) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 "h%02" PRId64 "m", seconds / 3600,
                       seconds / 60 % 60);
    } else {
        (void)snprintf(memory, CELL_MAX, "%02" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    }
    return memory;
}

const char *db_bytes_text(uint64_t bytes, char memory[static CELL_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < BASE_COUNT_OF(units) && (unit < 2 || bytes >= 10240)) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(memory, CELL_MAX, "%" PRIu64 " %s", bytes, units[unit]);
    return memory;
}

const char *db_number_text(uint64_t value, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, "%" PRIu64, value);
    return memory;
}

const char *db_wall_text(int64_t wall_us, char memory[static CELL_MAX])
{
    time_t seconds = (time_t)(wall_us / BASE_US_PER_S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(memory, CELL_MAX, "%Y-%m-%d %H:%M:%SZ", &parts) == 0) {
        return "-";
    }
    return memory;
}

const char *db_lsn_text(uint64_t lsn, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return memory;
}

const char *db_host_text(const Quorate__V1__DatabaseMember *m, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, strchr(m->host, ':') != NULL ? "[%s]:%u" : "%s:%u", m->host,
                   m->db_port);
    return memory;
}

const char *db_lag_text(const Quorate__V1__DatabaseMember *m, char memory[static CELL_MAX])
{
    bool is_primary = strcmp(m->role, "primary") == 0;
    return m->lag_bytes < 0 || is_primary ? "-" : db_bytes_text((uint64_t)m->lag_bytes, memory);
}

void db_add_words(struct db_words *w, const char *format, ...)
{
    va_list arguments;
    if (w->len > 0 && w->len + 2 < sizeof(w->text)) {
        w->len += (size_t)snprintf(w->text + w->len, sizeof(w->text) - w->len, "; ");
    }
    va_start(arguments, format);
    int written = vsnprintf(w->text + w->len, sizeof(w->text) - w->len, format, arguments);
    va_end(arguments);
    w->len += written > 0 ? (size_t)written : 0;
    w->len = w->len < sizeof(w->text) ? w->len : sizeof(w->text) - 1;
}

/* --- operands --- */

int db_one_cluster(int argc, const char *command)
{
    return argc == 2
               ? 0
               : cli_fail(IO_EXIT_USAGE, "usage: kv %s CLUSTER; kv db list shows them", command);
}

static bool parse_zone(const char *text, int64_t *ret_seconds)
{
    int hours = 0;
    int minutes = 0;
    char sign = 0;
    int used = 0;
    while (*text == ' ') {
        text++;
    }
    if (strcmp(text, "Z") == 0 || strcmp(text, "UTC") == 0) {
        *ret_seconds = 0;
        return true;
    }
    if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || text[used] != '\0' ||
        (sign != '+' && sign != '-') || hours > 14 || minutes > 59) {
        return false;
    }
    *ret_seconds = (sign == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
    return true;
}

static bool parse_date(const char *text, int64_t *ret_wall_us)
{
    struct tm parts = {0};
    int used = 0;
    int more = 0;
    int64_t zone = 0;
    char between = 0;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
               &between, &parts.tm_hour, &parts.tm_min, &used) != 6 ||
        (between != 'T' && between != ' ')) {
        return false;
    }
    if (sscanf(text + used, ":%2d%n", &parts.tm_sec, &more) == 1) {
        used += more;
    }
    if (parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 || parts.tm_mday > 31 ||
        parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60 ||
        !parse_zone(text + used, &zone)) {
        return false;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    *ret_wall_us = ((int64_t)timegm(&parts) - zone) * BASE_US_PER_S;
    return true;
}

int db_time(const char *option, const char *text, int64_t *ret_wall_us)
{
    int64_t us = 0;
    if (text == NULL) {
        return 0;
    }
    if (text[0] == '+' && io_parse_duration(slice_from_text(text + 1), &us) == 0) {
        *ret_wall_us = io_wall_now().us + us;
        return 0;
    }
    if (parse_date(text, ret_wall_us)) {
        return 0;
    }
    return cli_fail(IO_EXIT_USAGE,
                    "%s: '%s'; allowed: +10m, or a date with its zone: 2026-01-31T03:00Z, "
                    "2026-01-31T03:00:00+02:00",
                    option, text);
}

int db_confirm(bool is_forced, const char *word, const char *what)
{
    char line[BASE_NAME_MAX + 2] = "";
    if (is_forced) {
        return 0;
    }
    if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
        return cli_fail(IO_EXIT_REFUSED, "%s; give --force when that is wanted", what);
    }
    (void)fprintf(stderr, "%s\nType %s to go on: ", what, word);
    (void)fflush(stderr);
    if (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    }
    return strcmp(line, word) == 0 ? 0 : cli_fail(IO_EXIT_REFUSED, "nothing was done");
}

/* --- asking --- */

static int fetch(struct cli *cli, char *name, bool has_events,
                 Quorate__V1__DatabaseShowResponse **ret)
{
    Quorate__V1__DatabaseShowRequest request;
    ProtobufCMessage *answer = NULL;
    quorate__v1__database_show_request__init(&request);
    request.cluster = name;
    request.events = has_events;
    int rc = cli_call(cli, "/quorate.v1.Databases/Show", &request.base,
                      &quorate__v1__database_show_response__descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    *ret = (Quorate__V1__DatabaseShowResponse *)(void *)answer;
    if ((*ret)->cluster == NULL) {
        protobuf_c_message_free_unpacked(answer, NULL);
        return cli_fail(IO_EXIT_FALSE, "no database cluster '%s'; kv db list shows all", name);
    }
    return 0;
}

int db_fetch(struct cli *cli, char *name, Quorate__V1__DatabaseShowResponse **ret)
{
    return fetch(cli, name, false, ret);
}

int db_fetch_events(struct cli *cli, char *name, Quorate__V1__DatabaseShowResponse **ret)
{
    return fetch(cli, name, true, ret);
}

int db_order(struct cli *cli, const char *method, const ProtobufCMessage *request, bool is_quiet,
             uint64_t *ret_epoch)
{
    ProtobufCMessage *message = NULL;
    char path[64];
    (void)snprintf(path, sizeof(path), "/quorate.v1.Databases/%s", method);
    int rc =
        cli_call(cli, path, request, &quorate__v1__database_order_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseOrderResponse *answer =
        (const Quorate__V1__DatabaseOrderResponse *)(const void *)message;
    if (ret_epoch != NULL) {
        *ret_epoch = answer->epoch;
    }
    if (!is_quiet && cli->output != CLI_JSON) {
        (void)printf("%s\n", answer->message);
        (void)fflush(stdout);
    } else if (!is_quiet) {
        rc = cli_print_json(json_pack("{s:s, s:I}", "message", answer->message, "epoch",
                                      (json_int_t)answer->epoch));
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

/* --- waiting --- */

bool db_is_epoch_over(const Quorate__V1__DatabaseCluster *cluster, const void *ctx)
{
    const uint64_t *epoch = ctx;
    return cluster->epoch > *epoch && strcmp(cluster->state, "no primary") != 0 &&
           strcmp(cluster->state, "switchover") != 0;
}

bool db_is_configured(const Quorate__V1__DatabaseCluster *cluster, const void *ctx)
{
    const uint64_t *revision = ctx;
    bool is_everywhere = cluster->config_revision >= *revision;
    for (size_t i = 0; i < cluster->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = cluster->members[i];
        is_everywhere = is_everywhere && (!m->is_up || m->config_revision >= *revision);
    }
    return is_everywhere;
}

/* The order that replaced `epoch` has failed: no later look tells more. */
static bool is_order_failed(const Quorate__V1__DatabaseCluster *c, const uint64_t *epoch)
{
    return epoch != NULL && c->mongodb != NULL && c->mongodb->order_epoch > *epoch &&
           strcmp(c->mongodb->order_state, "failed") == 0;
}

static int fail_order(const char *name, const Quorate__V1__DatabaseMongodb *m)
{
    char code[32] = "";
    if (m->order_code != 0) {
        (void)snprintf(code, sizeof(code), ", MongoDB's code %" PRId32, m->order_code);
    }
    (void)fflush(stdout); /* the cluster first, also in a pipe */
    return cli_fail(IO_EXIT_FALSE,
                    "%s: order %" PRIu64 ", %s at %s about %s, has failed: %s%s; kv db why %s "
                    "tells more",
                    name, m->order_epoch, m->order_kind, m->order_member, m->order_subject,
                    m->order_error, code, name);
}

static int wait_for(struct cli *cli, char *name, db_is_over_fn *is_over, const void *ctx,
                    const uint64_t *epoch, bool is_quiet)
{
    int64_t deadline = io_now().us + (int64_t)cli->timeout_ms * BASE_US_PER_MS;
    while (io_now().us < deadline) {
        Quorate__V1__DatabaseShowResponse *answer = NULL;
        if (db_fetch(cli, name, &answer) == 0) {
            bool is_failed = is_order_failed(answer->cluster, epoch);
            bool is_done = is_failed || is_over(answer->cluster, ctx);
            int rc = is_done && !is_quiet ? db_print_cluster(cli, answer->cluster) : 0;
            rc = rc == 0 && is_failed ? fail_order(name, answer->cluster->mongodb) : rc;
            protobuf_c_message_free_unpacked(&answer->base, NULL);
            if (is_done) {
                return rc;
            }
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    return cli_fail(IO_EXIT_UNAVAILABLE,
                    "%s: not over within the timeout; it goes on, kv db why %s tells more", name,
                    name);
}

int db_wait(struct cli *cli, char *name, db_is_over_fn *is_over, const void *ctx, bool is_quiet)
{
    return wait_for(cli, name, is_over, ctx, NULL, is_quiet);
}

int db_wait_epoch(struct cli *cli, char *name, const uint64_t *epoch, bool is_quiet)
{
    return wait_for(cli, name, db_is_epoch_over, epoch, epoch, is_quiet);
}
