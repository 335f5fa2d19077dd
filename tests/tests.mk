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
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(WARN) -MMD -MP $^ $(LDLIBS) -lcmocka -o $@

$(O)/tests/kernel/test_%: $(O)/tests/kernel/test_%.o $(KLIB_O) $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ $(LDLIBS) -lcmocka -lpthread -o $@

$(O)/attack: $(O)/tests/kernel/attack_main.o $(filter-out %/wall.o,$(KLIB_O))
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ -lpthread -o $@

$(O)/smtpd: tests/e2e/smtpd.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $< -o $@

$(O)/tests/kernel/%.o: CPPFLAGS += -Itests/kernel

tests: all $(UNIT) $(KERNEL) $(O)/attack $(O)/smtpd

check: $(UNIT)
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP scripts/run-tests $(UNIT)

check-root: tests
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP scripts/run-tests $(KERNEL) $(wildcard tests/e2e/[0-9]*.sh)

-include $(SAN_O:.o=.d) $(KLIB_O:.o=.d) $(UNIT:=.d) $(KERNEL:=.d)
