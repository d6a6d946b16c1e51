# Scenarios against real processes of the release programs.
CHECK_STEPS += quorum-check patroni-check failpoints-check cli-check postgresql-check
SCENARIO_PROGRAMS := quorated quorate-agent-postgresql quorate-guard kv pgload kvload
.PHONY: failpoints-check patroni-check quorum-check postgresql-check scenario-programs
scenario-programs:
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(SCENARIO_PROGRAMS),build/release/bin/$(p))

ROUNDS ?= 50
quorum-check: scenario-programs ## Three real quorum nodes: kill -9 under load [ROUNDS=n], etcdctl, bad input; members and users that change
	@BIN=build/release/bin bash tests/integration/quorum/run.sh $(ROUNDS)
	@BIN=build/release/bin bash tests/integration/quorum/members.sh
	@BIN=build/release/bin bash tests/integration/quorum/users.sh

FAILPOINT_PROGRAMS := quorated kv kvload
failpoints-check: ## A quorum node dies or fails at each named point under load (canary build)
	@$(MAKE) --no-print-directory VARIANT=canary $(foreach p,$(FAILPOINT_PROGRAMS),build/canary/bin/$(p))
	@BIN=build/canary/bin bash tests/integration/quorum/failpoints.sh

SCENARIOS ?=
postgresql-check: scenario-programs ## A real cluster broken in many ways [SCENARIOS="name ..."] [LONG=1]
	@BIN=build/release/bin LONG=$(LONG) bash tests/integration/postgresql/run.sh $(SCENARIOS)

CHECK_STEPS += lifecycle-check
.PHONY: lifecycle-check
lifecycle-check: scenario-programs ## A database that was there before taken over in place; a standby cluster promoted and demoted
	@BIN=build/release/bin bash tests/integration/lifecycle/run.sh

CHECK_STEPS += failsafe-check
.PHONY: failsafe-check
failsafe-check: scenario-programs ## A primary that goes on without a quorum while every member grants it
	@BIN=build/release/bin bash tests/integration/failsafe/run.sh

# What takes longer than `make check` may.
VERIFY_STEPS += cascade-verify
.PHONY: cascade-verify
cascade-verify: scenario-programs ## A standby that receives and is cloned from another one, as its tags wish
	@BIN=build/release/bin bash tests/integration/cascade/run.sh
VERIFY_STEPS += postgresql-verify network-verify operations-verify scenario-canaries
.PHONY: postgresql-verify network-verify operations-verify scenario-canaries routing-check
postgresql-verify: scenario-programs ## The further scenarios of a real cluster, and all of them in their long form [SCENARIOS="name ..."]
	@BIN=build/release/bin LONG=1 bash tests/integration/postgresql/run.sh $(or $(SCENARIOS),long)
NETWORK_PROGRAMS = $(SCENARIO_PROGRAMS) sqlload sqlprobe $(HOSTS_PROGRAMS)
CHECK_STEPS += network-check
.PHONY: network-check
network-check: ## Some of network-verify: a lost host, a primary cut from the quorum, a full disk
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(NETWORK_PROGRAMS),build/release/bin/$(p))
	@BIN=build/release/bin bash tests/integration/network/run.sh host_lost cut_from_quorum disk_full
network-verify: ## A real cluster on hosts of their own: cut and lossy links, lost hosts, full disks, clocks [SCENARIOS="name ..."] [LONG=1]
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,$(NETWORK_PROGRAMS),build/release/bin/$(p))
	@BIN=build/release/bin LONG=$(LONG) bash tests/integration/network/run.sh $(SCENARIOS)
	@[ -n "$(SCENARIOS)" ] || BIN=build/release/bin LONG=$(LONG) HOSTS_ON=wire bash tests/integration/network/run.sh lossy

VERIFY_STEPS += disk-verify
.PHONY: disk-verify
disk-verify: scenario-programs ## A primary whose disk fills up, or hangs; as root
	@BIN=build/release/bin bash tests/integration/disk/run.sh
operations-verify: scenario-programs ## What operators do to a cluster in use: members, settings, restarts, modes, an old snapshot [STEPS="name ..."]
	@BIN=build/release/bin LONG=1 bash tests/integration/operations/run.sh $(STEPS)
VERIFY_STEPS += routing-check
CHECK_STEPS += routing-quick
.PHONY: routing-quick
routing-check: scenario-programs ## The agents' HTTP port, Debian's haproxy, pgbouncer and pgpool2 in front of a real cluster; its virtual IP
	@BIN=build/release/bin bash tests/integration/routing/run.sh
	@BIN=build/release/bin bash tests/integration/routing/vip.sh
routing-quick: scenario-programs ## Control calls over the agents' HTTP port; Debian's pgbouncer with its hooks
	@BIN=build/release/bin bash tests/integration/routing/run.sh control pgbouncer
scenario-canaries: ## Proof that the scenarios can fail: planted bugs and spoilt harnesses [SCENARIOS="name ..."]
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=canary $(foreach p,$(sort $(NETWORK_PROGRAMS) $(GALERA_ALL)),build/canary/bin/$(p)) | grep -v '^  cc' || true
	@BIN=build/canary/bin bash tests/integration/canaries.sh $(SCENARIOS)

patroni-check: scenario-programs ## Debian's Patroni with its etcd3 section pointed at three quorum nodes [PEER=etcd]
	@BIN=build/release/bin PEER=$(PEER) bash tests/integration/patroni/run.sh
