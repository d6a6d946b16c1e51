LIB_check += jepsen/check/history.c jepsen/check/json.c jepsen/check/linear.c jepsen/check/model.c \
  jepsen/check/oracle.c jepsen/check/watch.c jepsen/check/witness.c
TESTS += check_corpus_test check_random_test
TEST_check_corpus_test := tests/unit/check_corpus_test.c tests/support/panic.c
TLIBS_check_corpus_test := check base
TEST_check_random_test := tests/unit/check_random_test.c tests/support/panic.c
TLIBS_check_random_test := check base
TESTS += check_watch_test
TEST_check_watch_test := tests/unit/check_watch_test.c tests/support/panic.c
TLIBS_check_watch_test := check base
