# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make help lists what there is. One makefile, objects mirror the tree below
# $(BUILD); user CFLAGS are added, never replaced.

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
MANDIR ?= $(PREFIX)/share/man

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
TEST_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS_TEST))
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DSYSCONFDIR='"$(SYSCONFDIR)"' \
	-DLOCALSTATEDIR='"$(LOCALSTATEDIR)"' -pthread $(WARNINGS) $(WERROR) $(PKG_CFLAGS) $(SANITIZE) $(CFLAGS)
ALL_LDFLAGS = -pthread $(SANITIZE) $(LDFLAGS)

LIB_SRC := $(sort $(wildcard lib/*.c))
DAEMON_SRC := $(sort $(wildcard daemon/*.c))
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o)
# Everything but main: tests of the daemon's parts link these.
PARTS_OBJ := $(filter-out $(BUILD)/daemon/main.o,$(DAEMON_OBJ))
UNIT_TESTS := $(TEST_SRC:%.c=$(BUILD)/%)

LIB := $(BUILD)/lib/libkvmtuned.a
PARTS := $(BUILD)/daemon/parts.a
BIN := $(BUILD)/kvmtuned

.PHONY: all
all: $(BIN) ## build the daemon

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(PARTS): $(PARTS_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BIN): $(BUILD)/daemon/main.o $(PARTS) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(PARTS) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(PKG_LIBS) -lm

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(TEST_SRC:%.c=$(BUILD)/%.d)
