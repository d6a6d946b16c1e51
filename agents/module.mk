LIB_glue += agents/driver.c
TESTS += agt_core_test
TEST_agt_core_test := tests/unit/agt_core_test.c tests/unit/agt_world.c tests/support/panic.c
TLIBS_agt_core_test := glue wire cores base
TPKG_agt_core_test := libprotobuf-c
