BINARIES += crash
BIN_crash = tests/crash/draw.c tests/crash/group.c tests/crash/image.c tests/crash/inspect.c tests/crash/main.c tests/crash/record.c \
  tests/support/panic.c $(RAFT_GLUE) $(STORE_DISK_SRC) raft/store_mem.c raft/store_mem_image.c
LIBS_crash := wire cores base
PKG_crash := lmdb libprotobuf-c
LDL_crash := -lpthread

# sweep: every write and flush of a real quorated, with a library in front of the C library.
BINARIES += sweep
BIN_sweep := $(addprefix tests/crash/,daemon.c scenario.c sweep.c sweep_alone.c sweep_image.c sweep_restore.c) tests/differential/http.c tests/support/panic.c
LIBS_sweep := base
BINARIES += rot
BIN_rot := $(addprefix tests/crash/,daemon.c rot.c scenario.c) tests/differential/http.c tests/support/panic.c
LIBS_rot := base
EXTRA_SRC += tests/crash/shim.c
$(B)/lib/quorate-shim.so: tests/crash/shim.c tests/crash/shim.h
	@mkdir -p $(@D)
	@$(CC) $(call std_of,$<) $(CPPFLAGS) -O1 -g $(WARN) $(WERROR) -fPIC -shared -o $@ $< -lpthread

CHECK_STEPS += crash-check
IMAGES ?= 2000
POINTS ?= 300
STEP ?= 1
.PHONY: crash-build crash-check crash-images
crash-build:
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug $(addprefix build/debug/,bin/crash bin/rot bin/sweep bin/quorated bin/kv lib/quorate-shim.so) | \
	  grep -v '^  cc' || true
crash-check: crash-build
	@bash tests/crash/run.sh build/debug 600 40 2 8

CHECK_STEPS += limits-check
.PHONY: limits-check
limits-check: crash-build ## A real node whose disks, quota or descriptors run out
	@bash tests/crash/limits.sh build/debug

crash-images: crash-build ## make crash-images [IMAGES=n] [POINTS=n] [STEP=n] [SEED=n]: power failures and disk errors of a node
	@SEED=$(SEED) bash tests/crash/run.sh build/debug $(IMAGES) $(POINTS) 4 $(STEP)
