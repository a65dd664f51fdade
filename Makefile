# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make help lists what there is. One makefile, objects mirror the tree below
# $(BUILD). CFLAGS, CPPFLAGS, LDFLAGS of the user are added to what is needed.

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
UNITDIR ?= $(PREFIX)/lib/systemd/system
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/kvmtuned
DBUSDIR ?= $(PREFIX)/share/dbus-1/system.d
POLKITDIR ?= $(PREFIX)/share/polkit-1
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions

CC ?= cc
PKG_CONFIG ?= pkg-config
INSTALL ?= install

PKGS_LIB := libconfig hwloc numa
PKGS_DAEMON := libvirt libvirt-qemu libsystemd libxml-2.0
PKGS_TEST := check

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla
# Empty WERROR= for compilers newer than those tested (gcc 12, clang 14).
WERROR ?= -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PKGS_LIB) $(PKGS_DAEMON) $(PKGS_TEST) 2>/dev/null)
PKG_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS_LIB) $(PKGS_DAEMON))
FRONT_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS_LIB) libxml-2.0)
CTL_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS_LIB) libsystemd)
TEST_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS_TEST))
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DSYSCONFDIR='"$(SYSCONFDIR)"' \
	-DLOCALSTATEDIR='"$(LOCALSTATEDIR)"' -pthread $(WARNINGS) $(WERROR) $(PKG_CFLAGS) $(SANITIZE) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(SANITIZE) $(LDFLAGS)

# One line for each step; V=1 prints the commands.
V ?= 0
ifeq ($(V),0)
say = @printf '  %-5s %s\n' '$(1)' '$(patsubst $(CURDIR)/%,%,$@)';
else
say =
endif

