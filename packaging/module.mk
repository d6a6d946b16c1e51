# --- installation: programs, manual pages and completions out of their own tables, units, samples, documentation.
# MAN_FROM: pages that were made elsewhere, where the programs do not run (cross-compiled ones)
PREFIX ?= /usr/local
MAN_FROM ?=
DEB_OUT ?= build/deb
DEB_VERSION ?= $(VERSION)
SHARE = $(DESTDIR)$(PREFIX)/share
ZSH_DIR = $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
INSTALLED_FILES = $(INSTALLED:%=$(B)/bin/%)
.PHONY: install man deb dist repro release-fixtures
man: ## Manual pages and completions for bash, zsh and fish into build/VARIANT/doc, out of the programs' tables
	@$(MAKE) --no-print-directory $(INSTALLED_FILES)
	@rm -rf $(B)/doc
	@if [ -n "$(MAN_FROM)" ]; then cp -r $(MAN_FROM) $(B)/doc; else bash packaging/man/man.sh $(B)/bin $(B)/doc $(VERSION) $(INSTALLED); fi
install: ## Install everything that runs [PREFIX=/usr/local DESTDIR=]; PREFIX=/usr where systemd and man look without being told
	@$(MAKE) --no-print-directory man
	@install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/man/man1 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions \
	  $(SHARE)/zsh/$(ZSH_DIR) $(SHARE)/fish/vendor_completions.d $(SHARE)/quorate/samples $(SHARE)/doc/quorate \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	@for b in $(INSTALLED); do install -m 755 $(B)/bin/$$b $(DESTDIR)$(PREFIX)/bin/$$b || exit 1; done
	@install -m 644 $(B)/doc/man/*.1 $(SHARE)/man/man1/ && install -m 644 $(B)/doc/man/*.8 $(SHARE)/man/man8/
	@install -m 644 $(B)/doc/bash/* $(SHARE)/bash-completion/completions/
	@install -m 644 $(B)/doc/zsh/* $(SHARE)/zsh/$(ZSH_DIR)/ && install -m 644 $(B)/doc/fish/* $(SHARE)/fish/vendor_completions.d/
	@for b in $(INSTALLED); do \
	  for u in packaging/systemd/$$b.service packaging/systemd/$$b@.service; do [ ! -e "$$u" ] || \
	    sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' "$$u" >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/} || exit 1; done; done
	@install -m 644 packaging/systemd/quorate.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/quorate.conf
	@install -m 644 packaging/systemd/quorate.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/quorate.conf
	@cp -r --no-preserve=ownership packaging/samples packaging/ansible packaging/compose $(SHARE)/quorate/
	@for d in grafana prometheus; do [ ! -d packaging/$$d ] || cp -r --no-preserve=ownership packaging/$$d $(SHARE)/quorate/; done
	@cp -r --no-preserve=ownership,mode docs/pictures $(SHARE)/doc/quorate/
	@install -m 644 docs/*.md $(SHARE)/doc/quorate/ && install -m 644 README.md $(SHARE)/doc/quorate/quorate.md
	@echo "installed $(INSTALLED) into $(DESTDIR)$(PREFIX)"
deb: ## Debian packages of the release programs into build/deb [DEB_OUT=DIR DEB_VERSION=V]
	@bash packaging/deps.sh --packages
	@$(MAKE) --no-print-directory VARIANT=release man
	@bash packaging/deb.sh build/release $(DEB_OUT) $(DEB_VERSION)
dist: ## Tarball of the committed tree into build/
	@mkdir -p build && git archive --prefix=quorate-$(VERSION)/ HEAD | xz >build/quorate-$(VERSION).tar.xz && ls build/quorate-$(VERSION).tar.xz

# The demo is a test as well: it must lose nothing, and with synchronous replication off it must show a loss.
CHECK_STEPS += demo-check
.PHONY: demo-check
demo-check: ## The demo and its sabotage, in a directory of their own
	@$(MAKE) --no-print-directory VARIANT=release binaries | grep -v '^  cc' || true
	@bash packaging/demo-check.sh

# --- tests of the packages
.PHONY: print-version print-installed packaging-check packaging-verify servers-verify setup-verify readme-verify ansible-verify arm64-verify deb-arm64
print-version:
	@echo $(VERSION)
print-installed:
	@echo $(INSTALLED)
CHECK_STEPS += packaging-check
packaging-check: ## Packages, units, manual pages, completions, samples, role and compose file
	@bash packaging/check.sh
VERIFY_STEPS += packaging-verify servers-verify setup-verify readme-verify ansible-verify repro arm64-verify
packaging-verify: ## Packages on a whole Debian machine with systemd, in namespaces: installed, used, upgraded, removed, purged
	@bash packaging/tests/run.sh packages
servers-verify: ## docs/install.md and docs/upgrade.md to the letter on three such machines, older and present version mixed, under load
	@bash packaging/tests/run.sh servers
setup-verify: ## What kv setup prints, to the letter on three such machines: a Galera cluster, a MongoDB replica set (mongosim) beside it
	@bash packaging/tests/run.sh setup
readme-verify: ## The README's three servers by hand, to the letter on three such machines
	@bash packaging/tests/run.sh readme
ansible-verify: ## The Ansible role against three such machines: a first cluster, no change, a setting, newer packages
	@bash packaging/tests/run.sh ansible
repro: ## The packages built in two directories, under two sets of circumstances, are the same byte by byte
	@bash packaging/tests/repro.sh
deb-arm64: ## The same packages for arm64 by cross-compiler, into build/deb-arm64; as root, in a Debian root of its own
	@bash packaging/tests/arm64.sh
arm64-verify: ## ... and their programs run (under qemu) and pass unit tests
	@bash packaging/tests/arm64.sh --test
