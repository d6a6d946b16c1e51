SIM_SRC += $(sort $(wildcard tests/sim/*.c)) agents/mongodb/codes.c kv/api/recipe.c kv/api/lock.c kv/api/election.c

TESTS += sim_world_test
TEST_sim_world_test := tests/unit/sim_world_test.c tests/sim/world.c tests/sim/trace.c tests/sim/disk.c \
  tests/sim/net.c tests/support/panic.c
TLIBS_sim_world_test := glue wire cores base
TPKG_sim_world_test := libprotobuf-c

TESTS += sim_plan_test
TEST_sim_plan_test := tests/unit/sim_plan_test.c tests/sim/plan.c tests/sim/setup.c tests/sim/databases.c tests/sim/world.c \
  tests/sim/trace.c tests/support/panic.c
TLIBS_sim_plan_test := base

TESTS += galera_oracle_test
TEST_galera_oracle_test := tests/unit/galera_oracle_test.c tests/support/panic.c
TLIBS_galera_oracle_test := cores base

CHECK_STEPS += sim-check sim-determinism canaries-check
CHECK_SEEDS ?= 200
GALERA_SEEDS ?= 40
HOSTS_SEEDS ?= 30
MONGODB_SEEDS ?= 20
# A program that does not build any more must not be taken from before.
SIM_CANARY = mkdir -p build && { $(MAKE) --no-print-directory -j2 VARIANT=canary build/canary/bin/sim >build/sim-canary.log 2>&1 || \
  { cat build/sim-canary.log; exit 1; }; }
.PHONY: sim-check sim-shrink sim-determinism canaries canaries-check
sim-check: ## Simulated systems, 200 seeds, no planted bug on, with a floor of what must have happened
	@$(SIM_CANARY)
	@mkdir -p build/results
	@bash tests/sim/past.sh build/canary/bin/sim
	@build/canary/bin/sim --seed 1 --count $(CHECK_SEEDS) --jobs 2 --quiet --check --json build/results/sim.json
	@build/canary/bin/sim --galera --seed 1 --count $(GALERA_SEEDS) --jobs 2 --quiet --check --json build/results/sim-galera.json
	@build/canary/bin/sim --hosts --seed 1 --count $(HOSTS_SEEDS) --jobs 2 --quiet --check --json build/results/sim-hosts.json
	@build/canary/bin/sim --mongodb --seed 1 --count $(MONGODB_SEEDS) --jobs 2 --quiet --check --json build/results/sim-mongodb.json

SHRUNK ?= tests/sim/scripts/$(if $(CANARY),$(CANARY),seed-$(SEED)).sim
sim-shrink: ## make sim-shrink SEED=n [CANARY=id]: makes a failing seed smaller, into tests/sim/scripts
	@$(SIM_CANARY)
	@mkdir -p tests/sim/scripts
	@QUORATE_CANARY=$(CANARY) build/canary/bin/sim --seed $(SEED) $(SIM_FLAGS) --shrink $(SHRUNK)

.PHONY: sim-profile
sim-profile: ## What bounds the speed of the simulator, by perf; writes build/results/profile.json
	@$(SIM_CANARY)
	@mkdir -p build/results
	@bash tests/sim/profile.sh build/canary/bin/sim build/results/profile.json

sim-determinism: $(B)/bin/sim ## The same seed gives the same trace
	@$(B)/bin/sim --seed 1 --count 10 --quiet --twice
	@$(B)/bin/sim --galera --seed 1 --count 3 --quiet --twice
	@$(B)/bin/sim --mongodb --seed 1 --count 2 --quiet --twice

# Those that switch bugs on themselves, and those that the table names.
CANARY_TESTS := $(sort arb_confirm_test kv_watch_random_test raft_cluster_test $(shell awk '$$1 != "#" && $$2 == "unit" { print $$4 }' tests/canaries.txt))
canaries: ## Every planted bug must be caught [LONG=1: by three seeds each]; writes build/results/canaries.json
	@$(MAKE) --no-print-directory VARIANT=canary build/canary/bin/sim build/canary/bin/crash $(REPLAYS:%=build/canary/bin/replay-%) $(CANARY_TESTS:%=build/canary/test/%)
	@bash tests/sim/canaries.sh build/canary build/results/canaries.json $(CANARY_TESTS)

canaries-check: canaries

# --- the long form of everything ---
HOURS ?= 1
.PHONY: proof results
proof: ## make proof [HOURS=1]: the long form of simulator, planted bugs, crashes, fuzzing, mutations; resumable
	@bash tests/proof.sh $(HOURS)
results: ## tests/RESULTS.md from build/results
	@bash tests/results.sh >tests/RESULTS.md
