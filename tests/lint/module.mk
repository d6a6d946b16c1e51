.PHONY: lint-check
lint-check:
	@$(MAKE) --no-print-directory VARIANT=debug libraries
	@bash tests/lint/lint.sh build/debug

# Some seconds a file, so it is no part of `make check`.
.PHONY: tidy
tidy: ## clang-tidy over base, raft, kv, proto and the quorum node; .clang-tidy says what counts
	@$(MAKE) --no-print-directory VARIANT=debug libraries
	@bash tests/lint/tidy.sh $(CPPFLAGS) -- $(sort $(filter base/% raft/% kv/% proto/% arbiter/quorated/%,$(ALL_SRC)))
