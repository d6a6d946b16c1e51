# SPDX-License-Identifier: Apache-2.0
# Quorate: one non-recursive Makefile. Each folder's module.mk only lists sources; the rules are here.
#
# Variants: make VARIANT=release|debug|asan|canary|cov|fuzz ...; output goes to build/VARIANT.
# Compiler: make CC=clang ..., CC="ccache gcc" ...; output of another compiler than gcc goes to build/VARIANT-CC.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VARIANT ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B ?= build/$(VARIANT)$(addprefix -,$(filter-out gcc,$(notdir $(lastword $(CC)))))
VERSION := 0.1.0

# --- lists, filled by module.mk files ----------------------------------------------------------------------------
LIB_base :=      # L0  base
LIB_cores :=     # L1-L2 proto/msg, raft/core, kv/core, arbiter/core, agents/core: pure
LIB_wire :=      # L1  proto/wire: bytes <-> plain structs
LIB_glue :=      # L4  raft/node.c, kv/service.c, arbiter/driver.c, agents/driver.c: no I/O of their own
LIB_io :=        # L5  proto/io: loop, TLS, HTTP, configuration, logs
LIB_store :=     # L5  LMDB environment and maps
LIB_check :=     # jepsen/check: histories and checkers, pure
PROTOS :=        # proto/schema/*.proto
BINARIES :=      # names; BIN_<name> its sources, LIBS_<name> its archives, PKG_<name> its pkg-config packages
TESTS :=         # unit tests: names; TEST_<name> sources, TLIBS_<name> archives, TPKG_<name> packages
SIM_SRC :=       # tests/sim
CHECK_STEPS :=   # further steps of `make check`, in order: names of phony targets
VERIFY_STEPS :=  # those of `make verify`: what takes too long for every change

