/* SPDX-License-Identifier: Apache-2.0 */
/* A lease kept alive by a thread; see keeper.h. */
#include "kv/cli/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "proto/io/loop.h"

#define LOOK_MS 50

static bool call(struct io_grpc_client *client, const char *path, const ProtobufCMessage *request,
                 uint32_t timeout_ms)
{
    uint8_t bytes[64];
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    size_t len = protobuf_c_message_get_packed_size(request);
    if (len > sizeof(bytes)) {
        return false;
    }
    (void)protobuf_c_message_pack(request, bytes);
    if (io_grpc_call(client, path, slice_from(bytes, len), timeout_ms, &answer, &why) != 0) {
        return false;
    }
    bool is_ok = answer.status == IO_GRPC_OK;
    io_grpc_answer_free(&answer);
    return is_ok;
}

static void lease_revoke(struct cli_keeper *k)
{
    Etcdserverpb__LeaseRevokeRequest request;
    etcdserverpb__lease_revoke_request__init(&request);
    request.id = k->lease;
    (void)call(k->client, "/etcdserverpb.Lease/LeaseRevoke", &request.base, k->cli->timeout_ms);
}

/* One keep-alive on a stream of its own. 1: kept; 0: there is no such lease; -1: not answered. */
static int keep(struct cli_keeper *k)
{
    uint8_t bytes[16];
    Etcdserverpb__LeaseKeepAliveRequest request;
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = false;
    int result = -1;
    etcdserverpb__lease_keep_alive_request__init(&request);
    request.id = k->lease;
    size_t len = etcdserverpb__lease_keep_alive_request__pack(&request, bytes);
    uint32_t timeout_ms = (uint32_t)k->ttl_s * 1000 / 3;
    if (io_grpc_stream_open(k->client, "/etcdserverpb.Lease/LeaseKeepAlive", timeout_ms, &why) ==
            0 &&
        io_grpc_stream_send(k->client, slice_from(bytes, len), timeout_ms, &why) == 0 &&
        io_grpc_stream_next(k->client, timeout_ms, &answer, &is_end, &why) == 0 && !is_end) {
        Etcdserverpb__LeaseKeepAliveResponse *kept =
            etcdserverpb__lease_keep_alive_response__unpack(NULL, answer.len, answer.data);
        if (kept != NULL) {
            result = kept->ttl > 0;
            etcdserverpb__lease_keep_alive_response__free_unpacked(kept, NULL);
        }
        io_grpc_answer_free(&answer);
    }
    io_grpc_stream_close(k->client);
    return result;
}

static void on_signal(struct cli_keeper *k, int number)
{
    int child = atomic_load(&k->child);
    if (child != 0) {
        (void)kill(child, number);
        return;
    }
    lease_revoke(k);
    _exit(128 + number);
}

static void lose(struct cli_keeper *k)
{
    int child = atomic_load(&k->child);
    atomic_store(&k->is_lost, true);
    (void)cli_fail(IO_EXIT_UNAVAILABLE, "the lease %016" PRIx64 " is lost, and what hung on it",
                   (uint64_t)k->lease);
    if (child != 0) {
        (void)kill(child, SIGTERM);
    }
}

static void *keeper_main(void *user)
{
    struct cli_keeper *k = user;
    struct base_mono kept = io_now();
    struct base_mono next = base_mono_add_us(kept, k->ttl_s * BASE_US_PER_S / 3);
    while (!atomic_load(&k->is_stopping)) {
        const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
        int number = sigtimedwait(&k->signals, NULL, &look);
        if (number > 0) {
            on_signal(k, number);
        }
        if (atomic_load(&k->is_lost) || base_mono_before(io_now(), next)) {
            continue;
        }
        struct base_mono asked = io_now();
        int result = keep(k);
        kept = result > 0 ? asked : kept;
        next = base_mono_add_us(io_now(),
                                result > 0 ? k->ttl_s * BASE_US_PER_S / 3 : 100 * BASE_US_PER_MS);
        if (result == 0 || base_mono_diff_us(io_now(), kept) > k->ttl_s * BASE_US_PER_S) {
            lose(k);
        }
    }
    return NULL;
}

static int grant(struct cli_keeper *k)
{
    Etcdserverpb__LeaseGrantRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__lease_grant_request__init(&request);
    request.ttl = k->ttl_s;
    int rc = cli_call(k->cli, "/etcdserverpb.Lease/LeaseGrant", &request.base,
                      &etcdserverpb__lease_grant_response__descriptor, &message);
    if (rc == 0) {
        const Etcdserverpb__LeaseGrantResponse *answer =
            (const Etcdserverpb__LeaseGrantResponse *)(const void *)message;
        k->lease = answer->id;
        k->ttl_s = answer->ttl > 0 ? answer->ttl : k->ttl_s;
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return rc;
}

int cli_keeper_start(struct cli_keeper *k, struct cli *cli, int64_t ttl_s)
{
    *k = (struct cli_keeper){.cli = cli, .ttl_s = ttl_s};
    (void)sigemptyset(&k->signals);
    (void)sigaddset(&k->signals, SIGINT);
    (void)sigaddset(&k->signals, SIGTERM);
    (void)sigaddset(&k->signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &k->signals, &k->signals_before);
    int rc = grant(k);
    if (rc != 0) {
        return rc;
    }
    k->client = cli_new_client(cli);
    if (k->client == NULL) {
        return IO_EXIT_USAGE;
    }
    if (pthread_create(&k->thread, NULL, keeper_main, k) != 0) {
        lease_revoke(k);
        k->client = io_grpc_client_free(k->client);
        return cli_fail(IO_EXIT_INTERNAL, "no thread to keep the lease alive");
    }
    return 0;
}

void cli_keeper_stop(struct cli_keeper *k)
{
    if (k->client != NULL) {
        atomic_store(&k->is_stopping, true);
        (void)pthread_join(k->thread, NULL);
        lease_revoke(k);
        k->client = io_grpc_client_free(k->client);
    }
}

int cli_keeper_run(struct cli_keeper *k, char **command)
{
    int status = 0;
    pid_t pid = fork();
    if (pid < 0) {
        return cli_fail(IO_EXIT_INTERNAL, "cannot start %s: %s", command[0], strerror(errno));
    }
    if (pid == 0) {
        (void)pthread_sigmask(SIG_SETMASK, &k->signals_before, NULL);
        (void)execvp(command[0], command);
        (void)cli_fail(IO_EXIT_INTERNAL, "cannot run %s: %s", command[0], strerror(errno));
        _exit(127);
    }
    atomic_store(&k->child, (int)pid);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    atomic_store(&k->child, 0);
    if (atomic_load(&k->is_lost)) {
        return IO_EXIT_UNAVAILABLE;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cli_keeper_wait(struct cli_keeper *k)
{
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    while (!atomic_load(&k->is_lost)) {
        (void)nanosleep(&look, NULL);
    }
    return IO_EXIT_UNAVAILABLE;
}
