BINARIES += jepsen-wire
BIN_jepsen-wire := jepsen/wire/control.c jepsen/wire/frame.c jepsen/wire/link.c jepsen/wire/main.c jepsen/wire/switch.c \
  tests/support/panic.c
LIBS_jepsen-wire := base
TESTS += wire_link_test
TEST_wire_link_test := tests/unit/wire_link_test.c tests/support/panic.c jepsen/wire/frame.c jepsen/wire/link.c
TLIBS_wire_link_test := base
