# Clients, probers and runs of MariaDB Galera; the clients' kinds are those of jepsen/sql.
BINARIES += galeraload galeraprobe
BIN_galeraload := $(foreach f,load append bank set register history,jepsen/sql/$(f).c) jepsen/galera/session.c
PKG_galeraload := libmariadb
LDL_galeraload := -lpthread
BIN_galeraprobe := jepsen/sql/probe.c jepsen/sql/history.c jepsen/galera/session.c
PKG_galeraprobe := libmariadb
LDL_galeraprobe := -lpthread
GALERA_PROGRAMS := quorate-agent-galera galeraload galeraprobe
GALERA_ALL = quorated kv quorate-guard quorate-proxy jepsen-check $(GALERA_PROGRAMS) $(HOSTS_PROGRAMS)

CHECK_STEPS += galera-check
VERIFY_STEPS += galera-verify
.PHONY: galera-programs galera-check galera-verify demo-galera
galera-programs:
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=release $(foreach p,$(GALERA_ALL),build/release/bin/$(p)) | grep -v '^  cc' || true

GALERA_SHARE := switched writer_killed stuck_commit laggard two_nodes
galera-check: galera-programs ## Real Galera nodes: a switch, a dead writer, a fence with a stuck commit, a total outage, two nodes
	@BIN=build/release/bin bash tests/integration/galera/run.sh $(GALERA_SHARE)
galera-verify: galera-programs ## Every danger of a Galera cluster, on real nodes [SCENARIOS="name ..."]
	@BIN=build/release/bin bash tests/integration/galera/run.sh $(SCENARIOS)

demo-galera: ## Three real Galera nodes broken four times, then two nodes that lose one [DEMO_MB=100]
	@bash packaging/deps.sh --galera
	@$(MAKE) --no-print-directory galera-programs
	@BIN=build/release/bin bash packaging/demo-galera.sh
