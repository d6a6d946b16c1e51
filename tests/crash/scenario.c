/* SPDX-License-Identifier: Apache-2.0 */
/* See scenario.h. */
#include "tests/crash/scenario.h"

#include <stdio.h>
#include <string.h>

#include "tests/crash/shim.h"

#define REST_MS 250 /* nothing written for so long: the state store has committed */
#define BODY_MAX 4096u

void scenario_base64(const char *text, char *ret, size_t cap)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text);
    size_t used = 0;
    for (size_t i = 0; i < len && used + 5 < cap; i += 3) {
        unsigned bits = (unsigned)(unsigned char)text[i] << 16;
        bits |= i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        bits |= i + 2 < len ? (unsigned)(unsigned char)text[i + 2] : 0;
        ret[used++] = digits[bits >> 18 & 63];
        ret[used++] = digits[bits >> 12 & 63];
        ret[used++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        ret[used++] = i + 2 < len ? digits[bits & 63] : '=';
    }
    ret[used] = 0;
}

void scenario_put(const char *key, const char *value, char *ret, size_t cap)
{
    char k[128];
    char v[2048];
    scenario_base64(key, k, sizeof(k));
    scenario_base64(value, v, sizeof(v));
    (void)snprintf(ret, cap, "{\"key\":\"%s\",\"value\":\"%s\"}", k, v);
}

static bool ask(const struct daemon *d, const char *path, const char *json)
{
    return daemon_ask(d, path, json, NULL, 0) == 200;
}

/* Values of many lengths, so that batches take one sector and several. */
static bool put(const struct daemon *d, size_t step)
{
    char key[32];
    char value[1400];
    char body[BODY_MAX];
    size_t len = 20 + step * 397 % 1300;
    (void)snprintf(key, sizeof(key), "key-%zu", step % 7);
    memset(value, 'a' + (int)(step % 26), len);
    value[len] = 0;
    scenario_put(key, value, body, sizeof(body));
    return ask(d, "/v3/kv/put", body);
}

static bool transact(const struct daemon *d, size_t step)
{
    char key[64];
    char other[64];
    char body[BODY_MAX];
    char text[32];
    (void)snprintf(text, sizeof(text), "txn-%zu", step);
    scenario_base64(text, other, sizeof(other));
    scenario_base64("key-1", key, sizeof(key));
    (void)snprintf(body, sizeof(body),
                   "{\"compare\":[{\"key\":\"%s\",\"target\":\"CREATE\",\"result\":\"GREATER\","
                   "\"create_revision\":\"0\"}],\"success\":[{\"requestPut\":{\"key\":\"%s\","
                   "\"value\":\"eA==\"}},{\"requestDeleteRange\":{\"key\":\"%s\"}}]}",
                   key, other, key);
    return ask(d, "/v3/kv/txn", body);
}

static bool remove_key(const struct daemon *d)
{
    char key[64];
    char body[128];
    scenario_base64("key-3", key, sizeof(key));
    (void)snprintf(body, sizeof(body), "{\"key\":\"%s\"}", key);
    return ask(d, "/v3/kv/deleterange", body);
}

static bool grant(const struct daemon *d, size_t step)
{
    char body[128];
    (void)snprintf(body, sizeof(body), "{\"TTL\":\"86400\",\"ID\":\"%zu\"}", 1000 + step);
    return ask(d, "/v3/lease/grant", body);
}

/* With the lease that a step before has granted. */
static bool put_leased(const struct daemon *d, size_t granted)
{
    char body[128];
    (void)snprintf(body, sizeof(body),
                   "{\"key\":\"bGVhc2Vk\",\"value\":\"eA==\",\"lease\":\"%zu\"}", 1000 + granted);
    return ask(d, "/v3/kv/put", body);
}

static bool revoke(const struct daemon *d, size_t granted)
{
    char body[64];
    (void)snprintf(body, sizeof(body), "{\"ID\":\"%zu\"}", 1000 + granted);
    return ask(d, "/v3/lease/revoke", body);
}

static uint64_t all_of(const struct shim_page *page)
{
    return page->counts[SHIM_WRITE] + page->counts[SHIM_SYNC] + page->counts[SHIM_NAME];
}

/* Until nothing was written for a while. */
static bool rest(struct daemon *d, const struct shim_page *page)
{
    uint64_t seen = page == NULL ? 0 : all_of(page);
    int64_t end = daemon_now_ms() + REST_MS;
    while (page != NULL && daemon_is_up(d) && daemon_now_ms() < end) {
        if (all_of(page) != seen) {
            seen = all_of(page);
            end = daemon_now_ms() + REST_MS;
        }
        daemon_pause();
    }
    return daemon_is_up(d);
}

bool scenario_step(struct daemon *d, size_t step, const struct shim_page *page)
{
    switch (step) {
    case 5:
        return ask(d, "/v3/auth/user/add", "{\"name\":\"anna\",\"password\":\"x\"}");
    case 6:
        return ask(d, "/v3/auth/role/add", "{\"name\":\"reader\"}");
    case 7:
    case 25:
        return grant(d, step);
    case 8:
        return put_leased(d, 7);
    case 11:
    case 31:
        return transact(d, step);
    case 14:
        return remove_key(d);
    case 16:
    case 36:
        return rest(d, page);
    case 20:
        return ask(d, "/v3/kv/compaction", "{\"revision\":\"9\"}");
    case 22:
        return ask(d, "/v3/auth/user/grant", "{\"user\":\"anna\",\"role\":\"reader\"}");
    case 26:
        return put_leased(d, 25);
    case 29:
        return ask(d, "/v3/maintenance/snapshot", "{}");
    case 33:
        return revoke(d, 7);
    case 39:
        return ask(d, "/v3/auth/user/delete", "{\"name\":\"anna\"}");
    case 41:
        return ask(d, "/v3/kv/compaction", "{\"revision\":\"20\",\"physical\":true}");
    default:
        return put(d, step);
    }
}
