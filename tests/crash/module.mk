BINARIES += crash
BIN_crash = tests/crash/group.c tests/crash/image.c tests/crash/inspect.c tests/crash/main.c tests/crash/record.c \
  tests/support/panic.c $(RAFT_GLUE) $(STORE_DISK_SRC) raft/store_mem.c raft/store_mem_image.c
LIBS_crash := wire cores base
PKG_crash := lmdb libprotobuf-c
LDL_crash := -lpthread

CHECK_STEPS += crash-check
IMAGES ?= 2000
POINTS ?= 300
.PHONY: crash-check crash-images
crash-check:
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug build/debug/bin/crash | grep -v '^  cc' || true
	@bash tests/crash/run.sh build/debug/bin/crash 600 40 2

crash-images: ## make crash-images [IMAGES=n] [POINTS=n] [SEED=n]: power failures and disk errors of a node's stores
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug build/debug/bin/crash | grep -v '^  cc' || true
	@SEED=$(SEED) bash tests/crash/run.sh build/debug/bin/crash $(IMAGES) $(POINTS) 4
