/* SPDX-License-Identifier: Apache-2.0 */
/* The status page of a quorum node: one table of paths. / (HTML, complete without a script),
 * /status.json (the same as data), /status/live (parts of the page as they change, server-sent
 * events), and the files that the page is made of.
 *
 * Read-only, answered from this node's memory (histories: from its store), so that every node
 * answers, also one without a quorum. At most WEB_VIEWERS_MAX pages are kept live; without any of
 * them nothing runs. Nothing here is ever waited for by what decides. Loop thread. */
#ifndef QUORATE_ARBITER_WEB_WEB_H
#define QUORATE_ARBITER_WEB_WEB_H

#include "arbiter/driver.h"
#include "arbiter/web/access.h"
#include "arbiter/web/page.h"

#define WEB_VIEWERS_MAX 32

struct io_loop;
struct web;

struct web_options {
    struct io_loop *loop;
    const struct arb_driver *driver;
    struct kv_service *service;
    void *ctx;
    void (*quorum)(void *ctx, struct web_quorum *ret); /* as this node sees it */
    bool is_public;                                    /* status_public */
    const char *password_file;                         /* "": none */
};

/* BASE_E_NOMEM, and those of web_access_read, with why. */
MUST_CHECK int web_new(const struct web_options *options, struct web **ret, struct io_why *why);
/* Answers a GET of one of its paths; false: not its path. */
bool web_request(struct web *web, struct io_http_exchange *exchange,
                 const struct io_http_request *request);
/* Whether the metrics may be read; answers itself when not. */
bool web_admits(struct web *web, struct io_http_exchange *exchange,
                const struct io_http_request *request);
/* From the server's handler: of any exchange, also of others. */
void web_gone(struct web *web, const struct io_http_exchange *exchange);
uint32_t web_viewers(const struct web *web);
/* After the servers and the service are closed. NULL is fine. Returns NULL. */
struct web *web_free(struct web *web);

#endif
