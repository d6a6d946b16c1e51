CHECK_STEPS += guard-test
LIB_cores += agents/guard/core.c agents/guard/frame.c agents/guard/watchdog_rule.c
LIB_io += agents/guard/client.c agents/guard/spawn.c
BINARIES += quorate-guard
BIN_quorate-guard := agents/guard/main_guard.c agents/guard/client.c agents/guard/guard.c agents/guard/handover.c \
  agents/guard/server.c agents/guard/twin.c agents/guard/tree.c agents/guard/cgroup.c agents/guard/proc.c \
  agents/guard/child.c agents/guard/leftovers.c agents/guard/adopt.c agents/guard/watchdog.c \
  agents/guard/watchdog_device.c agents/guard/options.c agents/guard/log.c
LIBS_quorate-guard := cores base
TESTS += guard_core_test
TEST_guard_core_test := tests/unit/guard_core_test.c tests/support/panic.c
TLIBS_guard_core_test := cores base

# The guard against real process trees: make guard-test. Not among TESTS: it needs the programs beside it.
GUARD_TEST_COMMON := tests/integration/guard/fixture.c tests/support/panic.c agents/guard/client.c \
  agents/guard/spawn.c
GUARD_TEST_SRC := tests/integration/guard/guard_test.c tests/integration/guard/watchdog_test.c $(GUARD_TEST_COMMON)
GUARD_ADOPT_SRC := tests/integration/guard/adopt_test.c $(GUARD_TEST_COMMON)
GUARD_TREE_SRC := tests/integration/guard/tree_main.c
EXTRA_SRC += $(GUARD_TEST_SRC) tests/integration/guard/adopt_test.c $(GUARD_TREE_SRC)
$(B)/test/guard_test: $(GUARD_TEST_SRC:%.c=$(B)/%.o)
$(B)/test/guard_adopt_test: $(GUARD_ADOPT_SRC:%.c=$(B)/%.o)
$(B)/test/guard_test $(B)/test/guard_adopt_test: $(B)/libcores.a $(B)/libbase.a | $(B)/bin/quorate-guard $(B)/test/guard-tree
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libcores.a $(B)/libbase.a -lcmocka
$(B)/test/guard-tree: $(GUARD_TREE_SRC:%.c=$(B)/%.o)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $(GUARD_TREE_SRC:%.c=$(B)/%.o) -lpthread
.PHONY: guard-test
guard-test: $(B)/bin/quorate-guard $(B)/test/guard_test $(B)/test/guard_adopt_test $(B)/test/guard-tree ## The guard against real process trees
	@bash tests/integration/guard/run.sh $(B)
