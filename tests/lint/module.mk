.PHONY: lint-check
lint-check:
	@$(MAKE) --no-print-directory VARIANT=debug libraries
	@bash tests/lint/lint.sh build/debug
