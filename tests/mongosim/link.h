/* SPDX-License-Identifier: Apache-2.0 */
/* Between the hub and the process of a node, over a Unix socket: lines.
 *
 *   node to hub   "KEY VALUE" for what its configuration says (keys below), then "up"; afterwards
 *                 "conn" with each accepted socket, "beat" every 50 ms, "term" on SIGTERM
 *   hub to node   "ok" (it may listen), "no TEXT" (it may not), "exit STATUS", "kill"
 *
 * A connection that ends is the end of the other side: for the hub a crash of that node.
 */
#ifndef QUORATE_TESTS_MONGOSIM_LINK_H
#define QUORATE_TESTS_MONGOSIM_LINK_H

#define LINK_BEAT_MS 50
#define LINK_SILENT_MS 300 /* a process that stands still */
#define LINK_LINE_MAX 511

/* Keys: port, host, set, dir, empty (the directory was empty), auth, tls (mode), tls_file, tls_ca,
 * tls_optional. */

/* The whole life of a node's process: argv is that of mongod. Exit status. */
int node_main(int argc, char **argv, const char *hub_socket);

#endif
