# The pure model of a replica set; the simulator has it, too.
MONGOSIM_SET_SRC := $(sort $(wildcard tests/mongosim/set*.c))
SIM_SRC += $(MONGOSIM_SET_SRC)

TESTS += mongosim_set_test
TEST_mongosim_set_test := tests/unit/mongosim_set_test.c $(MONGOSIM_SET_SRC) tests/support/panic.c
TLIBS_mongosim_set_test := base

# The server around it, and a client that writes and audits.
MONGOSIM_WIRE_SRC := tests/mongosim/wire.c tests/mongosim/scram.c tests/mongosim/conf.c tests/mongosim/data.c
MONGOSIM_SRC := $(MONGOSIM_SET_SRC) $(MONGOSIM_WIRE_SRC) $(addprefix tests/mongosim/,main_mongosim.c hub.c conn.c tls.c link.c node.c \
  control.c command.c cmd_hello.c cmd_login.c cmd_status.c cmd_config.c cmd_data.c cmd_info.c)
BINARIES += mongosim mongoload
BIN_mongosim := $(MONGOSIM_SRC) tests/support/panic.c
LIBS_mongosim := base
PKG_mongosim := libuv openssl yaml-0.1 libbson-1.0
BIN_mongoload := tests/mongosim/mongoload.c
PKG_mongoload := libmongoc-1.0
MONGOSIM_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I libmongoc-1.0 libbson-1.0 2>/dev/null))
$(patsubst %.c,$(B)/%.o,$(filter-out $(MONGOSIM_SET_SRC),$(MONGOSIM_SRC)) tests/mongosim/mongoload.c tests/unit/mongosim_wire_test.c): \
  CPPFLAGS += $(MONGOSIM_CFLAGS)
TESTS += mongosim_wire_test
TEST_mongosim_wire_test := tests/unit/mongosim_wire_test.c $(MONGOSIM_WIRE_SRC) $(MONGOSIM_SET_SRC) tests/support/panic.c
TLIBS_mongosim_wire_test := base
TPKG_mongosim_wire_test := openssl yaml-0.1 libbson-1.0

TESTS += mongosim_chaos_test
TEST_mongosim_chaos_test := tests/unit/mongosim_chaos_test.c $(MONGOSIM_SET_SRC) tests/support/panic.c
TLIBS_mongosim_chaos_test := base

MONGO_PROGRAMS := quorated quorate-agent-mongodb quorate-guard kv mongosim mongoload
CHECK_STEPS += mongodb-check
VERIFY_STEPS += mongodb-verify
.PHONY: mongodb-programs mongodb-check mongodb-verify mongodb-clients demo-mongodb
mongodb-programs:
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(MONGO_PROGRAMS),build/release/bin/$(p))
mongodb-check: mongodb-programs ## A MongoDB replica set (mongosim) with agents and a quorum: found, switched, killed, control plane lost; clients of one release
	@BIN=build/release/bin bash tests/integration/mongodb/run.sh check
	@BIN=build/release/bin QUICK=1 bash tests/integration/mongodb/clients.sh 70
mongodb-verify: mongodb-programs ## All scenarios of a MongoDB replica set, and independent clients against each release's profile [SCENARIOS="name ..."]
	@BIN=build/release/bin LONG=1 bash tests/integration/mongodb/run.sh $(SCENARIOS)
	@[ -n "$(SCENARIOS)" ] || BIN=build/release/bin bash tests/integration/mongodb/clients.sh
mongodb-clients: mongodb-programs ## Independent clients of Debian against mongosim, each release's profile
	@BIN=build/release/bin bash tests/integration/mongodb/clients.sh
demo-mongodb: mongodb-programs ## Three agents around a MongoDB replica set (mongosim): switched, killed, refused, degraded, forced [DEMO_STEPS="status ..."]
	@BIN=build/release/bin bash packaging/demo-mongodb.sh
