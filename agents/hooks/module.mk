TESTS += agt_hooks_test
TEST_agt_hooks_test := tests/unit/agt_hooks_test.c agents/hooks/watch.c agents/hooks/run.c agents/hooks/port.c \
  agents/shell/child.c agents/shell/files.c tests/support/panic.c
TLIBS_agt_hooks_test := glue io wire cores base
TPKG_agt_hooks_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
TLDL_agt_hooks_test := -lpthread
