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
