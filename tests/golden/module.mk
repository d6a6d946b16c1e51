# One program per core: the interpreter and its driver. No part of `binaries`: they want cmocka.
# $(1) core, $(2) further sources, $(3) archives, $(4) packages
define golden
EXTRA_SRC += tests/golden/golden.c tests/golden/drive_$(1).c $(2)
GOLDEN += $(1)
$(B)/bin/golden-$(1): $(patsubst %.c,$(B)/%.o,tests/golden/golden.c tests/golden/drive_$(1).c $(2)) $(patsubst %,$(B)/lib%.a,$(3))
	@mkdir -p $$(@D)
	@$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(call libs_of,$(3)) -lcmocka $$(if $(4),$$(shell pkg-config --libs $(4)))
endef
$(eval $(call golden,raft,tests/golden/raft_bench.c tests/support/panic.c,cores base,))
$(eval $(call golden,kv,tests/golden/kv_words.c $(KV_TEST_SUPPORT) $(STORE_MEM_SRC) $(STORE_DISK_SRC),cores base,lmdb))
$(eval $(call golden,arbiter,tests/unit/arb_scene.c tests/support/panic.c,cores base,))
$(eval $(call golden,galera,tests/unit/galera_scene.c tests/unit/arb_scene.c tests/support/panic.c,cores base,))
$(eval $(call golden,agents,$(AGT_WORLD_SRC),glue wire cores base,libprotobuf-c))
$(eval $(call golden,mongodb,tests/unit/mongodb_scene.c tests/unit/arb_scene.c tests/support/panic.c,cores base,))
$(eval $(call golden,mongodb_member,tests/unit/mongodb_member.c tests/support/panic.c,cores base,))
tests: $(GOLDEN:%=$(B)/bin/golden-%)

CHECK_STEPS += golden
.PHONY: golden
golden: ## Interaction scripts of the cores, compared; REWRITE=1 writes them anew
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug $(GOLDEN:%=build/debug/bin/golden-%) | grep -v '^  cc' || true
	@bash tests/golden/golden.sh build/debug $(GOLDEN)

# What reaches the cores directly; the seeds of the simulator reach them through everything else.
COVER_TESTS = $(filter-out raft_interleave%,$(filter agt_% arb_% exhaust% galera_% mongodb_% guard_core% kv_auth% kv_core% kv_diff% kv_lease% kv_restore% kv_watch% raft_%,$(TESTS)))
COVER_SEEDS ?= 20
.PHONY: coverage
coverage: ## Lines and branches of the cores reached by unit tests, golden scripts and COVER_SEEDS=20 seeds
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=cov $(COVER_TESTS:%=build/cov/test/%) $(GOLDEN:%=build/cov/bin/golden-%) build/cov/bin/sim | \
	  grep -v '^  cc' || true
	@bash tests/support/coverage.sh build/cov $(COVER_SEEDS) $(COVER_TESTS)

# Bytes of every format as each version wrote them, in v*/.
BINARIES += fixtures
BIN_fixtures := tests/golden/fixtures.c tests/golden/fixtures_engines.c tests/support/panic.c
LIBS_fixtures := store io wire cores base
PKG_fixtures := libuv openssl libprotobuf-c lmdb
CHECK_STEPS += fixtures-check
.PHONY: fixtures-check
fixtures-check: ## This version reads frames, directories and images of every recorded version
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,fixtures quorated kv,build/release/bin/$(p))
	@bash tests/golden/fixtures.sh read build/release
release-fixtures: ## Record what the present version writes, into tests/golden/vN; to be committed with a release
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,fixtures quorated kv,build/release/bin/$(p))
	@bash tests/golden/fixtures.sh write build/release
