TESTS += base_test
TEST_base_test := tests/unit/base_test.c tests/support/panic.c
TLIBS_base_test := base
