/* SPDX-License-Identifier: Apache-2.0 */
/* See arbitrator.h. garbd ends by itself when it cannot reach the component (about half a minute):
 * it is started again, a little later each time, and dies with this process. */
#include "agents/galera/arbitrator.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "proto/io/address.h"
#include "proto/io/config.h"
#include "proto/io/daemon.h"
#include "proto/io/log.h"

#define PROGRAM "quorate-agent-galera --arbitrator"
#define TEXT_MAX 4096
#define GROUP_PORT 4567
#define WAIT_MIN_S 1
#define WAIT_MAX_S 30

/* clang-format off */
#define ARB_KEYS(X) \
    X(CLUSTER, "cluster.name", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Name of the database cluster") \
    X(MEMBER, "member", NAME, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Name of this arbitrator, as galera.arbitrator of the cluster's configuration says it") \
    X(USER, "user", TEXT, "nobody", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "User that garbd runs as when started as root") \
    X(PROGRAM_PATH, "galera.garbd", TEXT, "/usr/bin/garbd", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "The program (package galera-arbitrator-4)") \
    X(LISTEN, "galera.listen", TEXT, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Address of this arbitrator for group communication: host:4567") \
    X(MEMBERS, "galera.members", MAP, NULL, 0, 0, NULL, IO_CONFIG_REQUIRED, \
      "Group communication address of every member, as in the agents' files: name: host:4567") \
    X(TLS, "galera.tls", TEXT, "auto", 0, 0, "auto|on|off", IO_CONFIG_PLAIN, \
      "TLS to the members, as in the agents' files; auto: off when all are on loopback") \
    X(TLS_CA, "tls.ca", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Authority (PEM)") \
    X(TLS_CERT, "galera.tls_cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Certificate (PEM), role member") \
    X(TLS_KEY, "galera.tls_key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Its key (PEM)")
/* clang-format on */

enum { ARB_KEYS(IO_CONFIG_ENUM) KEY_COUNT };
static const struct io_config_key keys[] = {ARB_KEYS(IO_CONFIG_ROW)};
static const struct io_config_spec spec = {
    .program = PROGRAM,
    .summary = "Keeps a Galera arbitrator (garbd) running",
    .keys = keys,
    .keys_count = KEY_COUNT,
};

struct arbitrator {
    const struct io_config *config;
    char addresses[TEXT_MAX]; /* gcomm://... */
    char options[TEXT_MAX];
    bool is_tls;
};

static int fail(const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", PROGRAM, why->text);
    return -1;
}

static int put_address(struct arbitrator *a, struct buf *b, const char *text, bool *is_local,
                       struct io_why *why)
{
    struct io_address address;
    struct io_why inner = {""};
    if (io_address_parse(slice_from_text(text), GROUP_PORT, &address, &inner) != 0) {
        io_config_why(a->config, KEY_MEMBERS, why, "'%s': %s", text, inner.text);
        return BASE_E_INVALID;
    }
    bool is_v6 = strchr(address.host, ':') != NULL;
    *is_local = *is_local && io_address_is_loopback(&address);
    buf_put_text(b, is_v6 ? "[" : "");
    buf_put_text(b, address.host);
    buf_put_text(b, is_v6 ? "]:" : ":");
    buf_put_dec(b, address.port);
    return 0;
}

static int read_members(struct arbitrator *a, bool *is_local, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(a->config, KEY_MEMBERS, &count);
    struct buf b = buf_over(a->addresses, sizeof(a->addresses) - 1);
    buf_put_text(&b, "gcomm://");
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(list[i], '=');
        buf_put_text(&b, i == 0 ? "" : ",");
        int rc = put_address(a, &b, equals == NULL ? list[i] : equals + 1, is_local, why);
        if (rc != 0) {
            return rc;
        }
    }
    if (count == 0 || !buf_terminate(&b)) {
        io_config_why(a->config, KEY_MEMBERS, why, "no members, or too many");
        return BASE_E_INVALID;
    }
    return 0;
}

/* The members' own timeouts (conf.c). */
static int read_options(struct arbitrator *a, bool *is_local, struct io_why *why)
{
    const char *mode = io_config_text(a->config, KEY_TLS);
    struct buf b = buf_over(a->options, sizeof(a->options) - 1);
    buf_put_text(&b, "gmcast.listen_addr=tcp://");
    int rc = put_address(a, &b, io_config_text(a->config, KEY_LISTEN), is_local, why);
    if (rc != 0) {
        return rc;
    }
    buf_put_text(&b, ";gmcast.peer_timeout=PT1S;evs.keepalive_period=PT0.5S"
                     ";evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT2S"
                     ";evs.inactive_timeout=PT6S;evs.install_timeout=PT5S");
    a->is_tls = strcmp(mode, "on") == 0 || (strcmp(mode, "auto") == 0 && !*is_local);
    static const struct {
        size_t key;
        const char *option;
    } files[] = {{KEY_TLS_CA, ";socket.ssl_ca="},
                 {KEY_TLS_CERT, ";socket.ssl_cert="},
                 {KEY_TLS_KEY, ";socket.ssl_key="}};
    for (size_t i = 0; i < BASE_COUNT_OF(files) && a->is_tls; i++) {
        const char *path = io_config_text(a->config, files[i].key);
        if (path[0] == '\0') {
            io_config_why(a->config, files[i].key, why,
                          "beyond loopback members talk over TLS: set tls.ca, galera.tls_cert and "
                          "galera.tls_key, or galera.tls: off");
            return BASE_E_INVALID;
        }
        buf_put_text(&b, files[i].option);
        buf_put_text(&b, path);
    }
    buf_put_text(&b, a->is_tls ? ";socket.ssl=yes" : "");
    return buf_terminate(&b) ? 0 : BASE_E_TOOBIG;
}

