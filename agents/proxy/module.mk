LIB_cores += agents/proxy/core/choose.c agents/proxy/core/refusal.c agents/proxy/core/step.c
BINARIES += quorate-proxy
BIN_quorate-proxy := agents/proxy/main_proxy.c agents/proxy/ask.c agents/proxy/backend.c agents/proxy/conn.c \
  agents/proxy/facts.c agents/proxy/flow.c agents/proxy/listen.c agents/proxy/proxy.c agents/proxy/quorum.c \
  agents/proxy/route.c agents/proxy/settings.c agents/proxy/status.c
LIBS_quorate-proxy := io wire cores base
PKG_quorate-proxy := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
LDL_quorate-proxy := -lpthread
TESTS += proxy_core_test
TEST_proxy_core_test := tests/unit/proxy_core_test.c tests/support/panic.c
TLIBS_proxy_core_test := cores base
TESTS += proxy_random_test
TEST_proxy_random_test := tests/unit/proxy_random_test.c tests/support/panic.c
TLIBS_proxy_random_test := cores base
TESTS += proxy_conn_test
TEST_proxy_conn_test := tests/unit/proxy_conn_test.c tests/unit/io_test_support.c agents/proxy/conn.c agents/proxy/facts.c \
  agents/proxy/flow.c tests/support/panic.c
TLIBS_proxy_conn_test := io cores base
TPKG_proxy_conn_test := libuv openssl libnghttp2 yaml-0.1 jansson
TLDL_proxy_conn_test := -lpthread
# Both ends of a proxy, pretended, and a real cluster behind it: make quorate-proxy-check.
BINARIES += proxytool
BIN_proxytool := tests/integration/proxy/proxytool.c
CHECK_STEPS += quorate-proxy-check
.PHONY: quorate-proxy-check
PROXY_PROGRAMS := quorated quorate-agent-postgresql quorate-guard quorate-proxy kv pgload proxytool
quorate-proxy-check: ## quorate-proxy before pretended databases and before a real cluster: switchover, crash, 10,000 connections
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(PROXY_PROGRAMS),build/release/bin/$(p))
	@BIN=build/release/bin bash tests/integration/proxy/run.sh
