TESTS += notify_told_test
TEST_notify_told_test := tests/unit/notify_told_test.c arbiter/notify/told.c tests/support/panic.c
TLIBS_notify_told_test := base
