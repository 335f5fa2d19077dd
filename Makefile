# SPDX-License-Identifier: GPL-2.0-or-later
# make            build smtpwall            make check       unit tests (no root)
# make check-root kernel and e2e tests      make bench       the figures of README.md
# make lint       static checks             make install     obeys DESTDIR and prefix
# make check-vm   kernel tests on other kernels, emulated
# make check-mutants  deliberate bugs, each of which a test must catch (root; half an hour)
# make bench-page the same as docs/bench.md, with a plot
# make coverage   branches of user/ that the tests take, file by file (root)
# make dist       a source archive           make deb       a Debian package
# V=1 shows the commands; O=DIR builds elsewhere.

O	?= build
CC	?= gcc
CLANG	?= clang
BPFTOOL	?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
CFLAGS	?= -O2 -g
prefix	?= /usr/local
sbindir	?= $(prefix)/sbin
mandir	?= $(prefix)/share/man
docdir	?= $(prefix)/share/doc/smtpwall
sysconfdir ?= /etc
unitdir	?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
bashcompdir ?= $(prefix)/share/bash-completion/completions
datadir	?= $(prefix)/share

VERSION := $(shell sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGES.md 2>/dev/null | head -n 1)
PKGS	:= libbpf libelf zlib json-c inih libmnl sqlite3 ncursesw libsystemd libcap-ng libmicrohttpd
WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ifdef CI
WARN	+= -Werror
endif

ifndef V
Q	:= @
say	= @echo "  $(1)	$(2)"
endif

ARCH	:= $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
BPF_SYS	:= $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) \
	-mllvm -disable-block-placement -Wall -Wextra -Wno-unused-parameter \
	-Wno-unused-function -Iinclude -Ibpf $(if $(BPF_SYS),-idirafter /usr/include/$(BPF_SYS))
# -disable-block-placement: else clang may lay the end of a loop before its head, and kernels
# up to 6.1 refuse the program ("back-edge").

CPPFLAGS += -Iinclude -Iuser -Ibpf -I$(O) -DSW_VERSION='"$(VERSION)"' -D_GNU_SOURCE= \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS	+= $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread

BPF_C	:= $(wildcard bpf/*.bpf.c)
SKELS	:= $(BPF_C:bpf/%.bpf.c=$(O)/%.skel.h)
USER_C	:= $(wildcard user/*.c)
USER_O	:= $(USER_C:%.c=$(O)/%.o)
LIB_O	:= $(filter-out $(O)/user/main.o,$(USER_O))
UNIT	:= $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
KERNEL	:= $(patsubst %.c,$(O)/%,$(wildcard tests/kernel/test_*.c))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check check-root check-valgrind check-fuzz lint bench install dist deb clean tests

all: $(O)/smtpwall

$(O)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name sw_$*_bpf > $@

# Only the loader includes skeletons.
$(O)/user/kern.o $(O)/san/user/kern.o: $(SKELS)

$(O)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c $< -o $@

$(O)/smtpwall: $(USER_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

include tests/tests.mk

include packaging/install.mk

clean:
	rm -rf $(O)

-include $(USER_O:.o=.d) $(BPF_C:bpf/%.bpf.c=$(O)/%.bpf.d)
