BINARIES += chaosload
BIN_chaosload := $(addprefix jepsen/workloads/,calls.c compactor.c judge.c kv_clients.c leases.c lists.c load.c locks.c sets.c watchers.c)
LIBS_chaosload := io wire cores base check
PKG_chaosload := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
LDL_chaosload := -lpthread
CHECK_STEPS += chaos-check starts-check
CHAOS_PROGRAMS := quorated kv kvload chaosload
.PHONY: chaos chaos-check starts-check behind-check chaos-programs
chaos-programs:
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(CHAOS_PROGRAMS),build/release/bin/$(p))

NODES ?= 3
chaos: chaos-programs ## Nodes killed, stopped, replaced under load; nothing lost [MINUTES=10] [SEED=n] [NODES=3|5]
	@BIN=build/release/bin SEED=$(SEED) NODES=$(NODES) MINUTES=$(or $(MINUTES),10) bash jepsen/workloads/chaos.sh

chaos-check: chaos-programs ## The same for 25 s
	@BIN=build/release/bin SEED=$(SEED) NODES=$(NODES) LENGTH=25 bash jepsen/workloads/chaos.sh

starts-check: chaos-programs ## Quorum nodes start in random order, each soon follows [ROUNDS=12] [SEED=n]
	@BIN=build/release/bin SEED=$(SEED) NODES=$(NODES) ROUNDS=12 bash jepsen/workloads/starts.sh

behind-check: chaos-programs ## A follower is away for long: bounded logs, then an image [PUTS=200000]
	@BIN=build/release/bin PUTS=$(or $(PUTS),200000) bash jepsen/workloads/behind.sh
