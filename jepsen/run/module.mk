BINARIES += jepsen-schedule
BIN_jepsen-schedule := jepsen/run/main.c jepsen/run/schedule.c tests/support/panic.c
LIBS_jepsen-schedule := base
TESTS += jepsen_schedule_test
TEST_jepsen_schedule_test := tests/unit/jepsen_schedule_test.c jepsen/run/schedule.c tests/support/panic.c
TLIBS_jepsen_schedule_test := base
