BINARIES += mutate
BIN_mutate := tests/mutation/mutate.c

MUTATIONS ?= 200
.PHONY: mutations
mutations: $(B)/bin/mutate ## One-token mutations of the cores against their tests [MUTATIONS=200] [SEED=1]
	@bash tests/mutation/run.sh $(B)/bin/mutate $(MUTATIONS) $(SEED)
