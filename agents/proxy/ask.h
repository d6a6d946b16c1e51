/* SPDX-License-Identifier: Apache-2.0 */
/* Asking one agent's health checks over a kept HTTP/1.1 connection: is it the primary, is it a
 * replica within the lag limit, is it promoted in this epoch. All questions go out together; each
 * has one answer, which carries the time at which it was asked. Loop thread only; nothing is told
 * from inside a call. */
#ifndef QUORATE_AGENTS_PROXY_ASK_H
#define QUORATE_AGENTS_PROXY_ASK_H

#include "agents/proxy/core/core.h"
#include "proto/io/loop.h"
#include "proto/io/stream.h"

struct ask;

/* `answer` as in the core: YES (200), NO (another status), NONE (no agent there), SILENT. */
typedef void ask_fn(void *ctx, enum proxy_question question, enum proxy_answer answer,
                    struct base_mono asked_at);

struct ask_options {
    struct io_loop *loop;
    struct io_tls *tls; /* NULL: plain */
    ask_fn *answered;
    void *ctx;
};

/* NOMEM. */
MUST_CHECK int ask_open(const struct ask_options *options, struct ask **ret);
/* Where, and the lag limit. A changed address drops the connection. */
void ask_set(struct ask *ask, const char *host, uint16_t port, int64_t lag_bytes);
/* Asks now, unless a question is under way. SILENT is told after timeout_us. epoch: of the record.
 */
void ask_now(struct ask *ask, uint64_t epoch, int64_t timeout_us);
bool ask_is_busy(const struct ask *ask);
/* No callback afterwards. NULL is fine. Returns NULL. */
struct ask *ask_close(struct ask *ask);

#endif
