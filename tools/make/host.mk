# SPDX-License-Identifier: MIT
#
# Host tests: each tests/unit/test_NAME.c is a program of its own, linked with the
# kernel's real source, lib/ and the simulated machine (arch/host) from an
# archive, so that a test that wants none of it gets none. A test of anything
# else names the sources it needs in a comment line:
#
#   // build: user/services/files/tar.c

# COVERAGE=1: in a folder of their own, with a count of each branch of the kernel (`make coverage`).
H := $(if $(COVERAGE),build/coverage,build/host)
COUNTED := $(if $(COVERAGE),-fprofile-instr-generate -fcoverage-mapping)
HOST_ARCH := $(shell uname -m)
HOST_FLAGS := $(COMMON_FLAGS) -O1 -DSKERRY_DEV=1 -DSKERRY_SEEDS=1 -D_GNU_SOURCE -fno-builtin \
              -fsanitize=address,undefined -fno-sanitize-recover=all -pthread

ROOTS_host_machine := $(subst arch/$(ARCH)/include,arch/host/include,$(ROOTS_machine))
ROOTS_host_kernel  := $(subst arch/$(ARCH)/include,arch/host/include,$(ROOTS_kernel))
# Tests look into every layer, the kernel's private headers too.
ROOTS_test := $(ROOTS_host_kernel) -I$(GEN)/arch -I. -Ikernel -Itests/unit -Iarch/host \
              -I$(GEN)/user -Iuser/sdk/include -Iuser/sdk/$(HOST_ARCH)/include -Iplatform/include \
              -isystem $(DEPS) -isystem $(DEPS)/libfdt -isystem $(DEPS)/acpica \
              -isystem $(DEPS)/bearssl/inc

# The host's C library has these already, with sanitizer checks in them.
HOST_LIB_SOURCES := $(filter-out lib/string.c lib/memory.c,$(LIB_SOURCES))
HOST_OBJECTS := $(call objects,$H,$(HOST_LIB_SOURCES) $(KERNEL_SOURCES) $(TABLE_SOURCES) $(HWTREE_SOURCES) \
                  $(wildcard arch/host/*.c)) \
                $(call objects,$H,$(addprefix $(DEPS)/libfdt/,fdt.c fdt_ro.c fdt_addresses.c \
                  fdt_strerror.c))
HOST_LIBRARY := $H/libkernel.a

$H/lib/%.o: lib/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) $(WARNINGS) $(ROOTS_lib))
$(eval $(call table_roots,$H))
# The function hooks are where simulated CPUs are interleaved (arch/host/host.h).
$H/kernel/%.o: kernel/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) $(WARNINGS) $(ROOTS_host_kernel) -finstrument-functions $(COUNTED))
# The simulated machine stands in for arch, hal and platform.
$H/arch/host/%.o: arch/host/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) $(WARNINGS) $(ROOTS_host_kernel) -Iarch/host)
$H/$(DEPS)/%.o: $(DEPS)/%.c $(RULES)
	$(call compile,$(CC) $(HOST_FLAGS) -w -isystem $(DEPS)/libfdt)
$H/tests/unit/%.o: tests/unit/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) $(WARNINGS) $(ROOTS_test))
# Sources of other layers that a test names. Freestanding: a program of ours has
# another main() than a hosted one.
$H/extra/%.o: %.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) -ffreestanding $(WARNINGS) $(ROOTS_test))

$(HOST_LIBRARY): $(HOST_OBJECTS)
	@echo >&2 "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

HOST_TEST_SOURCES := $(wildcard tests/unit/test_$(if $(COVERAGE),kernel_)*.c)
# What tests of the kernel see calls do is recorded in all of them (tools/calls.py).
test_extra = $(call objects,$H/extra,$(shell sed -n 's,^// build: ,,p' $(1)) \
               $(if $(findstring test_kernel_,$(1)),tests/unit/kernel_calls.c))
define host_test
HOST_TESTS += $H/bin/$(basename $(notdir $(1)))
HOST_EXTRA += $(call test_extra,$(1))
$H/bin/$(basename $(notdir $(1))): $(call objects,$H,$(1)) $(call test_extra,$(1)) $(HOST_LIBRARY)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(CC) -fsanitize=address,undefined $(COUNTED) -pthread -fuse-ld=lld -Wl,--gc-sections $$^ -o $$@
endef
$(foreach test,$(HOST_TEST_SOURCES),$(eval $(call host_test,$(test))))

# A test that is gone must not be run again from an old build.
.PHONY: host-tests
host-tests: $(HOST_TESTS)
	@mkdir -p $H/bin
	@for f in $H/bin/*; do case " $(HOST_TESTS) " in *" $$f "*) ;; *) rm -f "$$f" ;; esac; done

# The hardware tree of a machine, from its firmware's tables (docs/hwtree.md).
HWTREE := build/host/bin-tools/hwtree
build/host/tools/%.o: tools/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(HOST_FLAGS) $(WARNINGS) $(ROOTS_lib))
$(HWTREE): build/host/tools/hwtree.o $(HOST_LIBRARY)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fsanitize=address,undefined -pthread -fuse-ld=lld -Wl,--gc-sections $^ -o $@

export DTB ACPI DIFF SUMMARY VARIANT
.PHONY: hwtree
hwtree: $(HWTREE)
	$(Q)$< $(if $(SUMMARY),--summary) $(if $(DTB),"$$DTB") $(if $(ACPI),--acpi "$$ACPI") $(if $(VARIANT),--variant "$$VARIANT") $(if $(DIFF),--diff "$$DIFF")

# Each invariant: how often it was evaluated, and the planted bug that it caught.
.PHONY: invariants
invariants: $H/bin/test_kernel_invariants
	$(Q)$<

-include build/host/tools/hwtree.d $(HOST_OBJECTS:.o=.d) $(HOST_EXTRA:.o=.d) $(patsubst %.c,$H/%.d,$(HOST_TEST_SOURCES))
