# SPDX-License-Identifier: MIT
#
# Exhaustive small worlds (tests/worlds): the kernel's real source on the
# simulated machine, whose memory comes from tests/worlds/memory.c. Without
# sanitizers: it is the search that must be fast, and the unit tests have them.

W := build/worlds
WORLDS_FLAGS := $(COMMON_FLAGS) -O2 -DSKERRY_DEV=1 -DSKERRY_SEEDS=1 -D_GNU_SOURCE
ROOTS_worlds := $(ROOTS_test) -Itests/worlds
WORLDS_SOURCES := $(wildcard tests/worlds/*.c) tests/unit/kernel_world.c tests/unit/kernel_check.c \
                  tests/unit/kernel_check_memory.c $(KERNEL_SOURCES) $(HOST_LIB_SOURCES) \
                  $(filter-out arch/host/pages.c,$(wildcard arch/host/*.c))
WORLDS_OBJECTS := $(call objects,$W,$(WORLDS_SOURCES))
WORLDS_PROGRAM := $W/worlds

$W/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(WORLDS_FLAGS) $(WARNINGS) $(ROOTS_worlds))

$(WORLDS_PROGRAM): $(WORLDS_OBJECTS)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld $^ -o $@

.PHONY: worlds worlds-program
worlds-program: $(WORLDS_PROGRAM)
worlds: worlds-program
	$(Q)$(PYTHON) tests/run.py worlds

-include $(WORLDS_OBJECTS:.o=.d)
