BINARIES += jepsen-schedule
BIN_jepsen-schedule := jepsen/run/main.c jepsen/run/schedule.c tests/support/panic.c
LIBS_jepsen-schedule := base
TESTS += jepsen_schedule_test
TEST_jepsen_schedule_test := tests/unit/jepsen_schedule_test.c jepsen/run/schedule.c tests/support/panic.c
TLIBS_jepsen_schedule_test := base
CHECK_STEPS += jepsen-quick
JEPSEN_PROGRAMS = quorated kv chaosload jepsen-schedule jepsen-check quorate-agent-postgresql quorate-guard sqlload sqlprobe $(GALERA_PROGRAMS) $(HOSTS_PROGRAMS)
JEPSEN_ENV = SEED=$(SEED) NODES=$(if $(filter command line,$(origin NODES)),$(NODES)) PEERS=$(PEERS) LONG=$(LONG) AT_ONCE=$(or $(AT_ONCE),1)
.PHONY: jepsen jepsen-quick jepsen-canaries jepsen-results jepsen-programs
jepsen-programs:
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=release $(foreach p,$(JEPSEN_PROGRAMS),build/release/bin/$(p)) | grep -v '^  cc' || true

jepsen: jepsen-programs ## Real clusters under faults [RUN=name SEED=n NODES=5] [PEERS=1: etcd and Patroni] [LONG=1 AT_ONCE=2]
	@$(JEPSEN_ENV) bash jepsen/run/jepsen.sh $(if $(RUN),run $(RUN),suite jepsen)$(if $(RUN),,; rc=$$?; bash jepsen/results.sh; exit $$rc)

jepsen-quick: jepsen-programs ## Two of them in four minutes
	@$(JEPSEN_ENV) bash jepsen/run/jepsen.sh suite quick

jepsen-canaries: ## Planted bugs and spoilt harnesses that the real runs must find [ONLY="name .."]
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=canary $(foreach p,$(JEPSEN_PROGRAMS),build/canary/bin/$(p)) | grep -v '^  cc' || true
	@ONLY='$(ONLY)' bash jepsen/run/canaries.sh; one=$$?; BIN=build/canary/bin ONLY='$(ONLY)' bash jepsen/sql/canaries.sh && [ $$one -eq 0 ]

jepsen-results: ## Write jepsen/RESULTS.md from the results that are there
	@bash jepsen/results.sh
