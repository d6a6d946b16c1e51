# libFuzzer targets: NAME is tests/fuzz/fuzz_NAME.c; FUZZ_MORE_NAME further sources, FUZZ_LD_NAME for the linker.
FUZZERS := agent agent_http arbiter arbiter_galera arbiter_mongodb arguments auth_rows config galera guard history http json kv_apply kv_wire link mongodb patroni postgresql raft_core \
  raft_members raft_message restore snapshot txn wal web
FUZZ_MORE_arbiter := tests/fuzz/arbiter_drive.c
FUZZ_MORE_arbiter_galera := tests/fuzz/arbiter_drive.c
FUZZ_MORE_arbiter_mongodb := tests/fuzz/arbiter_drive.c
FUZZ_MORE_galera := agents/galera/grastate.c agents/galera/status.c
FUZZ_MORE_arguments := kv/cli/cli.c kv/cli/cli_args.c kv/cli/cli_call.c agents/guard/options.c
FUZZ_MORE_mongodb := agents/mongodb/message.c agents/mongodb/change.c agents/mongodb/read.c agents/mongodb/read_rights.c
FUZZ_LD_mongodb := -lbson-1.0
FUZZ_MORE_patroni := kv/cli/flat.c kv/cli/patroni_keys.c kv/cli/patroni_take.c
FUZZ_MORE_postgresql = $(filter-out agents/postgresql/probe.c,$(PG_DB_SRC))
FUZZ_LD_postgresql := -lpq
FUZZ_MORE_history := $(LIB_check)
FUZZ_MORE_http := tests/fuzz/fake_stream.c
FUZZ_LD_http := -Wl,-z,muldefs -Wl,--wrap=time
FUZZ_MORE_json := kv/api/json_read.c kv/api/json_scan.c kv/api/json_write.c
FUZZ_MORE_txn := kv/cli/cli.c kv/cli/cli_args.c kv/cli/cli_call.c kv/cli/cmd_keys.c
FUZZ_MORE_wal := tests/unit/wal_disk.c
FUZZ_MORE_web := tests/fuzz/fake_stream.c arbiter/web/access.c arbiter/web/assets.c arbiter/web/html.c arbiter/web/page.c arbiter/web/page_cluster.c \
  arbiter/web/page_members.c arbiter/web/page_story.c arbiter/web/web.c arbiter/api/entry.c
FUZZ_LD_web := -Wl,-z,muldefs
FUZZ_PKGS := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb
FUZZ_B := build/fuzz-clang
FUZZ_SECONDS ?= 6
BINARIES += fuzz-seeds
BIN_fuzz-seeds := tests/fuzz/seeds.c tests/support/panic.c
LIBS_fuzz-seeds := io wire cores base
PKG_fuzz-seeds := libuv openssl libprotobuf-c
# Targets over their corpora in a build with planted bugs (replay.c).
REPLAYS := arbiter guard kv_wire
define replay
BINARIES += replay-$(1)
BIN_replay-$(1) := tests/fuzz/replay.c tests/fuzz/fuzz_$(1).c $(FUZZ_MORE_$(1)) tests/support/panic.c
LIBS_replay-$(1) := wire cores base
PKG_replay-$(1) := libprotobuf-c
endef
$(foreach name,$(REPLAYS),$(eval $(call replay,$(name))))
EXTRA_SRC += $(FUZZERS:%=tests/fuzz/fuzz_%.c) $(foreach name,$(FUZZERS),$(FUZZ_MORE_$(name)))

# These rules are for VARIANT=fuzz CC=clang alone.
ifeq ($(VARIANT),fuzz)
.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(B)/fuzz/%)
define fuzzer
$(B)/fuzz/$(1): $(patsubst %.c,$(B)/%.o,tests/fuzz/fuzz_$(1).c tests/support/panic.c $(FUZZ_MORE_$(1))) \
  $(foreach lib,glue io store wire cores base,$(B)/lib$(lib).a)
	@mkdir -p $$(@D)
	@echo "  ld $$@"
	@$(CC) -fsanitize=fuzzer,address,undefined -pie -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
	  -Wl,--end-group $$(shell pkg-config --libs $(FUZZ_PKGS)) -lpthread $(FUZZ_LD_$(1))
endef
$(foreach name,$(FUZZERS),$(eval $(call fuzzer,$(name))))
endif

CHECK_STEPS += fuzz-check
.PHONY: fuzz-check fuzz-smoke fuzz-build $(FUZZERS:%=fuzz-%)
fuzz-build:
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=fuzz CC=clang fuzzers | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory -q VARIANT=fuzz CC=clang fuzzers

fuzz-smoke: fuzz-build ## Every fuzz target: its whole corpus, then some seconds [FUZZ_SECONDS=6]
	@bash tests/fuzz/smoke.sh $(FUZZ_B)/fuzz $(FUZZ_SECONDS) $(FUZZERS)

fuzz-check: fuzz-smoke

SECONDS_OF_FUZZ = $(or $(SECONDS),60)
FUZZ_AFL_B := build/fuzz-afl-clang-fast
.PHONY: fuzz-afl
fuzz-afl: fuzz-build ## make fuzz-afl NAME=target [SECONDS=60]: the same targets under AFL++
	@[ -f tests/fuzz/fuzz_$(NAME).c ] || { echo "NAME= one of: $(FUZZERS)"; exit 2; }
	@AFL_QUIET=1 $(MAKE) --no-print-directory $(JOBS) VARIANT=fuzz CC=afl-clang-fast $(FUZZ_AFL_B)/fuzz/$(NAME) | grep -v '^  cc' || true
	@bash tests/fuzz/afl.sh $(FUZZ_AFL_B)/fuzz $(FUZZ_B)/fuzz $(NAME) $(SECONDS_OF_FUZZ)

$(FUZZERS:%=fuzz-%): fuzz-%: fuzz-build
	@bash tests/fuzz/one.sh $(FUZZ_B)/fuzz $* $(SECONDS_OF_FUZZ)
