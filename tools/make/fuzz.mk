# SPDX-License-Identifier: MIT
#
# Fuzzing (tests/fuzz): each target NAME.c is a program with libFuzzer, the address and the
# undefined behaviour sanitizer. It is linked with an archive of the kernel, lib/ and the simulated
# machine, and names the other sources that it needs in a comment line, as unit tests do:
#
#   // build: user/services/files/tar.c
#
# Code under test is compiled from a copy with planted bugs, which are off (tests/fuzz/plant.py).
# docs/testing.md.

F := build/fuzz
FUZZ_FLAGS := $(COMMON_FLAGS) -O1 -DSKERRY_DEV=1 -DSKERRY_SEEDS=1 -D_GNU_SOURCE -fno-builtin \
              -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SEEN  := -fsanitize=fuzzer-no-link
# Without looking at what is compared: the bytes of these inputs are choices (kernel_draw.h).
FUZZ_SEEN_KERNEL := -fsanitize-coverage=inline-8bit-counters,pc-table
ROOTS_fuzz := $(ROOTS_test) -Itests/fuzz
# What the simulated world consists of stands in sections of its own, to be put back (world.c).
FUZZ_WORLD := -include tests/fuzz/world_section.h

FUZZ_TARGETS := $(basename $(notdir $(shell grep -l '^void fuzz_one' tests/fuzz/*.c | grep -v kernel_)))
FUZZ_SHARED  := $F/tests/fuzz/fuzz.o
fuzz_sources = $(shell sed -n 's,^// build: ,,p' tests/fuzz/$(1).c)
FUZZ_SEEN_SOURCES  := $(KERNEL_SOURCES) $(HOST_LIB_SOURCES) \
                      $(filter-out tests/%,$(foreach t,$(FUZZ_TARGETS),$(call fuzz_sources,$t)))
FUZZ_OBJECTS := $(call objects,$F,$(KERNEL_SOURCES) $(HOST_LIB_SOURCES) \
                  $(filter-out arch/host/pages.c,$(wildcard arch/host/*.c))) \
                $(call objects,$F,$(addprefix $(DEPS)/libfdt/,fdt.c fdt_ro.c fdt_addresses.c \
                  fdt_strerror.c))
FUZZ_LIBRARY := $F/libkernel.a

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

# Quoted includes are looked for where the original stands.
fuzz_seen = $(CC) $(FUZZ_FLAGS) $(if $(filter kernel/%,$(@:$F/%=%)),$(FUZZ_SEEN_KERNEL),$(FUZZ_SEEN)) $(WARNINGS) -Wno-missing-prototypes \
            -iquote $(patsubst $F/planted/%,%,$(dir $<))
$F/lib/%.o: $F/planted/lib/%.c
	$(call compile,$(fuzz_seen) $(ROOTS_fuzz))
$F/kernel/%.o: $F/planted/kernel/%.c tests/fuzz/world_section.h
	$(call compile,$(fuzz_seen) $(ROOTS_host_kernel) $(FUZZ_WORLD) -finstrument-functions)
$F/platform/%.o: $F/planted/platform/%.c
	$(call compile,$(fuzz_seen) $(ROOTS_fuzz))
$F/user/%.o: $F/planted/user/%.c
	$(call compile,$(fuzz_seen) -ffreestanding $(ROOTS_fuzz))
$F/$(DEPS)/%.o: $(DEPS)/%.c $(RULES)
	$(call compile,$(CC) $(FUZZ_FLAGS) $(FUZZ_SEEN) -w -isystem $(DEPS)/libfdt)
$F/arch/host/%.o: arch/host/%.c tests/fuzz/world_section.h $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(FUZZ_FLAGS) $(WARNINGS) $(ROOTS_host_kernel) -Iarch/host $(FUZZ_WORLD))
$F/tests/unit/%.o: tests/unit/%.c tests/fuzz/world_section.h $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(FUZZ_FLAGS) $(WARNINGS) $(ROOTS_fuzz) $(FUZZ_WORLD))
$F/tests/fuzz/%.o: tests/fuzz/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(FUZZ_FLAGS) $(WARNINGS) $(ROOTS_fuzz))

$(FUZZ_LIBRARY): $(FUZZ_OBJECTS)
	@echo >&2 "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define fuzz_target
FUZZ_PROGRAMS += $F/bin/$(1)
$F/bin/$(1): $F/tests/fuzz/$(1).o $(FUZZ_SHARED) $(call objects,$F,$(call fuzz_sources,$(1))) $(FUZZ_LIBRARY)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(CC) -fsanitize=fuzzer,address,undefined -fuse-ld=lld -Wl,--gc-sections $$^ -o $$@
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_target,$t)))

.PHONY: fuzz fuzz-programs fuzz-planted
fuzz-programs: $(FUZZ_PROGRAMS)
export TARGET SECONDS
fuzz: $(if $(TARGET),$F/bin/$(TARGET),$(FUZZ_PROGRAMS))
	$(Q)$(PYTHON) tests/fuzz/run.py
fuzz-planted: fuzz-programs
	$(Q)$(PYTHON) tests/fuzz/run.py planted

-include $(shell find $F -name '*.d' 2>/dev/null)
