/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-galera --arbitrator: runs garbd on a quorum node or any other host, so that two
 * members and it make three. It votes in Galera's own quorum and relays; it holds no data, and the
 * arbiter never grants it anything. No guard, no lease, no state. */
#ifndef QUORATE_AGENTS_GALERA_ARBITRATOR_H
#define QUORATE_AGENTS_GALERA_ARBITRATOR_H

/* Reads the configuration, becomes the user, and keeps garbd running until SIGTERM. Exit status. */
int gal_arbitrator_main(int argc, char **argv);

#endif
