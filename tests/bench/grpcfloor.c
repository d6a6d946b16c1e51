/* SPDX-License-Identifier: Apache-2.0 */
/* Our gRPC server with nothing behind it: every unary call is answered OK at once with an empty
 * message. What h2load reaches against it is the floor of client and framing on this machine.
 *
 *   grpcfloor PORT SECONDS        on 127.0.0.1, until the time is over or SIGTERM
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/io/loop.h"
#include "proto/io/server.h"

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    (void)path;
    return IO_GRPC_UNARY;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    (void)message;
    io_grpc_reply(call, IO_GRPC_OK, NULL, SLICE_EMPTY);
}

static void stop(void *loop)
{
    io_loop_stop(loop);
}

static void on_signal(void *loop, int number)
{
    (void)number;
    io_loop_stop(loop);
}

int main(int argc, char **argv)
{
    const struct io_grpc_handler handler = {.lookup = lookup, .unary = unary};
    struct io_server_options options = {.grpc = &handler};
    struct io_loop *loop = NULL;
    struct io_server *server = NULL;
    struct io_timer end;
    struct io_why why = {""};
    if (argc != 3) {
        (void)fputs("usage: grpcfloor PORT SECONDS\n", stderr);
        return 2;
    }
    (void)snprintf(options.address.host, sizeof(options.address.host), "127.0.0.1");
    options.address.port = (uint16_t)strtoul(argv[1], NULL, 10);
    if (io_loop_new(&loop) != 0 || io_signal_watch(loop, SIGTERM, on_signal, loop) != 0 ||
        io_server_new(loop, &options, &server, &why) != 0) {
        (void)fprintf(stderr, "grpcfloor: %s\n", why.text);
        return 1;
    }
    io_timer_init(&end, loop, stop, loop);
    io_timer_start_in_us(&end, strtol(argv[2], NULL, 10) * BASE_US_PER_S);
    io_loop_run(loop);
    (void)io_server_free(server);
    (void)io_loop_free(loop);
    return 0;
}
