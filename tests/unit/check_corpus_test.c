/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made histories with known verdicts, in the format that real runs write, through all three
 * checkers; and what the reader refuses.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "jepsen/check/json.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/oracle.h"
#include "jepsen/check/witness.h"

static struct chk_op ops[64];
static struct chk_key keys[8];
static _Alignas(16) uint8_t memory[4 << 20];

/* Short for one line of a history. */
#define OK(process, call, ret, rev, parts) \
    "{\"process\":" #process ",\"type\":\"ok\",\"call\":" #call ",\"return\":" #ret \
    ",\"rev\":" #rev ",\"parts\":[" parts "]}\n"
#define INFO(process, call, parts) \
    "{\"process\":" #process ",\"type\":\"info\",\"call\":" #call ",\"parts\":[" parts "]}\n"
#define FAIL(process, call, ret, parts) \
    "{\"process\":" #process ",\"type\":\"fail\",\"call\":" #call ",\"return\":" #ret \
    ",\"parts\":[" parts "]}\n"
#define CAS(process, call, ret, rev, is, applied, parts) \
    "{\"process\":" #process ",\"type\":\"ok\",\"call\":" #call ",\"return\":" #ret \
    ",\"rev\":" #rev ",\"if\":\"a\",\"is\":" #is ",\"applied\":" #applied ",\"parts\":[" parts \
    "]}\n"
#define PUT(key, value) "[\"put\",\"" #key "\"," #value ",0]"
#define GET(key, value, mod) "[\"get\",\"" #key "\"," #value "," #mod "]"
#define DEL(key, found) "[\"del\",\"" #key "\"," #found ",0]"

enum { GOOD = CHK_OK, BAD = CHK_VIOLATED };

struct sample {
    const char *name;
    const char *text;
    int linear;  /* by search and by brute force */
    int witness; /* by revisions */
};

