# What only another tool sees: races (TSan), reads of unset memory (valgrind), paths that no test takes (gcc's analyzer).
TSAN_TESTS := io_grpc_test io_loop_test kv_api_auth_test snapshot_restore_test snapshot_test store_lazy_test store_test
VALGRIND_TESTS := agt_core_test arb_lease_test arb_sync_test guard_core_test kv_core_test raft_core_test raft_replication_test raft_wire_test
.PHONY: tsan-check valgrind-check analyze
tsan-check: ## Threads under ThreadSanitizer: their unit tests, and a quorum node under load
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=tsan $(TSAN_TESTS:%=build/tsan/test/%) $(addprefix build/tsan/bin/,quorated kvload) | grep -v '^  cc' || true
	@bash tests/sanitize/tsan.sh build/tsan $(TSAN_TESTS)

valgrind-check: ## Unit tests of the cores under memcheck; the guard's real processes under ASan
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug $(VALGRIND_TESTS:%=build/debug/test/%) | grep -v '^  cc' || true
	@bash tests/sanitize/valgrind.sh build/debug $(VALGRIND_TESTS)
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=asan guard-test | grep -v '^  cc'

analyze: $(GEN_H) ## gcc -fanalyzer over all pure code
	@CPPFLAGS='$(CPPFLAGS)' bash tests/sanitize/analyze.sh $(sort $(LIB_base) $(LIB_cores) proto/wire/pb.c)
