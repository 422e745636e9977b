# SPDX-License-Identifier: MIT
#
# Fuzzing (tests/fuzz): each target NAME.c is a program with libFuzzer, the address and the
# undefined behaviour sanitizer. It is linked with an archive of the kernel, lib/ and the simulated
# machine, and names the other sources that it needs in a comment line, as unit tests do:
#
#   // build: user/services/files/tar.c
#
# Code under test is compiled from a copy with planted bugs, which are off (tests/fuzz/plant.py).
#
# The targets that run the whole kernel are built twice: with the sanitizers, and fast, without
# them. The fast program looks for inputs; the other one tries again what was kept.
# docs/testing.md.

F := build/fuzz
FUZZ_COMMON := $(COMMON_FLAGS) -DSKERRY_DEV=1 -DSKERRY_SEEDS=1 -D_GNU_SOURCE -fno-builtin
FUZZ_CHECKED := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FAST := -O2 -flto=thin
FUZZ_SEEN  := -fsanitize=fuzzer-no-link
# Without looking at what is compared: the bytes of these inputs are choices (kernel_draw.h).
FUZZ_SEEN_KERNEL := -fsanitize-coverage=inline-8bit-counters,pc-table
ROOTS_fuzz := $(ROOTS_test) -Itests/fuzz
# What the simulated world consists of stands in sections of its own, to be put back (world.c).
FUZZ_WORLD := -include tests/fuzz/world_section.h

