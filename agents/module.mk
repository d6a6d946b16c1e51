LIB_glue += agents/driver.c agents/http.c agents/http_body.c agents/http_check.c agents/http_galera.c agents/http_json.c agents/http_metrics.c agents/http_mongodb.c agents/http_seen.c
# One PostgreSQL agent in a small world.
AGT_WORLD_SRC := tests/unit/agt_world.c tests/unit/agt_world_orders.c tests/support/panic.c
define agt_test
TESTS += agt_$(1)_test
TEST_agt_$(1)_test := tests/unit/agt_$(1)_test.c $(AGT_WORLD_SRC)
TLIBS_agt_$(1)_test := glue wire cores base
TPKG_agt_$(1)_test := libprotobuf-c
endef
$(foreach t,core adopt by_hand founding standby ops orders unserving failsafe random,$(eval $(call agt_test,$(t))))
TESTS += agt_replay_test
TEST_agt_replay_test := tests/unit/agt_replay_test.c tests/unit/io_test_support.c tests/support/panic.c
TLIBS_agt_replay_test := glue io wire cores base
TPKG_agt_replay_test := libuv openssl libnghttp2 yaml-0.1 libprotobuf-c
TESTS += agt_http_test
TEST_agt_http_test := tests/unit/agt_http_test.c tests/support/panic.c
TLIBS_agt_http_test := glue wire cores base
TPKG_agt_http_test := libprotobuf-c
