/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as values and as bytes. The decoder reads what came over the net and from the
 * disk: every length is checked before it is used. */
#include "raft/core/members.h"

#include <string.h>

#include "base/assert.h"

#define FLAG_LEARNER 1u
#define ID_MAX (UINT64_MAX >> 1)

static bool is_terminated(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static bool is_member_sound(const struct raft_member *member)
{
    if (member->id == 0 || member->id > ID_MAX || member->client_url_count > RAFT_CLIENT_URLS_MAX ||
        !is_terminated(member->name.text, sizeof(member->name.text)) ||
        !is_terminated(member->peer_url.text, sizeof(member->peer_url.text))) {
        return false;
    }
    for (size_t i = 0; i < member->client_url_count; i++) {
        if (!is_terminated(member->client_urls[i].text, sizeof(member->client_urls[i].text))) {
            return false;
        }
    }
    return true;
}

size_t raft_members_voters(const struct raft_configuration *configuration)
{
    size_t voters = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        voters += !configuration->members[i].is_learner;
    }
    return voters;
}

const struct raft_member *raft_members_find(const struct raft_configuration *configuration,
                                            uint64_t id)
{
    for (size_t i = 0; i < configuration->count; i++) {
        if (configuration->members[i].id == id) {
            return &configuration->members[i];
        }
    }
    return NULL;
}

bool raft_members_are_sound(const struct raft_configuration *configuration)
{
    if (configuration->count < 1 || configuration->count > RAFT_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        if (!is_member_sound(member) || raft_members_find(configuration, member->id) != member) {
            return false;
        }
    }
    return raft_members_voters(configuration) > 0;
}

/* Members of `a` that `b` lacks or has in another part. */
static size_t count_missing(const struct raft_configuration *a, const struct raft_configuration *b,
                            size_t *ret_changed)
{
    size_t missing = 0;
    *ret_changed = 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct raft_member *other = raft_members_find(b, a->members[i].id);
        missing += other == NULL;
        *ret_changed += other != NULL && other->is_learner != a->members[i].is_learner;
    }
    return missing;
}

bool raft_members_is_step(const struct raft_configuration *from,
                          const struct raft_configuration *to)
{
    size_t changed = 0;
    size_t gone = count_missing(from, to, &changed);
    size_t added = count_missing(to, from, &changed);
    return gone + added + changed <= 1;
}

static void put_text(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    buf_put_u8(out, (uint8_t)len);
    buf_put(out, slice_from(text, len));
}

int raft_members_encode(const struct raft_configuration *configuration, struct buf *out)
{
    if (!raft_members_are_sound(configuration)) {
        return BASE_E_INVALID;
    }
    buf_put_u8(out, RAFT_MEMBERS_VERSION);
    buf_put_u8(out, (uint8_t)configuration->count);
    for (size_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        buf_put_u64_be(out, member->id);
        buf_put_u8(out, member->is_learner ? FLAG_LEARNER : 0);
        put_text(out, member->name.text);
        put_text(out, member->peer_url.text);
        buf_put_u8(out, member->client_url_count);
        for (size_t u = 0; u < member->client_url_count; u++) {
            put_text(out, member->client_urls[u].text);
        }
    }
    return out->is_full ? BASE_E_TOOBIG : 0;
}

/* `text` has `size` bytes, all zero. */
static bool take_text(struct slice *bytes, char *text, size_t size)
{
    uint8_t len = 0;
    struct slice taken = SLICE_EMPTY;
    if (slice_take_u8(bytes, &len) != 0 || len >= size ||
        slice_take_bytes(bytes, len, &taken) != 0 ||
        (len > 0 && memchr(taken.data, 0, len) != NULL)) {
        return false;
    }
    if (len > 0) {
        memcpy(text, taken.data, len);
    }
    return true;
}

static bool take_member(struct slice *bytes, struct raft_member *member)
{
    uint8_t flags = 0;
    if (slice_take_u64_be(bytes, &member->id) != 0 || slice_take_u8(bytes, &flags) != 0 ||
        flags > FLAG_LEARNER || !take_text(bytes, member->name.text, sizeof(member->name.text)) ||
        !take_text(bytes, member->peer_url.text, sizeof(member->peer_url.text)) ||
        slice_take_u8(bytes, &member->client_url_count) != 0 ||
        member->client_url_count > RAFT_CLIENT_URLS_MAX) {
        return false;
    }
    member->is_learner = flags == FLAG_LEARNER;
    for (size_t i = 0; i < member->client_url_count; i++) {
        if (!take_text(bytes, member->client_urls[i].text, sizeof(member->client_urls[i].text))) {
            return false;
        }
    }
    return true;
}

int raft_members_decode(struct slice bytes, struct raft_configuration *ret)
{
    uint8_t version = 0;
    uint8_t count = 0;
    memset(ret, 0, sizeof(*ret));
    if (slice_take_u8(&bytes, &version) != 0) {
        return BASE_E_PROTO;
    }
    if (version != RAFT_MEMBERS_VERSION) {
        return version > RAFT_MEMBERS_VERSION ? BASE_E_UNSUPPORTED : BASE_E_PROTO;
    }
    bool is_good = slice_take_u8(&bytes, &count) == 0 && count <= RAFT_MEMBERS_MAX;
    for (; is_good && ret->count < count; ret->count++) {
        is_good = take_member(&bytes, &ret->members[ret->count]);
    }
    if (!is_good || bytes.len != 0 || !raft_members_are_sound(ret)) {
        memset(ret, 0, sizeof(*ret));
        return BASE_E_PROTO;
    }
    return 0;
}