static const struct sample corpus[] = {
    {"empty", "", GOOD, GOOD},
    {"put then get", OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 5, 2)), GOOD, GOOD},
    {"get of nothing", OK(1, 0, 1, 1, GET(a, 0, 0)), GOOD, GOOD},
    {"stale read", OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 1, GET(a, 0, 0)), BAD, BAD},
    {"stale read of an older value",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 3, 3, PUT(a, 6)) OK(2, 4, 5, 2, GET(a, 5, 2)), BAD, BAD},
    {"overlapping read sees the old value",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 9, 3, PUT(a, 6)) OK(2, 4, 5, 2, GET(a, 5, 2)), GOOD, GOOD},
    {"overlapping read sees the new value",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 9, 3, PUT(a, 6)) OK(2, 4, 5, 3, GET(a, 6, 3)), GOOD, GOOD},
    {"reads go back",
     OK(1, 0, 9, 2, PUT(a, 5)) OK(2, 1, 2, 2, GET(a, 5, 2)) OK(3, 3, 4, 1, GET(a, 0, 0)), BAD, BAD},
    {"value never written", OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 7, 2)), BAD, BAD},
    {"lost update",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 3, PUT(a, 6)) OK(3, 4, 5, 3, GET(a, 5, 2)), BAD, BAD},
    {"unknown write seen", INFO(1, 0, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 5, 2)), GOOD, GOOD},
    {"unknown write never seen", INFO(1, 0, PUT(a, 5)) OK(2, 2, 3, 1, GET(a, 0, 0)), GOOD, GOOD},
    {"unknown write seen late",
     INFO(1, 0, PUT(a, 5)) OK(2, 2, 3, 2, PUT(a, 6)) OK(2, 4, 5, 3, GET(a, 5, 3)), GOOD, GOOD},
    {"unknown write seen, gone, seen again",
     INFO(1, 0, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 5, 2)) OK(2, 4, 5, 3, PUT(a, 6))
         OK(2, 6, 7, 4, GET(a, 5, 4)),
     BAD, BAD},
    {"unknown write seen before its call", OK(2, 0, 1, 2, GET(a, 5, 2)) INFO(1, 2, PUT(a, 5)), BAD,
     BAD},
    {"failed write seen", FAIL(1, 0, 1, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 5, 2)), BAD, BAD},
    {"failed write not seen", FAIL(1, 0, 1, PUT(a, 5)) OK(2, 2, 3, 1, GET(a, 0, 0)), GOOD, GOOD},
    {"all unknown", INFO(1, 0, PUT(a, 5)) INFO(2, 0, PUT(a, 6)) INFO(3, 0, DEL(a, 1)), GOOD, GOOD},
    {"delete found",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 3, 3, DEL(a, 1)) OK(1, 4, 5, 3, GET(a, 0, 0)), GOOD, GOOD},
    {"deleted value comes back",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 3, 3, DEL(a, 1)) OK(1, 4, 5, 3, GET(a, 5, 2)), BAD, BAD},
    {"delete finds nothing where something was",
     OK(1, 0, 1, 2, PUT(a, 5)) OK(1, 2, 3, 2, DEL(a, 0)), BAD, BAD},
    {"delete by nobody known",
     OK(1, 0, 1, 2, PUT(a, 5)) INFO(2, 2, DEL(a, 1)) OK(1, 4, 5, 3, GET(a, 0, 0)), GOOD, GOOD},
    {"swap won",
     OK(1, 0, 1, 2, PUT(a, 5)) CAS(2, 2, 3, 3, 5, 1, PUT(a, 6)) OK(1, 4, 5, 3, GET(a, 6, 3)), GOOD,
     GOOD},
    {"swap lost for good reason", OK(1, 0, 1, 2, PUT(a, 5)) CAS(2, 2, 3, 2, 4, 0, PUT(a, 6)), GOOD,
     GOOD},
    {"swap lost for no reason", OK(1, 0, 1, 2, PUT(a, 5)) CAS(2, 2, 3, 2, 5, 0, PUT(a, 6)), BAD,
     BAD},
    {"swap lost, and saw why",
     OK(1, 0, 1, 2, PUT(a, 5)) "{\"process\":2,\"type\":\"ok\",\"call\":2,\"return\":3,\"rev\":2,"
                               "\"if\":\"a\",\"is\":4,"
                               "\"applied\":0,\"saw\":5,\"saw-rev\":2,\"parts\":[" PUT(a, 6) "]}\n",
     GOOD, GOOD},
    {"swap lost, and saw what was not there",
     OK(1, 0, 1, 2, PUT(a, 5)) "{\"process\":2,\"type\":\"ok\",\"call\":2,\"return\":3,\"rev\":2,"
                               "\"if\":\"a\",\"is\":4,"
                               "\"applied\":0,\"saw\":7,\"saw-rev\":2,\"parts\":[" PUT(a, 6) "]}\n",
     BAD, BAD},
    {"swap lost to an unknown write",
     OK(1, 0, 1, 2, PUT(a, 5)) INFO(3, 0, PUT(a, 9)) CAS(2, 2, 3, 3, 5, 0, PUT(a, 6)), GOOD, GOOD},
    {"both swaps won",
     OK(1, 0, 1, 2, PUT(a, 5)) CAS(2, 2, 9, 3, 5, 1, PUT(a, 6)) CAS(3, 2, 9, 4, 5, 1, PUT(a, 7)),
     BAD, BAD},
    {"transaction on two keys",
     OK(1, 0, 1, 2, PUT(a, 5) "," PUT(b, 6)) OK(2, 2, 3, 2, GET(a, 5, 2) "," GET(b, 6, 2)), GOOD,
     GOOD},
    {"transaction torn",
     OK(1, 0, 9, 2, PUT(a, 5) "," PUT(b, 6)) OK(2, 2, 3, 2, GET(a, 5, 2) "," GET(b, 0, 0)), BAD,
     BAD},
    {"one revision for two writes", OK(1, 0, 9, 2, PUT(a, 5)) OK(2, 0, 9, 2, PUT(a, 6)), GOOD, BAD},
    {"revisions against real time", OK(1, 0, 1, 3, PUT(a, 5)) OK(2, 2, 3, 2, PUT(a, 6)), GOOD, BAD},
    {"revisions of two keys against real time", OK(1, 0, 1, 3, PUT(a, 5)) OK(2, 2, 3, 2, PUT(b, 6)),
     GOOD, BAD},
    {"wrong modification revision", OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 4, GET(a, 5, 3)), GOOD,
     BAD},
    {"invoked and never completed",
     "{\"process\":1,\"type\":\"invoke\",\"call\":0,\"parts\":[" PUT(a, 5) "]}\n" OK(2, 2, 3, 2,
                                                                                     GET(a, 5, 2)),
     GOOD, GOOD},
    {"invoked and completed",
     "{\"process\":1,\"type\":\"invoke\",\"call\":0,\"parts\":[" PUT(a, 5) "]}\n" OK(
         1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 1, GET(a, 0, 0)),
     BAD, BAD},
};

