/* SPDX-License-Identifier: Apache-2.0 */
/* See adopt.h. What must agree is what the node is started with by us when it comes up again: a
 * member with another name, another cluster's name, or TLS where the others have none would not get
 * back in. */
#include "agents/galera/adopt.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"

#define RUNNING_SQL \
    "SELECT @@GLOBAL.wsrep_on, @@GLOBAL.wsrep_node_name, @@GLOBAL.wsrep_cluster_name, " \
    "@@GLOBAL.datadir, @@GLOBAL.port, @@GLOBAL.wsrep_provider_options"

__attribute__((format(printf, 3, 4))) static int refuse(struct base_text *ret, int status,
                                                        const char *format, ...)
{
    char text[BASE_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    *ret = base_text_from(slice_from_text(text));
    return status;
}

/* --- whose process --- */

static bool is_same_path(const char *a, const char *b)
{
    char one[PATH_MAX];
    char other[PATH_MAX];
    return realpath(a, one) != NULL && realpath(b, other) != NULL && strcmp(one, other) == 0;
}

int gal_adopt_find(const struct gal_settings *settings, int32_t *ret_pid)
{
    char path[PATH_MAX];
    struct stat st;
    char link[64];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)snprintf(path, sizeof(path), "%s/ibdata1", settings->data_dir.text);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool is_held = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!is_held || lock.l_pid <= 1) {
        return BASE_E_NOTFOUND;
    }
    (void)snprintf(link, sizeof(link), "/proc/%d", (int)lock.l_pid);
    if (stat(link, &st) != 0) {
        return BASE_E_NOTFOUND;
    }
    if (st.st_uid != geteuid()) {
        return BASE_E_DENIED;
    }
    (void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)lock.l_pid);
    bool is_server = is_same_path(link, settings->server.text);
    (void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)lock.l_pid);
    if (!is_server || !is_same_path(link, settings->data_dir.text)) {
        return BASE_E_UNSUPPORTED;
    }
    *ret_pid = (int32_t)lock.l_pid;
    return 0;
}

/* --- what it is --- */

struct asked {
    const struct gal_settings *settings;
    int status;
    struct base_text why;
};

static bool is_yes(const char *value)
{
    return strcmp(value, "1") == 0 || strcasecmp(value, "ON") == 0;
}

static bool has_option(const char *options, const char *line)
{
    return strcasestr(options, line) != NULL;
}

static int judge(const struct gal_settings *s, const char *const *values, struct base_text *why)
{
    bool is_tls = has_option(values[5], "socket.ssl = YES");
    if (!is_yes(values[0])) {
        return refuse(why, BASE_E_STATE, "the running server is no Galera node (wsrep_on is off)");
    }
    if (strcmp(values[1], s->member.text) != 0) {
        return refuse(why, BASE_E_STATE,
                      "its wsrep_node_name is '%.80s': set 'member' to it, here and in the list "
                      "galera.members of all",
                      values[1]);
    }
    if (strcmp(values[2], s->cluster.text) != 0) {
        return refuse(why, BASE_E_STATE,
                      "its wsrep_cluster_name is '%.80s': set cluster.name to it", values[2]);
    }
    if (!is_same_path(values[3], s->data_dir.text)) {
        return refuse(why, BASE_E_STATE,
                      "who answers on %.80s has its data in %.80s: set galera.socket to the "
                      "socket of the server in galera.data_dir",
                      s->socket.text, values[3]);
    }
    if (strtol(values[4], NULL, 10) != s->port) {
        return refuse(why, BASE_E_STATE, "it listens on port %.10s: set galera.port to it",
                      values[4]);
    }
    if (is_tls != s->is_tls) {
        return refuse(why, BASE_E_STATE,
                      is_tls ? "the nodes talk over TLS (socket.ssl): set galera.tls: on"
                             : "the nodes talk without TLS (socket.ssl): set galera.tls: off, or "
                               "change over to TLS under its former management first");
    }
    return 0;
}

static void running_came(void *ctx, const struct gal_reply *reply)
{
    struct asked *a = ctx;
    a->status = reply->status;
    if (reply->status == BASE_E_DENIED) {
        a->status = refuse(
            &a->why, BASE_E_DENIED,
            "it refuses our accounts: make those that 'quorate-agent-galera "
            "--print-sql' prints%s",
            a->settings->is_socket_login ? "" : ", with the passwords of galera.password_file");
    } else if (reply->status != 0) {
        a->status = refuse(&a->why, reply->status, "it does not answer on %.80s: %.120s",
                           a->settings->socket.text,
                           reply->text[0] != '\0' ? reply->text : base_error_text(reply->status));
    } else if (reply->rows != 1 || reply->columns < 1) {
        a->status = refuse(&a->why, BASE_E_PROTO, "it answers in a form that is not known");
    } else if (reply->columns == 6) {
        a->status = judge(a->settings, reply->values[0], &a->why);
    }
}

int gal_adopt_check(const struct gal_settings *settings, gal_ask_fn *ask, struct base_text *ret_why)
{
    static const struct {
        enum gal_session session;
        const char *sql;
    } questions[] = {{GAL_SESSION_POLL, RUNNING_SQL}, {GAL_SESSION_ACT, "SELECT 1"}};
    struct asked asked = {.settings = settings};
    for (size_t i = 0; i < BASE_COUNT_OF(questions) && asked.status == 0; i++) {
        asked.status = BASE_E_CLOSED; /* no answer */
        ask(settings, questions[i].session, questions[i].sql, running_came, &asked);
    }
    *ret_why = asked.why;
    return asked.status;
}
