/* SPDX-License-Identifier: Apache-2.0 */
/* kv snapshot save: one node's state into a file. The file appears under its name only when it is
 * whole: checked against the SHA-256 that ends it, and on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "proto/io/loop.h"

#define SUM_BYTES 32u
#define QUIET_MS 30000 /* a stream that says nothing for so long is lost */
#define PROGRESS_US (BASE_US_PER_S / 5)
#define PATH_BYTES 4096

struct save {
    const struct cli *cli;
    const char *path;
    char part[PATH_BYTES];
    int fd;
    EVP_MD_CTX *sum;
    uint8_t tail[SUM_BYTES]; /* the last bytes: the sum, when nothing follows */
    size_t tail_len;
    uint64_t written, remaining;
    struct base_mono began, shown;
};

static int put(struct save *s, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(s->fd, data, len);
        if (done < 0 && errno != EINTR) {
            return cli_fail(IO_EXIT_INTERNAL, "%s: %s", s->part, strerror(errno));
        }
        data += done < 0 ? 0 : done;
        len -= done < 0 ? 0 : (size_t)done;
    }
    return 0;
}

/* Everything but the last 32 bytes is summed up. */
static void add_to_sum(struct save *s, const uint8_t *data, size_t len)
{
    size_t all = s->tail_len + len;
    size_t old = all <= SUM_BYTES ? 0 : all - SUM_BYTES; /* bytes that are summed now */
    size_t from_tail = old < s->tail_len ? old : s->tail_len;
    (void)EVP_DigestUpdate(s->sum, s->tail, from_tail);
    memmove(s->tail, s->tail + from_tail, s->tail_len - from_tail);
    s->tail_len -= from_tail;
    (void)EVP_DigestUpdate(s->sum, data, old - from_tail);
    memcpy(s->tail + s->tail_len, data + (old - from_tail), len - (old - from_tail));
    s->tail_len += len - (old - from_tail);
}

/* Bytes, rate and time left, for people only. */
static void show_progress(struct save *s, bool is_last)
{
    struct base_mono now = io_now();
    if (!isatty(STDERR_FILENO) || (!is_last && base_mono_diff_us(now, s->shown) < PROGRESS_US)) {
        return;
    }
    s->shown = now;
    double seconds = (double)base_mono_diff_us(now, s->began) / 1e6;
    double rate = seconds > 0 ? (double)s->written / seconds : 0;
    (void)fprintf(stderr, "\r%.1f MB  %.1f MB/s  %.0f s left   ", (double)s->written / 1e6,
                  rate / 1e6, rate > 0 ? (double)s->remaining / rate : 0.0);
    if (is_last) {
        (void)fputc('\n', stderr);
    }
}

static int receive(struct save *s, struct cli *cli)
{
    for (;;) {
        ProtobufCMessage *message = NULL;
        int rc =
            cli_stream_next(cli, QUIET_MS, &etcdserverpb__snapshot_response__descriptor, &message);
        if (rc == -1) {
            return cli_fail(IO_EXIT_UNAVAILABLE, "the node sent nothing for %d s", QUIET_MS / 1000);
        }
        if (rc != 0 || message == NULL) {
            return rc;
        }
        const Etcdserverpb__SnapshotResponse *piece =
            (const Etcdserverpb__SnapshotResponse *)(const void *)message;
        if (piece->blob.len > 0) {
            rc = put(s, piece->blob.data, piece->blob.len);
            add_to_sum(s, piece->blob.data, piece->blob.len);
        }
        s->written += piece->blob.len;
        s->remaining = piece->remaining_bytes;
        protobuf_c_message_free_unpacked(message, NULL);
        if (rc != 0) {
            return rc;
        }
        show_progress(s, false);
    }
}

static int check_sum(struct save *s)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (s->tail_len == SUM_BYTES && EVP_DigestFinal_ex(s->sum, sum, &len) == 1 &&
        len == SUM_BYTES && memcmp(sum, s->tail, SUM_BYTES) == 0) {
        return 0;
    }
    return cli_fail(IO_EXIT_INTERNAL,
                    "the snapshot of %" PRIu64 " bytes is damaged: its SHA-256 is another one; "
                    "%s was not written",
                    s->written, s->path);
}

/* On the disk first, then under its name. */
static int finish(struct save *s)
{
    if (fsync(s->fd) != 0 || rename(s->part, s->path) != 0) {
        return cli_fail(IO_EXIT_INTERNAL, "%s: %s", s->path, strerror(errno));
    }
    return 0;
}

static int save_run(struct save *s, struct cli *cli)
{
    struct io_why why = {""};
    Etcdserverpb__SnapshotRequest request;
    etcdserverpb__snapshot_request__init(&request);
    s->began = io_now();
    int rc = cli_stream_open(cli, "/etcdserverpb.Maintenance/Snapshot");
    rc = rc != 0 ? rc : cli_stream_send(cli, &request.base);
    if (rc == 0 && io_grpc_stream_half_close(cli->client, cli->timeout_ms, &why) != 0) {
        rc = cli_fail(IO_EXIT_UNAVAILABLE, "%s", why.text);
    }
    rc = rc != 0 ? rc : receive(s, cli);
    show_progress(s, true);
    rc = rc != 0 ? rc : check_sum(s);
    return rc != 0 ? rc : finish(s);
}

int cmd_snapshot_save(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    struct save s = {.cli = cli, .fd = -1};
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv snapshot save FILE");
    }
    if (rc != 0) {
        return rc;
    }
    s.path = argv[1];
    if (snprintf(s.part, sizeof(s.part), "%s.part", s.path) >= (int)sizeof(s.part)) {
        return cli_fail(IO_EXIT_USAGE, "the name of the file is too long");
    }
    s.fd = open(s.part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    s.sum = EVP_MD_CTX_new();
    if (s.fd < 0 || s.sum == NULL || EVP_DigestInit_ex(s.sum, EVP_sha256(), NULL) != 1) {
        rc = cli_fail(IO_EXIT_INTERNAL, "%s: %s", s.part, strerror(errno));
    } else {
        rc = save_run(&s, cli);
    }
    EVP_MD_CTX_free(s.sum);
    if (s.fd >= 0) {
        (void)close(s.fd);
    }
    if (rc != 0) {
        (void)unlink(s.part);
    } else if (cli->output == CLI_JSON && cli->is_output_set) {
        rc =
            cli_print_json(json_pack("{s:s, s:I}", "file", s.path, "bytes", (json_int_t)s.written));
    } else {
        (void)printf("Snapshot saved at %s\n", s.path);
    }
    return rc;
}
