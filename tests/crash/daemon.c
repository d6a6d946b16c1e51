/* SPDX-License-Identifier: Apache-2.0 */
/* See daemon.h. */
#include "tests/crash/daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/types.h"
#include "tests/crash/shim.h"
#include "tests/differential/http.h"

#define ANSWER_MS 5000

int64_t daemon_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void daemon_pause(void)
{
    (void)usleep(5000);
}

/* --- before --- */

void daemon_place(char *ret, size_t cap, const char *what)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL) {
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }
    (void)snprintf(ret, cap, "%s/quorate-%s-XXXXXX", base, what);
    BASE_ASSERT(mkdtemp(ret) != NULL);
}

/* A port that is free now; the socket keeps it until all are chosen. */
static uint16_t free_port(int *ret_socket)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    *ret_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BASE_ASSERT(*ret_socket >= 0 && bind(*ret_socket, (struct sockaddr *)&at, sizeof(at)) == 0);
    BASE_ASSERT(getsockname(*ret_socket, (struct sockaddr *)&at, &len) == 0);
    return ntohs(at.sin_port);
}

void daemon_plan(struct daemon *list, size_t count, const char *top)
{
    int sockets[2 * DAEMONS_MAX];
    char nodes[128] = "";
    BASE_ASSERT(count <= DAEMONS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct daemon *d = &list[i];
        size_t used = strlen(nodes);
        (void)snprintf(d->name, sizeof(d->name), "d%zu", i + 1);
        (void)snprintf(d->directory, sizeof(d->directory), "%s/%s", top, d->name);
        (void)snprintf(d->log, sizeof(d->log), "%s/%s.log", top, d->name);
        (void)snprintf(d->api, sizeof(d->api), "127.0.0.1:%u", free_port(&sockets[2 * i]));
        (void)snprintf(nodes + used, sizeof(nodes) - used, "%s%s=127.0.0.1:%u", i > 0 ? "," : "",
                       d->name, free_port(&sockets[2 * i + 1]));
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(list[i].nodes, nodes, sizeof(nodes));
        (void)close(sockets[2 * i]);
        (void)close(sockets[2 * i + 1]);
    }
}

/* --- the process --- */

_Noreturn static void become(const struct daemon *d)
{
    char name[32];
    char directory[300];
    char nodes[160];
    char listen[64];
    char count[64];
    int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
        _exit(126);
    }
    (void)snprintf(name, sizeof(name), "--name=%s", d->name);
    (void)snprintf(directory, sizeof(directory), "--data_dir=%s", d->directory);
    (void)snprintf(nodes, sizeof(nodes), "--quorum.nodes=%s", d->nodes);
    (void)snprintf(listen, sizeof(listen), "--client.listen=%s", d->api);
    (void)snprintf(count, sizeof(count), "--quorum.snapshot_count=%u",
                   d->snapshot_count != 0 ? d->snapshot_count : 5000);
    if (d->page != NULL) {
        (void)setenv(SHIM_ENVIRONMENT, d->page, 1);
        (void)setenv("LD_PRELOAD", d->shim, 1);
    }
    (void)execl(d->program, "quorated", name, directory, nodes, listen, count,
                "--metrics.listen=off", "--insecure=yes", "--raft.heartbeat=20ms",
                "--raft.election=200ms", (char *)NULL);
    _exit(127);
}

void daemon_start(struct daemon *d)
{
    (void)fflush(stdout);
    d->status = 0;
    d->pid = fork();
    BASE_ASSERT(d->pid >= 0);
    if (d->pid == 0) {
        become(d);
    }
}

bool daemon_is_up(struct daemon *d)
{
    if (d->pid != 0 && waitpid(d->pid, &d->status, WNOHANG) == d->pid) {
        d->pid = 0;
    }
    return d->pid != 0;
}

bool daemon_wait_end(struct daemon *d, int wait_ms)
{
    int64_t end = daemon_now_ms() + wait_ms;
    while (daemon_is_up(d)) {
        if (daemon_now_ms() > end) {
            return false;
        }
        daemon_pause();
    }
    return true;
}

void daemon_kill(struct daemon *d)
{
    if (daemon_is_up(d)) {
        (void)kill(d->pid, SIGKILL);
        (void)waitpid(d->pid, &d->status, 0);
        d->pid = 0;
    }
}

bool daemon_stop(struct daemon *d)
{
    if (daemon_is_up(d)) {
        (void)kill(d->pid, SIGTERM);
    }
    bool is_ended = daemon_wait_end(d, 20000);
    daemon_kill(d);
    return is_ended;
}

/* --- questions --- */

/* Takes NAME":"VALUE" out, wherever it stands. */
static void drop(char *text, const char *name)
{
    char word[64];
    int len = snprintf(word, sizeof(word), "\"%s\":\"", name);
    for (char *at = strstr(text, word); at != NULL; at = strstr(at, word)) {
        char *end = strchr(at + len, '"');
        if (end == NULL) {
            return;
        }
        memmove(at, end + 1, strlen(end + 1) + 1);
    }
}

int daemon_ask(const struct daemon *d, const char *path, const char *json, char *ret_body,
               size_t cap)
{
    struct http_answer answer;
    struct http_request request = {.host_port = d->api,
                                   .path = path,
                                   .body = json,
                                   .body_len = strlen(json),
                                   .wait_ms = ANSWER_MS};
    http_post(&request, &answer);
    drop(answer.body, "raft_term"); /* differs from run to run */
    drop(answer.body, "member_id"); /* and from node to node */
    if (ret_body != NULL) {
        (void)snprintf(ret_body, cap, "%s", answer.body);
    }
    free(answer.body);
    return answer.status;
}

bool daemon_wait_ready(struct daemon *d, int wait_ms)
{
    int64_t end = daemon_now_ms() + wait_ms;
    while (daemon_is_up(d) && daemon_now_ms() < end) {
        if (daemon_ask(d, "/v3/kv/range", "{\"key\":\"AA==\"}", NULL, 0) == 200) {
            return true;
        }
        daemon_pause();
    }
    return false;
}

bool daemon_view(const struct daemon *d, char ret[DAEMON_TEXT])
{
    static const char *const questions[][2] = {
        {"/v3/kv/range", "{\"key\":\"AA==\",\"range_end\":\"AA==\"}"},
        {"/v3/auth/user/list", "{}"},
        {"/v3/auth/role/list", "{}"},
        {"/v3/lease/leases", "{}"},
        {"/v3/maintenance/alarm", "{\"action\":\"GET\"}"},
    };
    size_t used = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(questions); i++) {
        if (daemon_ask(d, questions[i][0], questions[i][1], ret + used, DAEMON_TEXT - used) !=
            200) {
            return false;
        }
        used += strlen(ret + used);
    }
    BASE_ASSERT(used + 1 < DAEMON_TEXT);
    return true;
}

void daemon_run(const char *program, const char *a, const char *b, const char *c)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    BASE_ASSERT(pid >= 0);
    if (pid == 0) {
        (void)execlp(program, program, a, b, c, (char *)NULL);
        _exit(127);
    }
    BASE_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
}

void daemon_last_words(const struct daemon *d, char *ret, size_t cap)
{
    char line[1024];
    FILE *log = fopen(d->log, "re");
    (void)snprintf(ret, cap, "nothing");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strstr(line, "lvl=error") != NULL || strstr(line, "quorated:") != NULL) {
            (void)snprintf(ret, cap, "%s", line);
        }
    }
    if (log != NULL) {
        (void)fclose(log);
    }
}