static struct chk_history load(const char *text)
{
    struct chk_history h = chk_history_over(ops, BASE_COUNT_OF(ops), keys, BASE_COUNT_OF(keys));
    size_t line = 0;
    const char *why = "";
    int rc = chk_json_read(&h, slice_from_text(text), &line, &why);
    if (rc != 0) {
        print_error("line %zu: %s\n", line, why);
    }
    assert_int_equal(rc, 0);
    return h;
}

static void corpus_has_known_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(corpus); i++) {
        struct chk_history h = load(corpus[i].text);
        struct chk_linear_limits limits = {memory, sizeof(memory), 100000};
        int search = (int)chk_linear(&h, &limits).verdict;
        int brute = (int)chk_oracle(&h).verdict;
        struct chk_result witness = chk_witness(&h, memory, sizeof(memory));
        if (search != corpus[i].linear || brute != corpus[i].linear ||
            (int)witness.verdict != corpus[i].witness) {
            print_error("%s: search %d brute %d witness %d (%s)\n", corpus[i].name, search, brute,
                        (int)witness.verdict, witness.text);
            fail();
        }
    }
}

static void writer_and_reader_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(corpus); i++) {
        struct chk_history h = load(corpus[i].text);
        static uint8_t room[2][8192];
        struct buf first = buf_over(room[0], sizeof(room[0]) - 1),
                   second = buf_over(room[1], sizeof(room[1]));
        for (size_t j = 0; j < h.count; j++) {
            chk_json_write(&first, &h, &h.ops[j]);
        }
        assert_true(buf_terminate(&first));
        h = load((const char *)room[0]);
        for (size_t j = 0; j < h.count; j++) {
            chk_json_write(&second, &h, &h.ops[j]);
        }
        assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
    }
}

static void reader_refuses_bad_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "x",
        "{}",
        "{\"process\":1}",
        "{\"process\":1,\"type\":\"ok\",\"call\":1,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"type\":\"ok\",\"call\":2,\"return\":1,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"type\":\"maybe\",\"call\":1,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":-1,\"type\":\"info\",\"call\":1,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[[\"put\",\"a\",1]]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[[\"mul\",\"a\",1,0]]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[[\"put\",\"\",1,0]]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[" PUT(a, 1) "]} x",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"if\":\"a\",\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"type\":\"info\",\"call\":99999999999999999999,\"parts\":[" PUT(a, 1) "]}",
        "{\"process\":1,\"type\":\"info\",\"call\":1,\"parts\":[[\"put\",\"a",
    };
    for (size_t i = 0; i < BASE_COUNT_OF(lines); i++) {
        struct chk_history h = chk_history_over(ops, BASE_COUNT_OF(ops), keys, BASE_COUNT_OF(keys));
        const char *why = NULL;
        if (chk_json_read_line(&h, slice_from_text(lines[i]), &why) == 0) {
            print_error("accepted: %s\n", lines[i]);
            fail();
        }
        assert_non_null(why);
        assert_int_equal(h.count, 0);
    }
    struct chk_history h =
        load("{\"process\":1,\"type\":\"invoke\",\"call\":0,\"parts\":[" PUT(a, 5) "]}\n");
    const char *why = NULL;
    struct slice second =
        slice_from_text("{\"process\":1,\"type\":\"invoke\",\"call\":3,\"parts\":[" PUT(a, 6) "]}");
    assert_int_equal(chk_json_read_line(&h, second, &why), BASE_E_STATE);
}

static void limits_give_unknown_never_ok(void **state)
{
    (void)state;
    struct chk_history h = load(OK(1, 0, 1, 2, PUT(a, 5)) OK(2, 2, 3, 2, GET(a, 5, 2)));
    struct chk_linear_limits steps = {memory, sizeof(memory), 1}, room = {memory, 64, 1000};
    assert_int_equal(chk_linear(&h, &steps).verdict, CHK_UNKNOWN);
    assert_int_equal(chk_linear(&h, &room).verdict, CHK_UNKNOWN);
    assert_int_equal(chk_witness(&h, memory, 8).verdict, CHK_UNKNOWN);
    h.ops[0].revision = 0;
    assert_int_equal(chk_witness(&h, memory, sizeof(memory)).verdict, CHK_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corpus_has_known_verdicts),
        cmocka_unit_test(writer_and_reader_agree),
        cmocka_unit_test(reader_refuses_bad_lines),
        cmocka_unit_test(limits_give_unknown_never_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
