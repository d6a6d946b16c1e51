# etcddiff: the same requests to etcd and to a quorum node.
BINARIES += etcddiff
BIN_etcddiff := $(addprefix tests/differential/,case.c compare.c generate.c http.c main.c methods.c rpc.c) $(wildcard kv/api/json*.c)
LIBS_etcddiff := io wire cores base
PKG_etcddiff := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
CHECK_STEPS += differential-check
.PHONY: differential-check
differential-check: ## The same requests to Debian's etcd-server and to a quorum node, over JSON and gRPC
	@$(MAKE) --no-print-directory VARIANT=release $(addprefix build/release/bin/,quorated kv etcddiff)
	@BIN=build/release/bin bash tests/differential/run.sh
