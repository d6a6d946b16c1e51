BINARIES += jepsen-bend
BIN_jepsen-bend := jepsen/hosts/bend_tool.c
EXTRA_SRC += jepsen/hosts/bend.c
$(B)/bin/jepsen-bend.so: jepsen/hosts/bend.c jepsen/hosts/bend.h
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ jepsen/hosts/bend.c -ldl -lpthread

.PHONY: hosts-check hosts-clean-check hosts-programs
HOSTS_PROGRAMS := jepsen-bend jepsen-bend.so jepsen-wire
hosts-programs:
	@$(MAKE) --no-print-directory VARIANT=release $(HOSTS_PROGRAMS:%=build/release/bin/%)

hosts-check: hosts-programs ## Try every fault of jepsen/hosts on this kernel
	@BIN=build/release/bin bash jepsen/hosts/doctor_twice.sh

hosts-clean-check: ## Kill the harness 20 times at random moments; nothing may be left
	@bash jepsen/hosts/clean_test.sh
CHECK_STEPS += hosts-check hosts-clean-check
