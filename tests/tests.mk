# SPDX-License-Identifier: GPL-2.0-or-later
# Tests. Unit tests are built with sanitizers and need no root; kernel and e2e tests need it.

SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_O	:= $(LIB_O:$(O)/%=$(O)/san/%)
KLIB_C	:= $(filter-out tests/kernel/test_%.c tests/kernel/attack_main.c,$(wildcard tests/kernel/*.c))
KLIB_O	:= $(KLIB_C:%.c=$(O)/%.o)

$(O)/san/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(WARN) -MMD -MP -c $< -o $@

$(O)/tests/unit/%: tests/unit/%.c $(SAN_O)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(WARN) -MMD -MP $< $(SAN_O) $(LDLIBS) \
		-lcmocka -o $@

$(O)/tests/kernel/test_%: $(O)/tests/kernel/test_%.o $(KLIB_O) $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ $(LDLIBS) -lcmocka -lpthread -o $@

$(O)/attack: $(O)/tests/kernel/attack_main.o $(filter $(O)/tests/kernel/attack% \
		$(O)/tests/kernel/netlab%,$(KLIB_O))
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ -lpthread -o $@

$(O)/smtpd $(O)/dns: $(O)/%: tests/e2e/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $< -o $@

$(O)/tests/kernel/%.o: CPPFLAGS += -Itests/kernel

# LD_PRELOAD for 460-faulty.sh; never with a sanitizer or --coverage.
$(O)/faulty.so: tests/e2e/faulty.c
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) -O2 -g $(WARN) -fPIC -shared $< -ldl -o $@

tests: all $(UNIT) $(KERNEL) $(O)/attack $(O)/smtpd $(O)/dns $(O)/faulty.so

check: $(UNIT)
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP scripts/run-tests $(UNIT)

# What it does when the kernel says no, memory runs out or the loader dies; part of check-root.
.PHONY: check-faults
check-faults: all $(filter %/test_faults %/test_loader_fail %/test_loader_repair,$(KERNEL)) \
		$(filter %/test_gap %/test_loader_ns,$(KERNEL))
	$(Q)SMTPWALL_TEST_LONG=1 CMOCKA_MESSAGE_OUTPUT=TAP scripts/run-tests $(filter-out all,$^)

check-root: tests
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP scripts/run-tests $(KERNEL) $(wildcard tests/e2e/[0-9]*.sh)

# The same on other kernels, in guests under emulation; needs no root. The last kernels that ran
# make the table of the man page.
.PHONY: check-vm kernel-table
check-vm: tests
	$(Q)tests/vm/matrix $(O)

kernel-table:
	$(Q)scripts/kernel-table --write $(O) $(shell sed -nE 's/^([^#\t]+)\t.*/\1/p' tests/vm/kernels.txt)

-include $(SAN_O:.o=.d) $(KLIB_O:.o=.d) $(UNIT:=.d) $(KERNEL:=.d)

# Deliberate bugs in a private copy, one at a time: the tests have to catch each.
.PHONY: check-mutants
check-mutants: all
	$(Q)O=$(O) scripts/mutants

# Which branches of user/ the tests take. COVERAGE=--unit: unit tests alone.
.PHONY: coverage
coverage:
	$(Q)O=$(O) scripts/coverage $(COVERAGE)

# The goals of these are those of a build without sanitizers.
$(O)/domain_scale $(O)/alert_scale $(O)/history_scale: $(O)/%: tests/unit/test_%.c $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $< $(LIB_O) $(LDLIBS) -lcmocka -o $@

.PHONY: check-scale
check-scale: $(O)/domain_scale $(O)/alert_scale $(O)/history_scale
	$(Q)$(O)/domain_scale
	$(Q)$(O)/alert_scale
	$(Q)$(O)/history_scale

# Static checks, one file a job.
TIDY_C	:= $(USER_C) $(wildcard tests/unit/*.c tests/kernel/*.c tests/bench/*.c tests/e2e/*.c)
SHELLS	:= $(wildcard scripts/* tests/e2e/*.sh tests/bench/page packaging/hooks/*) \
	   tests/vm/fetch-kernel tests/vm/run-guest tests/vm/matrix tests/vm/guest-init .ci/run \
	   $(wildcard packaging/debian/smtpwall.p*) packaging/completion/smtpwall
MEN	:= packaging/man/smtpwall.8 packaging/man/smtpwall.conf.5

lint: $(TIDY_C:%=$(O)/lint/%.tidy) $(O)/lint/cppcheck
	$(Q)shellcheck -x $(SHELLS)
	$(Q)mandoc -T lint -W warning $(MEN)
	$(Q)scripts/bans
	$(Q)scripts/check-references
	$(Q)scripts/mutants --check
	@echo "ok 1 - lint"

$(O)/lint/%.tidy: % .clang-tidy $(SKELS)
	$(call say,TIDY,$*)
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) -Itests/kernel -Itests/unit >$@.log 2>&1 || \
		{ cat $@.log; exit 1; }
	$(Q)touch $@

# memleak: it does not know cleanup attributes; sanitizers and valgrind find real leaks.
$(O)/lint/cppcheck: $(USER_C) $(wildcard user/*.h)
	$(call say,CPPCHECK,user)
	$(Q)mkdir -p $(@D)
	$(Q)cppcheck --quiet --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=memleak --error-exitcode=1 \
		'-DLIBBPF_OPTS(type,name,...)=struct type name' \
		'-Dbpf_object__for_each_program(p,o)=while ((p = bpf_object__next_program(o, p)))' -D_GNU_SOURCE= -Iinclude -Iuser \
		-Ibpf user
	$(Q)touch $@

# The commands under valgrind: no error, nothing leaked. The kernel parts need root.
check-valgrind: all
	$(Q)tests/e2e/valgrind.sh $(O)/smtpwall

# libFuzzer for a bounded time on the committed corpora.
FUZZ	:= $(patsubst tests/fuzz/fuzz_%.c,$(O)/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 13

FUZZ_FLAGS := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_LIB := $(LIB_O:$(O)/%=$(O)/fuzz/%)

$(O)/fuzz/user/kern.o $(O)/fuzz/user/probe.o: $(SKELS)

$(O)/fuzz/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(O)/fuzz_%: $(O)/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_LIB)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer $^ $(LDLIBS) -o $@

check-fuzz: $(FUZZ)
	$(Q)for f in $(FUZZ); do name=$${f##*/fuzz_}; mkdir -p $(O)/corpus/$$name; \
		$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix=$(O)/corpus/ $(O)/corpus/$$name tests/fuzz/corpus/$$name 2>$$f.log || \
		{ tail -n 40 $$f.log; echo "not ok 1 - fuzz $$name"; exit 1; }; \
		echo "ok 1 - fuzz $$name: $$(sed -n 's/.*executed_units: *//p' $$f.log) inputs"; done

# What it costs, next to iptables and nft, in one run. BENCH=--quick takes a minute.
BENCH_O	:= $(patsubst %.c,$(O)/%.o,$(wildcard tests/bench/*.c))
$(BENCH_O): CPPFLAGS += -Itests/bench

$(O)/bench: $(BENCH_O) $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ $(LDLIBS) -lpthread -o $@

bench: all $(O)/bench
	$(Q)$(O)/bench --program $(abspath $(O)/smtpwall) --json $(abspath $(O)/bench.json) $(BENCH)

# The same as a page with a plot, in docs/. NOTE: a sentence about the machine.
.PHONY: bench-page
bench-page: bench
	$(Q)note="$(NOTE)" tests/bench/page $(O)/bench.json docs/bench.md docs/bench.svg

-include $(BENCH_O:.o=.d)

-include $(FUZZ_LIB:.o=.d) $(FUZZ:$(O)/%=$(O)/fuzz/tests/fuzz/%.d)
