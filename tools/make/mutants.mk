# SPDX-License-Identifier: MIT
#
# Mutants (tests/mutants): the kernel's source with a switch for each small change, linked with the
# unit tests and with the explorer. docs/testing.md.

M := build/mutants
comma := ,
MUTANT_STAMP   := $M/src/stamp
MUTANT_TOOLS   := $(wildcard tests/mutants/*.py)
MUTANT_INCLUDE := -include tests/mutants/mutant.h -Itests/mutants -w

$(MUTANT_STAMP): $(KERNEL_SOURCES) $(wildcard kernel/*.h) tests/mutants/mutate.py \
    tests/mutants/operators.py tests/mutants/source.py $(RULES) | $(GENERATED)
	@mkdir -p $(@D)
	@echo >&2 "  GEN   mutants of kernel/"
	$(Q)$(PYTHON) tests/mutants/mutate.py $M/src $(CC) -std=c23 -fgnu-keywords -DSKERRY_DEV=1 \
	    -DSKERRY_SEEDS=1 -D_GNU_SOURCE $(ROOTS_host_kernel) >&2
	@touch $@
$(patsubst %,$M/src/%,$(KERNEL_SOURCES)): $(MUTANT_STAMP) ;

# As host.mk and explore.mk compile what is theirs; but without the address sanitizer, which sees
# nothing of objects in the simulated machine's RAM and costs more than everything else.
MUTANT_FLAGS := $(subst -fsanitize=address$(comma)undefined,-fsanitize=undefined \
                  -fsanitize-trap=undefined,$(HOST_FLAGS))
$M/unit/kernel/%.o: $M/src/kernel/%.c tests/mutants/mutant.h $(RULES) | $(MUTANT_STAMP)
	$(call compile,$(CC) $(MUTANT_FLAGS) $(ROOTS_host_kernel) $(MUTANT_INCLUDE) -finstrument-functions)
$M/unit/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(MUTANT_FLAGS) $(WARNINGS) $(ROOTS_test) -Itests/mutants)
$M/seen/kernel/%.o: $M/src/kernel/%.c tests/mutants/mutant.h $(RULES) | $(MUTANT_STAMP)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O2 $(EXPLORE_SEEN) $(ROOTS_host_kernel) $(MUTANT_INCLUDE))
$M/seen/tests/mutants/%.o: tests/mutants/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O2 $(EXPLORE_SEEN) $(WARNINGS) $(ROOTS_explore) -Itests/mutants)
$M/plain/tests/mutants/%.o: tests/mutants/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(EXPLORE_FLAGS) -O2 $(WARNINGS) $(ROOTS_explore) -Itests/mutants)

# What kills: programs that know `list` and `run NAME` (run.py says with what else).
MUTANT_KERNEL := $(call objects,$M/unit,$(KERNEL_SOURCES) tests/mutants/locks.c tests/mutants/switch.c)
MUTANT_UNIT := $(MUTANT_KERNEL) $(call objects,$M/unit,$(HOST_LIB_SOURCES) $(wildcard arch/host/*.c) \
                 tests/mutants/symbols.c)
mutant_sources = tests/unit/$(1).c $(shell sed -n 's,^// build: ,,p' tests/unit/$(1).c)
define mutant_test
MUTANT_KILLERS += $M/bin/$(1)
$M/bin/$(1): $(call objects,$M/unit,$(call mutant_sources,$(1))) $(MUTANT_UNIT)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(CC) -pthread -fuse-ld=lld -Wl,--gc-sections $$^ -o $$@
endef
# The tests of the invariants test tests.
$(foreach test,$(filter-out test_kernel_invariants,$(basename $(notdir \
    $(wildcard tests/unit/test_kernel_*.c)))),$(eval $(call mutant_test,$(test))))

MUTANT_SEEN := $(call objects,$M/seen,$(filter-out kernel/lock.c,$(KERNEL_SOURCES)) tests/mutants/locks.c) \
               $(call objects,$E/seen2,$(filter-out kernel/%,$(EXPLORE_KERNEL))) \
               $(call objects,$M/plain,tests/mutants/switch.c)
MUTANT_KILLERS += $M/bin/explore
$M/bin/explore: $(EXPLORE_PLAIN_OBJECTS) $(MUTANT_SEEN)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld -no-pie $^ -o $@

# kernel/lock.c, which the explorer's other scenarios do without.
MUTANT_KILLERS += $M/bin/locks
$M/bin/locks: $(call objects,$E/plain,$(EXPLORE_ENGINE)) $M/seen/kernel/lock.o \
    $E/seen2/tests/explore/litmus/locks.o $M/plain/tests/mutants/switch.o
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld -no-pie $^ -o $@

MUTANT_KILLERS += $M/bin/worlds
$M/bin/worlds: $(filter-out $W/kernel/%,$(WORLDS_OBJECTS)) $(MUTANT_KERNEL)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld $^ -o $@

.PHONY: mutant-programs mutants clauses
mutant-programs: $(MUTANT_KILLERS)
	@for f in $M/bin/*; do case " $(MUTANT_KILLERS) " in *" $$f "*) ;; *) rm -f "$$f" ;; esac; done

mutants: mutant-programs
	$(Q)$(PYTHON) tests/mutants/run.py

clauses: mutant-programs
	$(Q)$(PYTHON) tests/clauses.py --violate

-include $(shell find $M -name '*.d' 2>/dev/null)