.PHONY: cli-check
cli-check: scenario-programs ## Every command of kv and its refusals against three real nodes
	@BIN=build/release/bin bash tests/integration/cli/run.sh
# A client that harms, for hostile-check.
BINARIES += hostile
BIN_hostile := tests/integration/hostile/hostile.c tests/integration/hostile/frames.c
PKG_hostile := openssl
CHECK_STEPS += hostile-check
.PHONY: hostile-check
hostile-check: ## Peers that harm on every port of real nodes, while others write
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,quorated kv kvload hostile,build/release/bin/$(p))
	@BIN=build/release/bin bash tests/integration/hostile/run.sh
CHECK_STEPS += etcdctl-check
.PHONY: etcdctl-check
etcdctl-check: ## Debian's etcdctl through all its commands against three nodes [PEER=etcd [RECORD=1]] [PERF=1]
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,quorated kv,build/release/bin/$(p))
	@BIN=build/release/bin PEER=$(PEER) RECORD=$(RECORD) PERF=$(PERF) bash tests/integration/etcdctl/run.sh
CHECK_STEPS += restore-check
.PHONY: restore-check
restore-check: scenario-programs ## A quorum restored from an old image, or made anew by force, under a real cluster; damaged directories and images
	@BIN=build/release/bin bash tests/integration/restore/all.sh
CHECK_STEPS += gateway-check
.PHONY: gateway-check
gateway-check: ## The JSON gateway with curl over TLS; IPv6 and names on every listener
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,quorated kv,build/release/bin/$(p))
	@BIN=build/release/bin bash tests/integration/gateway/run.sh
CHECK_STEPS += databases-check
.PHONY: databases-check
databases-check: scenario-programs ## Every kv db command and its refusals against a real cluster of three
	@BIN=build/release/bin bash tests/integration/databases/run.sh

CHECK_STEPS += host-check
.PHONY: host-check takeover-verify
host-check: scenario-programs ## kv setup, kv doctor and kv import-patroni: what they write serves, what was planted is found
	@$(MAKE) --no-print-directory VARIANT=release build/release/bin/quorate-agent-galera build/release/bin/quorate-agent-mongodb
	@BIN=build/release/bin bash tests/integration/host/run.sh
VERIFY_STEPS += takeover-verify
takeover-verify: scenario-programs ## A running cluster of Debian's Patroni with a writer is taken over, and given back
	@BIN=build/release/bin bash tests/integration/takeover/run.sh
CHECK_STEPS += web-check
VERIFY_STEPS += web-verify
.PHONY: web-check web-verify deps-browser
web-check: scenario-programs ## The status page over plain HTTP, metrics, events to a program and a webhook, the audit
	@$(MAKE) --no-print-directory VARIANT=release build/release/bin/reference build/release/bin/quorate-proxy
	@BIN=build/release/bin bash tests/integration/web/run.sh
deps-browser: ## Install what web-verify needs: Chromium and its driver, node and npm
	@bash packaging/deps.sh --browser
web-verify: deps-browser scenario-programs ## The status page in Chromium: screenshots, axe-core, keyboard, phone, without a script
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,reference quorate-agent-galera quorate-agent-mongodb mongosim,build/release/bin/$(p))
	@BIN=build/release/bin bash tests/integration/web/browser.sh
CHECK_STEPS += access-check
.PHONY: access-check
access-check: scenario-programs ## Every call, port and page with no, wrong, foreign, expired, revoked and too weak a certificate
	@$(MAKE) --no-print-directory VARIANT=release $(foreach p,agent-galera agent-mongodb proxy,build/release/bin/quorate-$(p))
	@BIN=build/release/bin bash tests/integration/access/run.sh
VERIFY_STEPS += rotate-verify
.PHONY: rotate-verify
rotate-verify: scenario-programs ## Every certificate, then the authority, replaced under a node, an agent, a proxy and a watch: nothing is restarted or cut
	@$(MAKE) --no-print-directory VARIANT=release build/release/bin/quorate-proxy
	@BIN=build/release/bin bash tests/integration/access/rotate.sh
CHECK_STEPS += pages-check
VERIFY_STEPS += major-verify
.PHONY: pages-check major-verify
pages-check: scenario-programs ## Commands of README and docs that no other test follows, as they stand
	@BIN=build/release/bin bash tests/integration/docs/run.sh
major-verify: scenario-programs ## docs/postgresql-major-upgrade.md: pg_upgrade there and back, a second cluster by logical replication
	@BIN=build/release/bin bash tests/integration/major/run.sh
# Both stand-ins are this tree with another range of protocol versions (proto/io/link_frame.h).
VERIFY_STEPS += versions-verify
.PHONY: versions-verify
VERSION_PROGRAMS := quorated quorate-agent-postgresql quorate-guard
versions-verify: scenario-programs ## Protocol versions that have one in common work together; others keep apart, and both say why
	@$(MAKE) --no-print-directory $(JOBS) B=build/later EXTRA_CPPFLAGS="-DQUORATE_PROTOCOL=4 -DQUORATE_PROTOCOL_OLDEST=3" $(VERSION_PROGRAMS:%=build/later/bin/%) | grep -v '^  cc' || true
	@$(MAKE) --no-print-directory $(JOBS) B=build/older EXTRA_CPPFLAGS=-DQUORATE_PROTOCOL=1 $(VERSION_PROGRAMS:%=build/older/bin/%) | grep -v '^  cc' || true
	@BIN=build/release/bin LATER=build/later/bin OLDER=build/older/bin bash tests/integration/versions/run.sh
