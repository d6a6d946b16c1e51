# Pages of the documentation that are made from tables.
BINARIES += reference
BIN_reference := tests/reference/reference.c
CHECK_STEPS += docs-check
.PHONY: docs docs-check
docs: ## Write the pages that are made from the tables of the code: docs/metrics.md, docs/events.md
	@$(MAKE) --no-print-directory $(B)/bin/reference
	@for page in metrics events; do $(B)/bin/reference $$page >docs/$$page.md || exit 1; done
docs-check: ## Fail when such a page is not what the tables say; rules and dashboard name metrics that exist; a command of the documentation that no test runs
	@$(MAKE) --no-print-directory VARIANT=release build/release/bin/reference build/release/bin/kv
	@REFERENCE=build/release/bin/reference bash tests/reference/check.sh
	@KV=build/release/bin/kv bash tests/reference/commands.sh
