OUTWARD_SRC := agents/shell/outward.c agents/hooks/watch.c agents/hooks/run.c agents/hooks/port.c agents/vip/plan.c \
  agents/vip/netlink.c agents/vip/vip.c agents/vip/capabilities.c
AGENT_SHELL_SRC += $(OUTWARD_SRC)
TESTS += agt_vip_test
TEST_agt_vip_test := tests/unit/agt_vip_test.c agents/vip/plan.c agents/vip/netlink.c tests/support/panic.c
TLIBS_agt_vip_test := base
TESTS += agt_vip_kernel_test
TEST_agt_vip_kernel_test := tests/unit/agt_vip_kernel_test.c agents/vip/plan.c agents/vip/netlink.c agents/vip/vip.c \
  tests/support/panic.c
TLIBS_agt_vip_kernel_test := glue io wire cores base
TPKG_agt_vip_kernel_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
TLDL_agt_vip_kernel_test := -lpthread
