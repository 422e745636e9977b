# SPDX-License-Identifier: MIT
#
# The explorer (tests/explore): the engine and the harness as they are, what is
# explored with the compiler's thread-sanitizer instrumentation and without its
# runtime, at two levels of optimisation.

E := build/explore
EXPLORE_FLAGS := -std=c23 -fgnu-keywords -g -fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
                 -DSKERRY_DEV=1 -DSKERRY_SEEDS=1 -D_GNU_SOURCE
# Reads of what is then written are reported, too; volatile accesses as such.
EXPLORE_SEEN := -fsanitize=thread -mllvm -tsan-instrument-func-entry-exit=0 \
                -mllvm -tsan-distinguish-volatile=1 -mllvm -tsan-instrument-read-before-write=1
# At -O0, where each line has its own code: which basic blocks were reached.
EXPLORE_COUNTED := -fsanitize-coverage=inline-bool-flag,pc-table -mllvm -sanitizer-coverage-prune-blocks=false
ROOTS_explore := $(ROOTS_test) -Itests/explore/engine -Itests/explore/kernel

EXPLORE_ENGINE := $(wildcard tests/explore/engine/*.c) arch/host/stack.c
EXPLORE_PLAIN  := $(patsubst %,tests/explore/kernel/%.c,harness runner whole translation_break) \
                  $(wildcard tests/explore/scenarios/*.c) \
                  arch/host/cpu.c arch/host/machine.c arch/host/pages.c tests/unit/kernel_world.c \
                  tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
EXPLORE_KERNEL := $(filter-out kernel/lock.c,$(KERNEL_SOURCES)) $(HOST_LIB_SOURCES) \
                  $(patsubst %,tests/explore/kernel/%.c,machine locks starting)

$E/plain/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O2 $(WARNINGS) $(ROOTS_explore))
$E/seen0/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O0 $(EXPLORE_SEEN) $(EXPLORE_COUNTED) $(WARNINGS) $(ROOTS_explore))
$E/seen2/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O2 $(EXPLORE_SEEN) $(WARNINGS) $(ROOTS_explore))

define explore_program
EXPLORE_PROGRAMS += $E/bin/$(1)
$E/bin/$(1): $(2)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(CC) -fuse-ld=lld -no-pie $$^ -o $$@
endef
EXPLORE_PLAIN_OBJECTS := $(call objects,$E/plain,$(EXPLORE_ENGINE) $(EXPLORE_PLAIN))
$(eval $(call explore_program,kernel-O0,$(EXPLORE_PLAIN_OBJECTS) $(call objects,$E/seen0,$(EXPLORE_KERNEL))))
$(eval $(call explore_program,kernel-O2,$(EXPLORE_PLAIN_OBJECTS) $(call objects,$E/seen2,$(EXPLORE_KERNEL))))
$(eval $(call explore_program,litmus,$(call objects,$E/plain,$(EXPLORE_ENGINE)) $E/seen2/tests/explore/litmus/litmus.o))
$(eval $(call explore_program,lock-O0,$(call objects,$E/plain,$(EXPLORE_ENGINE)) $E/seen0/kernel/lock.o $E/seen2/tests/explore/litmus/locks.o))
$(eval $(call explore_program,lock-O2,$(call objects,$E/plain,$(EXPLORE_ENGINE)) $(call objects,$E/seen2,kernel/lock.c tests/explore/litmus/locks.c)))
$(eval $(call explore_program,failures,$(call objects,$E/plain,$(EXPLORE_ENGINE)) $E/seen0/tests/explore/litmus/failures.o))
$(eval $(call explore_program,random,$(call objects,$E/plain,$(EXPLORE_ENGINE)) $E/seen2/tests/explore/litmus/random.o))

.PHONY: explore-programs explore
explore-programs: $(EXPLORE_PROGRAMS)

export REPLAY BUDGET RESUME MODE DEPTH BUG
explore: explore-programs
	$(Q)$(PYTHON) tests/explore/run.py

-include $(shell find $E -name '*.d' 2>/dev/null)