static int settings_read(const struct io_config *config, struct arbitrator *ret, struct io_why *why)
{
    bool is_local = true;
    memset(ret, 0, sizeof(*ret));
    ret->config = config;
    int rc = read_members(ret, &is_local, why);
    return rc != 0 ? rc : read_options(ret, &is_local, why);
}

static int check(const struct io_config *config, struct io_why *why)
{
    static struct arbitrator a;
    return settings_read(config, &a, why);
}

static int drop_root(const struct arbitrator *a)
{
    struct io_why why = {""};
    const char *name = io_config_text(a->config, KEY_USER);
    if (geteuid() != 0) {
        return 0;
    }
    const struct passwd *user = getpwnam(name);
    if (user == NULL || user->pw_uid == 0) {
        io_config_why(a->config, KEY_USER, &why, "'%s' is %s", name,
                      user == NULL ? "not a user of this host" : "root; name another user");
        return fail(&why);
    }
    if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        io_why_set(&why, "cannot become user %s: %s", name, strerror(errno));
        return fail(&why);
    }
    return 0;
}

static void exec_garbd(const struct arbitrator *a)
{
    const char *program = io_config_text(a->config, KEY_PROGRAM_PATH);
    const char *argv[] = {program,
                          "--address",
                          a->addresses,
                          "--group",
                          io_config_text(a->config, KEY_CLUSTER),
                          "--name",
                          io_config_text(a->config, KEY_MEMBER),
                          "--options",
                          a->options,
                          NULL};
    sigset_t none;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execv(program, (char *const *)(uintptr_t)argv);
    (void)fprintf(stderr, "%s: cannot run %s: %s\n", PROGRAM, program, strerror(errno));
    _exit(127);
}

/* Until garbd has ended or we are asked to; true: asked to. */
static bool watch(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGTERM || number == SIGINT) {
            (void)kill(child, SIGTERM);
            (void)waitpid(child, NULL, 0);
            return true;
        }
        if (waitpid(child, NULL, WNOHANG) == child) {
            return false;
        }
    }
}

/* True: asked to end meanwhile. */
static bool rest(int seconds, const sigset_t *signals)
{
    struct timespec limit = {.tv_sec = seconds};
    int number = 0;
    do {
        number = sigtimedwait(signals, NULL, &limit);
    } while (number == SIGCHLD);
    return number == SIGTERM || number == SIGINT;
}

static int supervise(const struct arbitrator *a)
{
    sigset_t signals;
    int wait_s = WAIT_MIN_S;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    io_daemon_notify("READY=1");
    for (;;) {
        struct timespec began;
        struct timespec ended;
        (void)clock_gettime(CLOCK_BOOTTIME, &began);
        pid_t child = fork();
        if (child == 0) {
            exec_garbd(a);
        }
        if (child < 0 || watch(child, &signals)) {
            return child < 0;
        }
        (void)clock_gettime(CLOCK_BOOTTIME, &ended);
        wait_s = ended.tv_sec - began.tv_sec > WAIT_MAX_S ? WAIT_MIN_S : wait_s * 2;
        wait_s = wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s;
        IO_LOG_WARN("arbitrator", "ended", io_i64("again_in_s", wait_s));
        if (rest(wait_s, &signals)) {
            return 0;
        }
    }
}

int gal_arbitrator_main(int argc, char **argv)
{
    static struct arbitrator a;
    struct io_config *config = NULL;
    struct io_why why = {""};
    io_daemon_small_memory();
    (void)umask(0077);
    int rc = io_config_main(&spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    rc = settings_read(config, &a, &why);
    if (rc != 0 || access(io_config_text(config, KEY_PROGRAM_PATH), X_OK) != 0) {
        if (rc == 0) {
            io_config_why(config, KEY_PROGRAM_PATH, &why,
                          "no program there; install galera-arbitrator-4");
        }
        (void)fail(&why);
        config = io_config_free(config);
        return 2;
    }
    rc = drop_root(&a) != 0 ? 1 : supervise(&a);
    config = io_config_free(config);
    return rc;
}