FUZZ_TARGETS := $(basename $(notdir $(shell grep -l '^void fuzz_one' tests/fuzz/*.c | grep -v kernel_)))
FUZZ_KERNEL  := $(basename $(notdir $(shell grep -l '^// build: tests/fuzz/kernel_fuzz.c' tests/fuzz/*.c)))
fuzz_sources = $(shell sed -n 's,^// build: ,,p' tests/fuzz/$(1).c)
FUZZ_SEEN_SOURCES  := $(KERNEL_SOURCES) $(HOST_LIB_SOURCES) \
                      $(filter-out tests/%,$(foreach t,$(FUZZ_TARGETS),$(call fuzz_sources,$t)))
FUZZ_SOURCES := $(KERNEL_SOURCES) $(HOST_LIB_SOURCES) \
                $(filter-out arch/host/pages.c,$(wildcard arch/host/*.c)) \
                $(addprefix $(DEPS)/libfdt/,fdt.c fdt_ro.c fdt_addresses.c fdt_strerror.c)

# Written anew from the table of planted bugs, all at once; also when a target may name another
# source. What does not change keeps its time.
FUZZ_STAMP := $F/planted/stamp
$(FUZZ_STAMP): $(sort $(FUZZ_SEEN_SOURCES)) $(wildcard tests/fuzz/*.c) tests/fuzz/plant.py \
    tests/fuzz/planted.toml $(RULES) | $(GENERATED)
	@mkdir -p $(@D)
	@echo >&2 "  GEN   planted bugs"
	$(Q)$(PYTHON) tests/fuzz/plant.py $(@D) $(sort $(FUZZ_SEEN_SOURCES))
	@touch $@
$(addprefix $F/planted/,$(sort $(FUZZ_SEEN_SOURCES))): $(FUZZ_STAMP) ;

# $(call fuzz_build,folder,flags,hooks): objects and an archive of all that targets share. Quoted
# includes are looked for where the original stands.
fuzz_seen = $(CC) $(FUZZ_COMMON) $(1) $(2) $(WARNINGS) -Wno-missing-prototypes \
            -iquote $(patsubst $F/planted/%,%,$(dir $<))
define fuzz_build
$(1)/lib/%.o: $F/planted/lib/%.c
	$$(call compile,$$(call fuzz_seen,$(2),$$(FUZZ_SEEN)) $$(ROOTS_fuzz))
$(1)/kernel/%.o: $F/planted/kernel/%.c tests/fuzz/world_section.h
	$$(call compile,$$(call fuzz_seen,$(2),$$(FUZZ_SEEN_KERNEL)) $$(ROOTS_host_kernel) $$(FUZZ_WORLD) $(3))
$(1)/platform/%.o: $F/planted/platform/%.c
	$$(call compile,$$(call fuzz_seen,$(2),$$(FUZZ_SEEN)) $$(ROOTS_fuzz))
$(1)/boot/%.o: $F/planted/boot/%.c
	$$(call compile,$$(call fuzz_seen,$(2),$$(FUZZ_SEEN)) $$(ROOTS_fuzz))
$(1)/user/%.o: $F/planted/user/%.c
	$$(call compile,$$(call fuzz_seen,$(2),$$(FUZZ_SEEN)) -ffreestanding $$(ROOTS_fuzz))
$(1)/$(DEPS)/%.o: $(DEPS)/%.c $(RULES)
	$$(call compile,$$(CC) $$(FUZZ_COMMON) $(2) $$(FUZZ_SEEN) -w -isystem $(DEPS)/libfdt)
$(1)/arch/host/%.o: arch/host/%.c tests/fuzz/world_section.h $(RULES) | $(GENERATED)
	$$(call compile,$$(CC) $$(FUZZ_COMMON) $(2) $$(WARNINGS) $$(ROOTS_host_kernel) -Iarch/host $$(FUZZ_WORLD))
$(1)/tests/unit/%.o: tests/unit/%.c tests/fuzz/world_section.h $(RULES) | $(GENERATED)
	$$(call compile,$$(CC) $$(FUZZ_COMMON) $(2) $$(WARNINGS) $$(ROOTS_fuzz) $$(FUZZ_WORLD))
$(1)/tests/fuzz/%.o: tests/fuzz/%.c $(RULES) | $(GENERATED)
	$$(call compile,$$(CC) $$(FUZZ_COMMON) $(2) $$(WARNINGS) $$(ROOTS_fuzz))

$(1)/libkernel.a: $(call objects,$(1),$(FUZZ_SOURCES))
	@echo >&2 "  AR    $$@"
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
# $(call fuzz_program,folder,target,flags)
define fuzz_program
FUZZ_PROGRAMS += $(1)/bin/$(2)
$(1)/bin/$(2): $(call objects,$(1),tests/fuzz/$(2).c tests/fuzz/fuzz.c $(call fuzz_sources,$(2))) $(1)/libkernel.a
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$$(CC) $(3) -fsanitize=fuzzer -fuse-ld=lld -Wl,--gc-sections $$^ -o $$@
endef
# Where a function of the kernel begins is looked at by `messages` alone, and takes time.
FUZZ_HOOKED := messages
$(eval $(call fuzz_build,$F,$$(FUZZ_CHECKED),-finstrument-functions))
$(eval $(call fuzz_build,$F/fast,$$(FUZZ_FAST),))
$(eval $(call fuzz_build,$F/hooked,$$(FUZZ_FAST),-finstrument-functions))
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_program,$F,$t,$$(FUZZ_CHECKED))))
$(foreach t,$(filter-out $(FUZZ_HOOKED),$(FUZZ_KERNEL)),$(eval $(call fuzz_program,$F/fast,$t,$$(FUZZ_FAST))))
$(foreach t,$(FUZZ_HOOKED),$(eval $(call fuzz_program,$F/hooked,$t,$$(FUZZ_FAST))))

.PHONY: fuzz fuzz-programs fuzz-planted
fuzz-programs: $(FUZZ_PROGRAMS)
export TARGET SECONDS QUIET
fuzz: $(if $(TARGET),$(filter %/$(TARGET),$(FUZZ_PROGRAMS)),$(FUZZ_PROGRAMS))
	$(Q)$(PYTHON) tests/fuzz/run.py
fuzz-planted: fuzz-programs
	$(Q)$(PYTHON) tests/fuzz/run.py planted

-include $(shell find $F -name '*.d' 2>/dev/null)

# The search for the longest stretches of the kernel, by its basic blocks (tests/bench/climb.c).
C := build/climb
CLIMB_FLAGS = $(COMMON_FLAGS) -O2 -DSKERRY_SEEDS=1 -D_GNU_SOURCE -fno-builtin
CLIMB_OBJECTS := $(call objects,$C,$(KERNEL_SOURCES) $(HOST_LIB_SOURCES) $(wildcard arch/host/*.c) \
    tests/bench/climb.c tests/programs/found/plan.c $(addprefix tests/unit/,kernel_alone.c kernel_world.c kernel_check.c kernel_check_memory.c))
$C/kernel/%.o $C/lib/%.o: CLIMB_SEEN := -fsanitize-coverage=trace-pc-guard
$C/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(CLIMB_FLAGS) $(CLIMB_SEEN) $(WARNINGS) $(ROOTS_test) -Itests/programs)
$C/bin/climb: $(CLIMB_OBJECTS)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld -Wl,--gc-sections,--wrap=memset,--wrap=memcpy,--wrap=host_run $^ -o $@
-include $(CLIMB_OBJECTS:.o=.d)