LIB_SRC := $(sort $(wildcard lib/*.c))
DAEMON_SRC := $(sort $(wildcard daemon/*.c))
CTL_SRC := $(sort $(wildcard ctl/*.c))
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o)
# Everything but the programs' main(): tests of the daemon's parts link these.
PARTS_OBJ := $(filter-out $(BUILD)/daemon/main.o $(BUILD)/daemon/numad_main.o,$(DAEMON_OBJ))
UNIT_TESTS := $(TEST_SRC:%.c=$(BUILD)/%)
SIM_SRC := $(sort $(wildcard tests/sim/*.c))
SIM_BIN := $(BUILD)/tests/sim/sim
MEMSIM_SRC := $(sort $(wildcard tests/sim-memory/*.c)) tests/sim/jobs.c tests/sim/random.c tests/sim/record.c
MEMSIM_BIN := $(BUILD)/tests/sim-memory/sim-memory
FAULT_SRC := $(sort $(wildcard tests/faults/*.c))
FAULT_PARTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/faults/host*.c)) tests/faults/knobs.c)
FAULT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/faults/test_*.c)))
SIM_BINS := $(SIM_BIN) $(MEMSIM_BIN)

LIB := $(BUILD)/lib/libkvmtuned.a
comma := ,
PARTS := $(BUILD)/daemon/parts.a
BIN := $(BUILD)/kvmtuned
CTL := $(BUILD)/kvmtunectl
FRONT := $(BUILD)/kvmtuned-numad

.PHONY: all
all: $(BIN) $(CTL) $(FRONT) ## build the daemon, kvmtunectl and the numad front

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(PARTS): $(PARTS_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BIN): $(BUILD)/daemon/main.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# Of the daemon's parts only what reads and writes values in messages, and what a terminal can show.
$(CTL): $(CTL_SRC:%.c=$(BUILD)/%.o) $(BUILD)/daemon/bus_value.o $(BUILD)/daemon/terminal.o $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CTL_LIBS) -lm

# libvirtd waits for it with a lock held: what would call libvirt does not link, and its libraries are not loaded.
$(FRONT): $(BUILD)/daemon/numad_main.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FRONT_LIBS) -lm

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(PKG_LIBS) -lm

# The test that lets the engine's allocations fail stands between it and the C library.
$(BUILD)/tests/unit/test_no_memory: override LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc reallocarray strdup \
	strndup open_memstream vasprintf)

$(SIM_BIN): $(SIM_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

$(MEMSIM_BIN): $(MEMSIM_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# What stands between the daemon and the outside is loaded into it; the tests themselves are not in its way.
$(BUILD)/tests/faults/preload.so: $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/faults/preload_*.c)))
	$(call say,LINK)$(CC) -shared $(LDFLAGS) -o $@ $^ -ldl

$(BUILD)/tests/faults/test_%: $(BUILD)/tests/faults/test_%.o $(FAULT_PARTS) \
		$(LIB) | $(BUILD)/tests/faults/preload.so
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(PKG_LIBS) -lm

# It is loaded into programs that are built with sanitizers, and is not itself.
$(BUILD)/tests/faults/preload_%.o: override SANITIZE :=
$(BUILD)/tests/faults/preload_%.o: ALL_CFLAGS += -fPIC

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS) $(SIM_BINS)

.PHONY: fault-tests
fault-tests: $(FAULT_TESTS)

$(BUILD)/%.service: systemd/%.service.in
	@mkdir -p $(@D)
	$(call say,GEN)sed 's,@SBINDIR@,$(SBINDIR),g' $< >$@

.PHONY: deps
deps: ## install what building and testing need (Debian; elsewhere: print the command)
	@tools/deps build test lint

.PHONY: build-deps
build-deps:
	@tools/deps build

# --- tests ---------------------------------------------------------------------
# One runner counts everything; each test is an executable that speaks TAP. Those
# that compute share the processors, however long they then take, the slowest first;
# those that wait for real guests, or let time run faster, run alone: fuzzing takes
# what they leave.

SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ASAN_BUILD := $(BUILD)/asan
TSAN_BUILD := $(BUILD)/tsan
ASAN_TESTS = $(TEST_SRC:%.c=$(ASAN_BUILD)/%)
TSAN_TESTS = $(TSAN_BUILD)/tests/unit/test_virt_queue_threads $(TSAN_BUILD)/tests/unit/test_pool_writer
# What these two need: the rest has one thread, and is not built once more for them.
TSAN_PARTS = DAEMON_SRC='$(filter daemon/pool_writer.c daemon/virt%.c,$(DAEMON_SRC))' \
	LIB_SRC='$(addprefix lib/,base.c idset.c parse.c snapshot.c sysfs.c topology.c)'
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_REPLAYS = $(FUZZ_TARGETS:%=$(ASAN_BUILD)/tests/fuzz/replay_%)
STATIC_TESTS := $(sort $(wildcard tests/static/*.t))
COMPUTING_TESTS := $(patsubst %,tests/static/%.t,lint deb valgrind layers)
GOLDEN_TESTS := $(sort $(wildcard tests/golden/run-*))
INTEGRATION_TESTS := $(sort $(wildcard tests/integration/*.t))
export KVMTUNED ?= $(abspath $(BIN))
export KVMTUNECTL ?= $(abspath $(CTL))
export BUILD

# Of these each waits for its own daemon, computes little, and looks at nothing of which there is one.
QUIET_TESTS := $(patsubst %,tests/integration/%.t,polkit dedicated pins control bus reload cli)
LAB_TESTS := $(sort $(wildcard tests/lab/*.t))
FUZZ_TEST :=
CHECKS = tests/static/clang.t $(COMPUTING_TESTS) $(ASAN_TESTS) $(TSAN_TESTS) $(UNIT_TESTS) $(SIM_BINS) $(GOLDEN_TESTS) tests/fuzz/replay.t \
	-- $(FUZZ_TEST:%=@%) $(FAULT_TESTS) $(filter-out tests/static/clang.t $(COMPUTING_TESTS),$(STATIC_TESTS)) \
	$(filter-out $(QUIET_TESTS),$(INTEGRATION_TESTS)) ++ $(QUIET_TESTS)

.PHONY: check
check: deps ## install what is missing, build with -Werror, run every test (as root, for the real guests)
	@$(MAKE) --no-print-directory -j$$(nproc) all unit-tests fault-tests
	@$(MAKE) --no-print-directory -j$$(nproc) sanitized
	@tests/run -j$$(nproc) $(CHECKS)

# What the lab needs may be missing: its tests are then skipped, with the reason.
.PHONY: ci
ci: FUZZ_TEST := tests/fuzz/fuzz.t
ci: deps ## check and lab ($LAB_SCENES) as one result (as root, up to $LAB_DEADLINE)
	-@tools/deps lab
	@$(MAKE) --no-print-directory -j$$(nproc) all unit-tests fault-tests
	@$(MAKE) --no-print-directory -j$$(nproc) sanitized
	@tests/run -j$$(nproc) $(CHECKS) == $(LAB_TESTS)

.PHONY: sanitized
sanitized:
	@$(MAKE) --no-print-directory BUILD=$(ASAN_BUILD) SANITIZE='$(SANITIZERS)' CFLAGS='-O1 -g' $(ASAN_BUILD)/kvmtuned $(ASAN_TESTS) $(FUZZ_REPLAYS)
	@$(MAKE) --no-print-directory BUILD=$(TSAN_BUILD) SANITIZE='-fsanitize=thread' CFLAGS='-O1 -g' $(TSAN_PARTS) $(TSAN_TESTS)

.PHONY: check-unit
check-unit: all unit-tests ## only the unit and golden tests, without sanitizers and without root
	@tests/run -j$$(nproc) $(UNIT_TESTS) $(GOLDEN_TESTS)

SIM_SEEDS ?= 100000
.PHONY: sim
sim: all $(SIM_BIN) ## the decision against 100,000 random hosts (SIM_SEEDS=N), a minute and a half
	@$(SIM_BIN) --seeds $(SIM_SEEDS) --jobs $$(nproc)

.PHONY: sim-memory
sim-memory: all $(MEMSIM_BIN) ## the decision against 100,000 random hosts of the memory model (SIM_SEEDS=N), some minutes
	@$(MEMSIM_BIN) --seeds $(SIM_SEEDS) --jobs $$(nproc)

# With every allocation of the daemon's own code that fails, not a sample of them; and 10,000 guests.
.PHONY: faults
faults: all fault-tests ## what breaks around the daemon, in full (tests/FAULTS.md), some minutes
	@FAULTS_ALLOCATIONS=200 FAULTS_CYCLES=10000 tests/run -t 1800 $(FAULT_TESTS)

.PHONY: soak
soak: all fault-tests ## an hour of churn at 100 times the speed, and 10,000 guests, under AddressSanitizer
	@$(MAKE) --no-print-directory BUILD=$(ASAN_BUILD) SANITIZE='$(SANITIZERS)' CFLAGS='-O1 -g' $(ASAN_BUILD)/kvmtuned
	@KVMTUNED=$(abspath $(ASAN_BUILD))/kvmtuned FAULTS_ASAN=$$($(CC) -print-file-name=libasan.so) FAULTS_SOAK=3600 \
		FAULTS_CYCLES=10000 tests/run -t 1800 $(BUILD)/tests/faults/test_cycles

.PHONY: check-integration
check-integration: all ## only the tests with real guests (as root)
	@tests/run $(INTEGRATION_TESTS)

.PHONY: check-static
check-static: all ## only layers, lint, manual pages, unit file
	@tests/run $(STATIC_TESTS)

# FUZZ_SECONDS each, as many targets at a time as there are processors; what crashes one is kept in its corpus.
FUZZ_SECONDS ?= 60
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_MAKE = $(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=clang CFLAGS='-O1 -g' \
	SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
.PHONY: fuzzers clang-objects
fuzzers:
	+@$(FUZZ_MAKE) $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/tests/fuzz/fuzz_%)
# Everything that is compiled, once; what clang has to say does not depend on the rest. Objects of what the fuzzers are made of.
clang-objects:
	+@$(FUZZ_MAKE) $(patsubst %.c,$(FUZZ_BUILD)/%.o,$(LIB_SRC) $(DAEMON_SRC)) \
		$(patsubst %.c,$(FUZZ_BUILD)/%.checked,$(sort $(CTL_SRC) $(TEST_SRC) $(SIM_SRC) $(MEMSIM_SRC)))
$(BUILD)/%.checked: %.c
	@mkdir -p $(@D)
	$(call say,CHECK)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $(@:.checked=.d) -MT $@ -fsyntax-only $< && touch $@
.PHONY: fuzz
fuzz: deps ## hostile input of every kind, with libFuzzer (clang; FUZZ_SECONDS=60 for each kind)
	@$(MAKE) --no-print-directory -j$$(nproc) WERROR= fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ_BUILD) $(FUZZ_TARGETS)

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) -lm

$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# The figures are gcc's, without optimizing: what that merges or copies is no branch of the source.
COVER_BUILD := $(BUILD)/coverage
COVER_CC ?= gcc
# Tests with many instances do with a part of them: tests/unit/instances.h.
COVER_FLAGS := --coverage -DCOVERAGE
export COVER_LINES ?= 95
export COVER_BRANCHES ?= 85
.PHONY: coverage
coverage: ## lines and branches of lib/ that unit and golden tests run; fails below COVER_LINES=95 COVER_BRANCHES=85
	@tools/deps build test cover
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(COVER_BUILD) CC='$(COVER_CC)' SANITIZE='$(COVER_FLAGS)' CFLAGS='-O0 -g' all $(TEST_SRC:%.c=$(COVER_BUILD)/%)
	@tests/coverage $(COVER_BUILD)

# A daemon of -O0 is slower, and the tests wait no longer for it: nothing else should run meanwhile.
.PHONY: coverage-faults
coverage-faults: ## lines of daemon/effects* and daemon/virt* that no fault test reaches, and is not listed in tests/FAULTS.md
	@tools/deps build test
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(COVER_BUILD) CC='$(COVER_CC)' SANITIZE='$(COVER_FLAGS)' CFLAGS='-O0 -g' \
		$(COVER_BUILD)/kvmtuned fault-tests
	@tests/faults/unreached $(COVER_BUILD)

.PHONY: layers
layers: all ## who may include whom
	@tests/static/layers.t

.PHONY: demo
demo: build-deps ## the main job on real throw-away guests, in about a minute (as root)
	@tools/deps guest
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/demo/demo

.PHONY: lab
lab: ## the installed service on a machine with four NUMA nodes, in a VM (as root, half an hour)
	@tools/deps build lab
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/run $(LAB_TESTS)

.PHONY: bench
bench: deps ## costs: decisions, start to pinned, the daemon with 10 to 200 guests (as root, half an hour)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$(MAKE) --no-print-directory $(BENCH_BIN) $(SIM_BINS)
	@tests/bench/run

BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:%.c=$(BUILD)/%)
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(PARTS) $(LIB)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# --- install -------------------------------------------------------------------

.PHONY: install
install: all $(BUILD)/kvmtuned.service ## install below $(DESTDIR)$(PREFIX)
	$(INSTALL) -D -m 755 $(BIN) $(DESTDIR)$(SBINDIR)/kvmtuned
	$(INSTALL) -D -m 755 $(FRONT) $(DESTDIR)$(SBINDIR)/kvmtuned-numad
	$(INSTALL) -D -m 644 $(BUILD)/kvmtuned.service $(DESTDIR)$(UNITDIR)/kvmtuned.service
	$(INSTALL) -D -m 644 systemd/kvmtuned-numa-balancing@.service \
		$(DESTDIR)$(UNITDIR)/kvmtuned-numa-balancing@.service
	$(INSTALL) -D -m 644 systemd/kvmtuned.catalog $(DESTDIR)$(CATALOGDIR)/kvmtuned.catalog
	$(INSTALL) -D -m 755 $(CTL) $(DESTDIR)$(PREFIX)/bin/kvmtunectl
	$(INSTALL) -D -m 644 conf/org.kvmtuned1.conf $(DESTDIR)$(DBUSDIR)/org.kvmtuned1.conf
	$(INSTALL) -D -m 644 conf/org.kvmtuned1.policy $(DESTDIR)$(POLKITDIR)/actions/org.kvmtuned1.policy
	$(INSTALL) -D -m 644 conf/org.kvmtuned1.rules $(DESTDIR)$(POLKITDIR)/rules.d/org.kvmtuned1.rules
	$(INSTALL) -D -m 644 completion/kvmtunectl.bash $(DESTDIR)$(BASHCOMPDIR)/kvmtunectl
	$(INSTALL) -D -m 644 completion/_kvmtunectl $(DESTDIR)$(ZSHCOMPDIR)/_kvmtunectl
	$(INSTALL) -D -m 644 conf/grafana-dashboard.json $(DESTDIR)$(PREFIX)/share/kvmtuned/grafana-dashboard.json
	$(INSTALL) -d -m 755 $(DESTDIR)$(SYSCONFDIR)/kvmtuned/conf.d
	@if [ -e $(DESTDIR)$(SYSCONFDIR)/kvmtuned/kvmtuned.conf ]; then \
		echo "keeping $(DESTDIR)$(SYSCONFDIR)/kvmtuned/kvmtuned.conf"; \
	else \
		$(INSTALL) -m 644 conf/kvmtuned.conf $(DESTDIR)$(SYSCONFDIR)/kvmtuned/kvmtuned.conf; \
	fi
	$(INSTALL) -d -m 755 $(DESTDIR)$(PREFIX)/libexec/kvmtuned
	ln -srfn $(DESTDIR)$(SBINDIR)/kvmtuned-numad $(DESTDIR)$(PREFIX)/libexec/kvmtuned/numad
	for file in doc/*.md doc/topology.svg; do \
		$(INSTALL) -D -m 644 $$file $(DESTDIR)$(DOCDIR)/$${file##*/} || exit 1; \
	done
	for file in conf/examples/*; do \
		$(INSTALL) -D -m 644 $$file $(DESTDIR)$(DOCDIR)/examples/$${file##*/} || exit 1; \
	done
	for page in man/*.[1-8]; do \
		$(INSTALL) -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done

# Where libvirt runs its adviser, kvmtuned-numad(8): the path it was built with.
NUMAD ?= /usr/bin/numad
numad_link = $(PREFIX)/libexec/kvmtuned/numad

.PHONY: install-numad
install-numad: install ## and answer libvirt's placement='auto'; a numad that is there is not replaced
	@if [ "$$(readlink $(DESTDIR)$(NUMAD))" != $(numad_link) ] && { [ -e $(DESTDIR)$(NUMAD) ] || [ -L $(DESTDIR)$(NUMAD) ]; }; then \
		echo "$(DESTDIR)$(NUMAD) is another numad; kvmtuned-numad(8) says how to move it aside" >&2; exit 1; \
	fi
	$(INSTALL) -d -m 755 $(DESTDIR)$(dir $(NUMAD))
	ln -sfn $(numad_link) $(DESTDIR)$(NUMAD)

.PHONY: uninstall
uninstall: ## remove what install put there; the policy and the state stay
	rm -f $(DESTDIR)$(SBINDIR)/kvmtuned $(DESTDIR)$(SBINDIR)/kvmtuned-numad $(DESTDIR)$(UNITDIR)/kvmtuned.service \
		$(DESTDIR)$(UNITDIR)/kvmtuned-numa-balancing@.service \
		$(DESTDIR)$(CATALOGDIR)/kvmtuned.catalog $(DESTDIR)$(PREFIX)/share/kvmtuned/grafana-dashboard.json \
		$(DESTDIR)$(numad_link) $(DESTDIR)$(PREFIX)/bin/kvmtunectl \
		$(DESTDIR)$(DBUSDIR)/org.kvmtuned1.conf $(DESTDIR)$(POLKITDIR)/actions/org.kvmtuned1.policy \
		$(DESTDIR)$(POLKITDIR)/rules.d/org.kvmtuned1.rules $(DESTDIR)$(BASHCOMPDIR)/kvmtunectl \
		$(DESTDIR)$(ZSHCOMPDIR)/_kvmtunectl
	@if [ "$$(readlink $(DESTDIR)$(NUMAD))" = $(numad_link) ]; then rm -f $(DESTDIR)$(NUMAD); fi
	@[ ! -d $(DESTDIR)$(dir $(numad_link)) ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(dir $(numad_link))
	for file in doc/*.md doc/topology.svg; do rm -f $(DESTDIR)$(DOCDIR)/$${file##*/}; done
	for file in conf/examples/*; do rm -f $(DESTDIR)$(DOCDIR)/examples/$${file##*/}; done
	for page in man/*.[1-8]; do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

# --- packages ------------------------------------------------------------------

DEB_DIR := $(BUILD)/deb
.PHONY: deb
deb: ## Debian packages, in $(BUILD)/deb (DEB_BUILD_OPTIONS=nocheck: without their tests)
	@tools/deps build package
	@rm -rf $(DEB_DIR) && mkdir -p $(DEB_DIR)/kvmtuned-$(VERSION)
	@git ls-files -z --cached --others --exclude-standard | \
		tar --null --no-recursion -cf - -T - | tar -xf - -C $(DEB_DIR)/kvmtuned-$(VERSION)
	@cd $(DEB_DIR)/kvmtuned-$(VERSION) && env -u MAKEFLAGS -u BUILD -u KVMTUNED dpkg-buildpackage -b -us -uc
	@rm -rf $(DEB_DIR)/kvmtuned-$(VERSION) && ls $(DEB_DIR)

# Elsewhere than on Fedora rpmbuild knows no package of what is needed: RPM_OPTIONS=--nodeps.
RPM_OPTIONS ?=
rpm_macros = $(if $(shell rpm --eval '%{?_unitdir}'),,--load packaging/macros.systemd)
.PHONY: rpm
rpm: dist ## RPM packages, in $(BUILD)/rpm
	@mkdir -p $(BUILD)/rpm
	env -u MAKEFLAGS -u BUILD -u KVMTUNED rpmbuild -bb $(rpm_macros) $(RPM_OPTIONS) -D '_topdir $(abspath $(BUILD))/rpm' \
		-D '_sourcedir $(abspath $(BUILD))' packaging/kvmtuned.spec

.PHONY: dist
dist: ## the source archive, in $(BUILD)
	@mkdir -p $(BUILD)
	git archive --prefix=kvmtuned-$(VERSION)/ -o $(BUILD)/kvmtuned-$(VERSION).tar.gz HEAD

.PHONY: clean
clean: ## remove the build folder
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 26

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(CTL_SRC:%.c=$(BUILD)/%.d) $(TEST_SRC:%.c=$(BUILD)/%.d) $(SIM_SRC:%.c=$(BUILD)/%.d) \
	$(MEMSIM_SRC:%.c=$(BUILD)/%.d) \
	$(BENCH_SRC:%.c=$(BUILD)/%.d) $(FAULT_SRC:%.c=$(BUILD)/%.d)
