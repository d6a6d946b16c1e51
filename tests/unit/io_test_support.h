/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of proto/io share: a loop with deadlines, a scratch folder, certificates made on
 * the spot. */
#ifndef QUORATE_TESTS_UNIT_IO_TEST_SUPPORT_H
#define QUORATE_TESTS_UNIT_IO_TEST_SUPPORT_H

#include "proto/io/loop.h"
#include "proto/io/stream.h"
#include "tests/support/cm.h"

/* Runs the loop until *flag is set; fails the test after 10 s. */
void run_until(struct io_loop *loop, const bool *flag);
/* Runs the loop for a while. */
void run_for(struct io_loop *loop, int64_t us);

/* A folder under TMPDIR (or /tmp) that test_folder_remove takes away with the files made through
 * test_path. */
void test_folder_make(void);
void test_folder_remove(void);
/* Full path of a file in it; one of 8 rotating static buffers. */
const char *test_path(const char *name);
void test_write_file(const char *name, const char *text);

/* A certificate authority: writes NAME.pem, keeps the key. */
void test_ca_make(const char *name);
/* NAME.pem and NAME.key, signed by authority `ca`, valid for `days` from now (negative: expired)
 * with the URI SAN (NULL: none) and DNS:localhost, IP:127.0.0.1, IP:::1. */
void test_cert_make(const char *ca, const char *name, const char *uri, int days);
/* Contexts over NAME.pem, NAME.key and CA.pem. */
struct io_tls *test_tls(const char *ca, const char *name, enum io_tls_verify verify);

struct io_address test_loopback(uint16_t port);

#endif
