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
bench-failover: all ## Write gaps of failovers [PEER=patroni] [TRIALS=20] [PEER_TRIALS=7] [CLASSES="switchover crash ..."] [FRESH=1]
	@$(MAKE) --no-print-directory -s $(B)/bin/pgload $(if $(filter quorate-proxy,$(BINARIES)),$(B)/bin/quorate-proxy) $(foreach p,$(HOSTS_PROGRAMS) sqlload sqlprobe,$(B)/bin/$(p))
	@BIN=$(B)/bin PEER='$(PEER)' $(if $(TRIALS),TRIALS='$(TRIALS)') $(if $(PEER_TRIALS),PEER_TRIALS='$(PEER_TRIALS)') \
	  $(if $(CLASSES),CLASSES='$(CLASSES)') FRESH='$(FRESH)' bash tests/bench/failover.sh
.PHONY: bench-calm
bench-calm: all ## No failover while all is slow: a quarter of a core each, a neighbour that flushes [MINUTES=60] [PROFILE=fast]
	@$(MAKE) --no-print-directory -s $(B)/bin/pgload $(foreach p,$(HOSTS_PROGRAMS) sqlload sqlprobe,$(B)/bin/$(p))
	@BIN=$(B)/bin MINUTES='$(or $(MINUTES),60)' PROFILE='$(PROFILE)' bash tests/bench/calm.sh
BINARIES += dcsprobe
BIN_dcsprobe := tests/bench/dcsprobe.c
LIBS_dcsprobe := io wire cores base
PKG_dcsprobe := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
LDL_dcsprobe := -lpthread
BINARIES += agentload
BIN_agentload := tests/bench/agentload.c
LIBS_agentload := io wire cores base
PKG_agentload := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
BINARIES += grpcfloor
BIN_grpcfloor := tests/bench/grpcfloor.c
LIBS_grpcfloor := io wire cores base
PKG_grpcfloor := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
BINARIES += watchload
BIN_watchload := tests/bench/watchload.c
LIBS_watchload := io wire cores base
PKG_watchload := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
LDL_watchload := -lpthread
.PHONY: bench-dcs
bench-dcs: all ## etcd-server and quorated side by side [QUICK=1] [ROUNDS=3] [TRIALS=20] [PARTS="load flushes gap ..."]
	@$(MAKE) --no-print-directory -s $(foreach b,kv dcsprobe agentload grpcfloor $(filter storeload watchload,$(BINARIES)),$(B)/bin/$(b))
	@BIN=$(B)/bin QUICK='$(QUICK)' $(if $(ROUNDS),ROUNDS='$(ROUNDS)') $(if $(TRIALS),TRIALS='$(TRIALS)') $(if $(PARTS),PARTS='$(PARTS)') \
	  bash tests/bench/dcs.sh
.PHONY: bench-galera
bench-galera: galera-programs ## Write gaps of a Galera cluster behind haproxy [TRIALS=5] [CLASSES="switch kill cut outage"] [PEER=plain] [FAST=1]
	@BIN=build/release/bin PEER='$(PEER)' FAST='$(FAST)' $(if $(TRIALS),TRIALS='$(TRIALS)') $(if $(CLASSES),CLASSES='$(CLASSES)') bash tests/bench/galera.sh
.PHONY: bench-sizing
bench-sizing: scenario-programs ## What Quorate itself costs on a server: memory, processor, disk, network [SECONDS_EACH=20]
	@$(MAKE) --no-print-directory VARIANT=release build/release/bin/quorate-proxy
	@BIN=build/release/bin bash tests/bench/sizing.sh $(or $(SECONDS_EACH),20)
