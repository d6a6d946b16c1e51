LIB_check += $(addprefix jepsen/check/, append.c append_cycles.c bank.c graph.c history.c json.c kv_ops.c lease.c linear.c lock.c log.c \
  model.c oracle.c picture.c prober.c report.c rto.c scan.c set.c shrink.c sort.c watch.c watch_log.c witness.c)
TESTS += check_corpus_test check_random_test
TEST_check_corpus_test := tests/unit/check_corpus_test.c tests/support/panic.c
TLIBS_check_corpus_test := check base
TEST_check_random_test := tests/unit/check_random_test.c tests/support/panic.c
TLIBS_check_random_test := check base
TESTS += check_watch_test
TEST_check_watch_test := tests/unit/check_watch_test.c tests/support/panic.c
TLIBS_check_watch_test := check base
TESTS += check_txns_test
TEST_check_txns_test := tests/unit/check_txns_test.c tests/support/panic.c
TLIBS_check_txns_test := check base
CHECK_STEPS += checkers-check
.PHONY: checkers-check
checkers-check: $(B)/bin/jepsen-check ## Histories with known verdicts; a checker that always says ok is exposed
	@bash jepsen/check/trust.sh $<
TESTS += check_damage_test
TEST_check_damage_test := tests/unit/check_damage_test.c jepsen/tools/make.c tests/support/panic.c
TLIBS_check_damage_test := check base
TESTS += check_figures_test
TEST_check_figures_test := tests/unit/check_figures_test.c jepsen/tools/make.c tests/support/panic.c
TLIBS_check_figures_test := check base
