MDB_DB_SRC := agents/mongodb/advice.c agents/mongodb/change.c agents/mongodb/codes.c agents/mongodb/commands.c agents/mongodb/conf.c \
  agents/mongodb/db.c agents/mongodb/dir.c agents/mongodb/hello.c agents/mongodb/orders.c agents/mongodb/read.c agents/mongodb/read_rights.c \
  agents/mongodb/watch.c agents/shell/files.c
MDB_PURE_SRC := agents/mongodb/message.c agents/mongodb/change.c agents/mongodb/codes.c agents/mongodb/commands.c agents/mongodb/conf.c agents/mongodb/read.c \
  agents/mongodb/read_rights.c agents/mongodb/roles.c
BINARIES += quorate-agent-mongodb
BIN_quorate-agent-mongodb = agents/mongodb/main_agent.c agents/mongodb/conn.c agents/mongodb/engine.c agents/mongodb/host.c agents/mongodb/roles.c \
  agents/mongodb/message.c agents/mongodb/stream.c agents/mongodb/threads.c agents/shell/child.c agents/shell/passwords.c $(MDB_DB_SRC) $(AGENT_SHELL_SRC)
LIBS_quorate-agent-mongodb := glue io wire cores base
PKG_quorate-agent-mongodb := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c libmongoc-1.0
LDL_quorate-agent-mongodb := -lpthread
MDB_INCLUDE := $(shell pkg-config --cflags-only-I libmongoc-1.0 2>/dev/null | sed 's/-I/-isystem /g')
$(patsubst %,$(B)/%.o,$(addprefix agents/mongodb/,change commands conn read read_rights stream) tests/unit/mdb_read_test tests/unit/mdb_db_test): CPPFLAGS += $(MDB_INCLUDE)
TESTS += mdb_read_test
TEST_mdb_read_test := tests/unit/mdb_read_test.c $(MDB_PURE_SRC) tests/support/panic.c
TLIBS_mdb_read_test := base
TPKG_mdb_read_test := libbson-1.0
TESTS += mdb_threads_test
TEST_mdb_threads_test := tests/unit/mdb_threads_test.c agents/mongodb/threads.c tests/support/panic.c
TLIBS_mdb_threads_test := io base
TPKG_mdb_threads_test := libuv openssl libnghttp2 yaml-0.1
TLDL_mdb_threads_test := -lpthread
TESTS += mdb_db_test
TEST_mdb_db_test := tests/unit/mdb_db_test.c $(MDB_DB_SRC) tests/support/panic.c
TLIBS_mdb_db_test := io base
TPKG_mdb_db_test := libuv openssl libnghttp2 yaml-0.1 libbson-1.0
TLDL_mdb_db_test := -lpthread
