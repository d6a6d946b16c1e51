NOTIFY_SRC := arbiter/notify/deliver.c arbiter/notify/notify.c arbiter/notify/post.c arbiter/notify/told.c
# The status page; arbiter/web/module.mk has its tests.
WEB_SRC := arbiter/web/access.c arbiter/web/assets.c arbiter/web/history.c arbiter/web/html.c arbiter/web/page.c \
  arbiter/web/page_cluster.c arbiter/web/page_members.c arbiter/web/page_story.c arbiter/web/render.c arbiter/web/web.c
BINARIES += quorated
BIN_quorated := arbiter/main_quorated.c arbiter/quorated/audit.c arbiter/quorated/clients.c arbiter/quorated/failpoints.c arbiter/quorated/fence.c arbiter/quorated/founding.c \
  arbiter/quorated/join.c arbiter/quorated/machine.c \
  arbiter/quorated/member_frame.c arbiter/quorated/members.c arbiter/quorated/metrics.c arbiter/quorated/metrics_databases.c arbiter/quorated/metrics_mongodb.c arbiter/quorated/node.c \
  arbiter/quorated/node_events.c arbiter/quorated/node_open.c arbiter/quorated/pages.c arbiter/quorated/program.c arbiter/quorated/quorum_view.c \
  arbiter/quorated/settings.c arbiter/quorated/stores.c \
  arbiter/api/databases.c arbiter/api/entry.c arbiter/api/orders.c arbiter/api/patroni.c arbiter/api/patroni_config.c arbiter/api/present.c arbiter/api/show.c arbiter/api/show_galera.c arbiter/api/show_mongodb.c arbiter/api/story.c \
  $(WEB_SRC) $(NOTIFY_SRC) kv/cli/db_json.c kv/cli/db_json_mongodb.c
LIBS_quorated := store glue io wire cores base
PKG_quorated := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb
LDL_quorated := -lpthread
TESTS += quorated_settings_test
TEST_quorated_settings_test := tests/unit/quorated_settings_test.c arbiter/quorated/settings.c tests/support/panic.c
TLIBS_quorated_settings_test := io base
TPKG_quorated_settings_test := libuv openssl libnghttp2 yaml-0.1
TESTS += arb_entry_test
TEST_arb_entry_test := tests/unit/arb_entry_test.c arbiter/api/entry.c tests/support/panic.c
TLIBS_arb_entry_test := base
TPKG_arb_entry_test := jansson
TESTS += member_frame_test
TEST_member_frame_test := tests/unit/member_frame_test.c arbiter/quorated/member_frame.c tests/support/panic.c
TLIBS_member_frame_test := cores base
TESTS += quorated_founding_test
TEST_quorated_founding_test := tests/unit/quorated_founding_test.c arbiter/quorated/founding.c tests/support/panic.c
TLIBS_quorated_founding_test := cores base
TESTS += quorated_fence_test
TEST_quorated_fence_test := tests/unit/quorated_fence_test.c arbiter/quorated/fence.c arbiter/quorated/program.c tests/support/panic.c
TLIBS_quorated_fence_test := io base
TPKG_quorated_fence_test := libuv openssl
TESTS += arb_patroni_test
TEST_arb_patroni_test := tests/unit/arb_patroni_test.c arbiter/api/patroni.c arbiter/api/patroni_config.c tests/support/panic.c
TLIBS_arb_patroni_test := io base
TPKG_arb_patroni_test := libuv openssl libnghttp2 yaml-0.1 jansson
TLDL_arb_patroni_test := -lpthread
TESTS += quorated_audit_test
TEST_quorated_audit_test = tests/unit/quorated_audit_test.c arbiter/quorated/audit.c $(KV_API) tests/support/panic.c
TLIBS_quorated_audit_test := store glue io wire cores base
TPKG_quorated_audit_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb
TLDL_quorated_audit_test := -lpthread -lcrypt
