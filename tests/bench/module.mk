BINARIES += pgload
BIN_pgload := tests/bench/pgload.c
PKG_pgload := libpq
LDL_pgload := -lpthread
BINARIES += kvload
BIN_kvload := tests/bench/kvload.c
LIBS_kvload := io wire cores base
PKG_kvload := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
LDL_kvload := -lpthread
.PHONY: bench-failover
bench-failover: all ## Write gaps of failovers [TRIALS=10] [CLASSES="switchover crash host-loss host-loss-leader"]
	@BIN=$(B)/bin TRIALS='$(or $(TRIALS),10)' CLASSES='$(CLASSES)' bash tests/bench/failover.sh
