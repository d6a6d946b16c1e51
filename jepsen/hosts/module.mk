.PHONY: hosts-check hosts-clean-check
hosts-check: ## Try every fault of jepsen/hosts on this kernel
	@mkdir -p build; bash jepsen/hosts/sandbox.sh -t 120 jepsen/hosts/doctor.sh 2>build/hosts-check.log; rc=$$?; \
	  if [ $$rc -eq 77 ]; then echo "0 0 40" >>"$${QUORATE_COUNTS:-/dev/null}"; exit 0; fi; exit $$rc

hosts-clean-check: ## Kill the harness 20 times at random moments; nothing may be left
	@bash jepsen/hosts/clean_test.sh
CHECK_STEPS += hosts-check hosts-clean-check
