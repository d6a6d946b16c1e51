.PHONY: hosts-check
hosts-check: ## Try every fault of jepsen/hosts on this kernel
	@bash jepsen/hosts/sandbox.sh -t 120 jepsen/hosts/doctor.sh 2>build/hosts-check.log; rc=$$?; \
	  if [ $$rc -eq 77 ]; then echo "0 0 22" >>"$${QUORATE_COUNTS:-/dev/null}"; exit 0; fi; exit $$rc
CHECK_STEPS += hosts-check