MODULES := $(sort $(wildcard */module.mk */*/module.mk))
include $(MODULES)

# --- flags ------------------------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
  -Wold-style-definition -Wundef -Wvla -Walloca -Wcast-qual -Wpointer-arith -Wwrite-strings -Wformat=2 \
  -Wswitch-enum -Wdouble-promotion -Wfloat-equal -Wnull-dereference -Wdate-time -Wunused-macros
WARN_GCC := -Wcast-align=strict -Wformat-signedness -Wimplicit-fallthrough=5 -Wduplicated-cond -Wduplicated-branches -Wlogical-op
WARN_CLANG := -Wimplicit-fallthrough -Wcast-align
WERROR ?= -Werror
IS_CLANG := $(findstring clang,$(notdir $(CC)))
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
  $(if $(findstring aarch64,$(CC)),-mbranch-protection=standard,-fcf-protection) -ftrivial-auto-var-init=pattern
ifeq ($(IS_CLANG),)
HARDEN := $(subst -D_FORTIFY_SOURCE=2,-D_FORTIFY_SOURCE=3,$(HARDEN))
endif

OPT_release := -O2 -g $(HARDEN)
OPT_debug := -O1 -g -DQUORATE_SLOW_CHECKS
OPT_asan := -O1 -g -DQUORATE_SLOW_CHECKS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -g -fsanitize=thread
OPT_canary := -O2 -g -DQUORATE_SLOW_CHECKS -DQUORATE_CANARIES
OPT_cov := -O0 -g -DQUORATE_SLOW_CHECKS --coverage
OPT_fuzz := -O1 -g -DQUORATE_SLOW_CHECKS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(OPT_$(VARIANT)),)
$(error unknown VARIANT '$(VARIANT)': one of release debug asan tsan canary cov fuzz)
endif

CPPFLAGS := -I. -isystem $(B)/gen -DQUORATE_VERSION='"$(VERSION)"' -DQUORATE_VARIANT='"$(VARIANT)"'
CFLAGS := $(OPT_$(VARIANT)) $(WARN) $(if $(IS_CLANG),$(WARN_CLANG),$(WARN_GCC)) $(WERROR) -fPIE -fno-common \
  -fno-omit-frame-pointer -ffile-prefix-map=$(CURDIR)=.
LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize=address% -fsanitize=thread --coverage,$(OPT_$(VARIANT)))

# Pure code is strict C17; shells are gnu17.
PURE := base/% proto/msg/% raft/core/% kv/core/% arbiter/core/% agents/core/% agents/proxy/core/% jepsen/check/%
std_of = $(if $(filter $(PURE),$(1)),-std=c17 -Wpedantic,-std=gnu17 -D_GNU_SOURCE)

PKGS_io := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
PKGS_store := lmdb
pkg_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
ALL_PKGS := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb libpq
CPPFLAGS += $(call pkg_cflags,$(ALL_PKGS)) $(EXTRA_CPPFLAGS)

# --- objects ----------------------------------------------------------------------------------------------------
GEN_C := $(patsubst proto/schema/%.proto,$(B)/gen/%.pb-c.c,$(sort $(PROTOS)))
GEN_H := $(GEN_C:.c=.h)
.SECONDARY: $(GEN_C) $(GEN_H)
$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h: proto/schema/%.proto
	@mkdir -p $(B)/gen
	@protoc-c --c_out=$(B)/gen --proto_path=proto/schema $<

$(B)/gen/%.pb-c.o: $(B)/gen/%.pb-c.c $(GEN_H)
	@$(CC) $(CPPFLAGS) $(OPT_$(VARIANT)) -fPIE -w -ffile-prefix-map=$(CURDIR)=. -c -o $@ $<

$(B)/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	@echo "  cc $<"
	@$(CC) $(call std_of,$<) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

objects = $(patsubst %.c,$(B)/%.o,$(1))
define archive
$(B)/lib$(1).a: $(call objects,$(sort $(LIB_$(1)))) $(if $(filter wire,$(1)),$(GEN_C:.c=.o))
	@mkdir -p $(B)
	@rm -f $$@ && ar Drcs $$@ $$^
endef
ARCHIVES := base cores wire glue io store check
$(foreach lib,$(ARCHIVES),$(eval $(call archive,$(lib))))

# Link order, from the top down; an archive is named once and the linker goes over the group.
libs_of = -Wl,--start-group $(foreach lib,$(1),$(B)/lib$(lib).a) -Wl,--end-group
define binary
$(B)/bin/$(1): $(call objects,$(BIN_$(1))) $(foreach lib,$(LIBS_$(1)),$(B)/lib$(lib).a)
	@mkdir -p $$(@D)
	@echo "  ld $$@"
	@$(CC) $(LDFLAGS) -o $$@ $(call objects,$(BIN_$(1))) $(call libs_of,$(LIBS_$(1))) \
	  $$(if $(strip $(PKG_$(1))),$$(shell pkg-config --libs $(PKG_$(1)))) $(LDL_$(1))
endef
$(foreach bin,$(BINARIES),$(eval $(call binary,$(bin))))
define unit_test
$(B)/test/$(1): $(call objects,$(TEST_$(1))) $(foreach lib,$(TLIBS_$(1)),$(B)/lib$(lib).a)
	@mkdir -p $$(@D)
	@$(CC) $(LDFLAGS) -o $$@ $(call objects,$(TEST_$(1))) $(call libs_of,$(TLIBS_$(1))) -lcmocka \
	  $$(if $(strip $(TPKG_$(1))),$$(shell pkg-config --libs $(TPKG_$(1)))) $(TLDL_$(1))
endef
$(foreach test,$(TESTS),$(eval $(call unit_test,$(test))))
$(B)/bin/sim: $(call objects,$(SIM_SRC)) $(foreach lib,glue wire cores base check,$(B)/lib$(lib).a)
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(CC) $(LDFLAGS) -o $@ $(call objects,$(SIM_SRC)) $(call libs_of,glue wire cores base check) \
	  $(shell pkg-config --libs libprotobuf-c jansson 2>/dev/null)

ALL_SRC := $(sort $(EXTRA_SRC) $(LIB_base) $(LIB_cores) $(LIB_wire) $(LIB_glue) $(LIB_io) $(LIB_store) $(LIB_check) $(SIM_SRC) \
  $(foreach bin,$(BINARIES),$(BIN_$(bin))) $(foreach test,$(TESTS),$(TEST_$(test))))
-include $(patsubst %.c,$(B)/%.d,$(ALL_SRC))

# --- targets ----------------------------------------------------------------------------------------------------
.PHONY: all deps deps-tests binaries libraries tests unit sim sim-binary lint format format-check check verify build-check unit-check \
  asan-check asan clean help demo demo-stop install
INSTALLED := $(filter quorated quorate-% kv,$(BINARIES))
BINARY_FILES := $(foreach bin,$(BINARIES),$(B)/bin/$(bin))

all: deps ## Install what is missing, build the release programs into build/bin
	@$(MAKE) --no-print-directory binaries
	@mkdir -p build/bin && for b in $(INSTALLED); do ln -sfn ../$(VARIANT)/bin/$$b build/bin/$$b; done

binaries: $(BINARY_FILES)
libraries: $(foreach lib,$(ARCHIVES),$(B)/lib$(lib).a)
tests: $(foreach test,$(TESTS),$(B)/test/$(test))

deps: ## Install the Debian packages that the build and the demo need; starts no service
	@bash packaging/deps.sh
deps-tests: ## The same, and what only tests and benchmarks need
	@bash packaging/deps.sh --tests

unit: tests ## Run the unit tests of this variant
	@bash tests/support/run-unit.sh $(B) $(TESTS)

SEED ?= 1
COUNT ?= 1
sim: $(B)/bin/sim ## make sim SEED=n [COUNT=m] [CANARY=id]: the simulator from a seed
	@if [ -n "$(CANARY)" ] && [ "$(VARIANT)" != canary ]; then exec $(MAKE) --no-print-directory VARIANT=canary sim; fi; \
	  QUORATE_CANARY=$(CANARY) $(B)/bin/sim --seed $(SEED) --count $(COUNT) $(SIM_FLAGS)

lint: ## Layers, purity, sizes, banned calls, licence lines
	@bash tests/lint/lint.sh $(B)

FORMAT_SRC = $$(git ls-files '*.c' '*.h')
format: ## Format every C file in place
	@clang-format -i $(FORMAT_SRC)
format-check: ## Fail when a C file is not formatted
	@clang-format --dry-run -Werror $(FORMAT_SRC)

check: deps-tests ## Everything a change must pass; the last line counts
	@bash tests/support/check.sh build-check lint-check unit-check asan-check $(CHECK_STEPS)

verify: deps-tests ## The long tests beside `make check`: scenarios that take minutes
	@bash tests/support/check.sh $(VERIFY_STEPS)

JOBS := -j2
build-check: ## Everything builds without a warning with gcc and with clang
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=release binaries | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug libraries binaries tests sim-binary | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=debug CC=clang libraries binaries tests sim-binary | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory -q VARIANT=release binaries
	@$(MAKE) --no-print-directory -q VARIANT=debug libraries binaries tests sim-binary
	@$(MAKE) --no-print-directory -q VARIANT=debug CC=clang libraries binaries tests sim-binary

unit-check:
	@$(MAKE) --no-print-directory VARIANT=debug unit

asan-check: ## Unit tests under ASan and UBSan
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=asan tests | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory VARIANT=asan unit

demo: all ## The main job on loopback [DEMO_STOP=1] [SABOTAGE=async]
	@$(MAKE) --no-print-directory -s $(B)/bin/pgload
	@BIN=$(B)/bin bash packaging/demo.sh

demo-stop: ## Stop a demo that was left running, and clean up
	@bash packaging/demo-stop.sh

sim-binary: $(B)/bin/sim
asan: asan-check ## Unit tests and some simulator seeds under ASan and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan sim SEED=1 COUNT=10

clean: ## Remove build/
	@rm -rf build

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: print-sources
print-sources:
	@echo $(ALL_SRC)
