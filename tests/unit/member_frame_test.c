/* SPDX-License-Identifier: Apache-2.0 */
/* Frames about membership: what is put is read again, what is damaged is refused, never believed.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "arbiter/quorated/member_frame.h"
#include "base/name.h"
#include "base/rand.h"

static struct member_frame sample(enum member_frame_kind kind)
{
    struct member_frame f = {.kind = kind};
    if (kind == MEMBER_HERE) {
        f.cluster_id = 77;
        f.is_committed = true;
        f.unheard_count = 1;
        f.unheard[0] = 6;
        f.configuration.index = 12;
        f.configuration.count = 2;
        for (uint32_t i = 0; i < 2; i++) {
            struct raft_member *m = &f.configuration.members[i];
            m->id = i + 5;
            m->is_learner = i == 1;
            m->peer_url = base_text_from(SLICE_LIT("http://[::1]:2380"));
            m->client_url_count = 1;
            m->client_urls[0] = base_text_from(SLICE_LIT("http://localhost:2379"));
        }
        return f;
    }
    assert_int_equal(base_name_from_text("n4", &f.name), 0);
    if (kind == MEMBER_WHO) {
        f.peer_url = base_text_from(SLICE_LIT("https://db4.example:2380"));
    } else {
        f.client_url_count = 2;
        f.client_urls[0] = base_text_from(SLICE_LIT("https://db4.example:2379"));
        f.client_urls[1] = base_text_from(SLICE_LIT("https://10.0.0.4:2379"));
    }
    return f;
}

static size_t put(const struct member_frame *f, uint8_t *memory)
{
    struct buf out = buf_over(memory, MEMBER_FRAME_MAX);
    assert_int_equal(member_frame_put(f, &out), 0);
    return out.len;
}

static void frames_come_back_as_they_were(void **state)
{
    (void)state;
    static uint8_t memory[MEMBER_FRAME_MAX];
    for (int kind = MEMBER_WHO; kind <= MEMBER_PUBLISH; kind++) {
        const struct member_frame f = sample((enum member_frame_kind)kind);
        struct member_frame back;
        size_t len = put(&f, memory);
        assert_int_equal(member_frame_read(slice_from(memory, len), &back), 0);
        assert_memory_equal(&back, &f, sizeof(f));
    }
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    uint8_t memory[16];
    const struct member_frame f = sample(MEMBER_HERE);
    struct buf out = buf_over(memory, sizeof(memory));
    assert_int_not_equal(member_frame_put(&f, &out), 0);
}

static void cut_and_damaged_frames_are_refused(void **state)
{
    (void)state;
    static uint8_t memory[MEMBER_FRAME_MAX + 1];
    struct base_rand r = base_rand_make(4, 1);
    struct member_frame back;
    for (int kind = MEMBER_WHO; kind <= MEMBER_PUBLISH; kind++) {
        const struct member_frame f = sample((enum member_frame_kind)kind);
        size_t len = put(&f, memory);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_not_equal(member_frame_read(slice_from(memory, cut), &back), 0);
        }
        memory[len] = 0;
        assert_int_not_equal(member_frame_read(slice_from(memory, len + 1), &back), 0);
        for (int i = 0; i < 2000; i++) {
            size_t at = base_rand_between(&r, 0, len - 1);
            uint8_t kept = memory[at];
            memory[at] = (uint8_t)base_rand_next(&r);
            /* whatever is read stays within its bounds */
            if (member_frame_read(slice_from(memory, len), &back) == 0) {
                assert_true(back.client_url_count <= RAFT_CLIENT_URLS_MAX);
                assert_true(back.configuration.count <= RAFT_MEMBERS_MAX);
                assert_true(strlen(back.peer_url.text) <= BASE_TEXT_MAX);
            }
            memory[at] = kept;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_as_they_were),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(cut_and_damaged_frames_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
