LIB_cores += agents/guard/core.c agents/guard/frame.c
GUARD_SRC := agents/guard/main_guard.c agents/guard/guard.c agents/guard/handover.c agents/guard/server.c \
  agents/guard/twin.c agents/guard/tree.c agents/guard/cgroup.c agents/guard/proc.c agents/guard/child.c \
  agents/guard/leftovers.c agents/guard/options.c agents/guard/log.c
LIB_io += agents/guard/client.c agents/guard/spawn.c
BINARIES += quorate-guard
BIN_quorate-guard := $(GUARD_SRC)
LIBS_quorate-guard := cores base
TESTS += guard_core_test
TEST_guard_core_test := tests/unit/guard_core_test.c tests/support/panic.c
TLIBS_guard_core_test := cores base
