/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP/1.1 POST over plain TCP for the differential run: one connection per request, the
 * whole answer in memory, chunked bodies put together. Not for anything that meets strangers. */
#ifndef QUORATE_TESTS_DIFFERENTIAL_HTTP_H
#define QUORATE_TESTS_DIFFERENTIAL_HTTP_H

#include <stddef.h>

#define HTTP_BODY_MAX ((size_t)8 << 20)

struct http_answer {
    int status;      /* 0: nobody answered, or not in HTTP */
    char *body;      /* malloc'ed, NUL-terminated; never NULL after a call */
    size_t body_len; /* without the NUL */
};

struct http_request {
    const char *host_port;
    const char *path;
    const char *token; /* Authorization, or NULL */
    const char *body;
    size_t body_len;
    unsigned lines_max;
    int wait_ms;
};

/* POSTs the body to http://host:port/path and reads until the end of the answer, until it has
 * lines_max lines (0: no such bound), or until nothing came for wait_ms. Free the body. */
void http_post(const struct http_request *request, struct http_answer *ret);

#endif
