TESTS += arb_wire_test
TEST_arb_wire_test := tests/unit/arb_wire_test.c tests/support/panic.c
TLIBS_arb_wire_test := wire base
TPKG_arb_wire_test := libprotobuf-c
LIB_glue += arbiter/driver.c arbiter/record_json.c
