# The demo is a test as well: it must lose nothing, and with synchronous replication off it must show a loss.
CHECK_STEPS += demo-check
.PHONY: demo-check
demo-check: ## The demo and its sabotage, in a directory of their own
	@$(MAKE) --no-print-directory VARIANT=release binaries | grep -v '^  cc' || true
	@bash packaging/demo-check.sh
