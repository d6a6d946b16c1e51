LIB_cores += agents/guard/core.c agents/guard/frame.c
TESTS += guard_core_test
TEST_guard_core_test := tests/unit/guard_core_test.c tests/support/panic.c
TLIBS_guard_core_test := cores base
