# SPDX-License-Identifier: MIT
#
# The kernel: every source of each layer, each with its own include roots.

# Only the debug UARTs, interrupt controllers and timers of one machine are
# built for it: hal/ARCH and platform/ARCH beside what both share.
LIB_SOURCES      := $(wildcard lib/*.c)
KERNEL_SOURCES   := $(wildcard kernel/*.c kernel/*/*.c)
ARCH_SOURCES     := $(wildcard arch/$(ARCH)/*.c arch/$(ARCH)/*.S)
HAL_SOURCES      := $(wildcard hal/*.c hal/$(ARCH)/*.c)
PLATFORM_SOURCES := $(wildcard platform/*.c platform/$(ARCH)/*.c platform/$(ARCH)/*.S)

K := $(OUT)/kernel.o
KERNEL_OBJECTS := $(call objects,$K,$(LIB_SOURCES) $(TABLE_SOURCES) $(KERNEL_SOURCES) $(ARCH_SOURCES) \
                    $(HAL_SOURCES) $(PLATFORM_SOURCES) $(TABLE_DEPS))

KERNEL_LD    := arch/$(ARCH)/kernel.ld
KERNEL_ELF   := $(OUT)/kernel.elf
# What QEMU is given: the ELF file with its PVH note, or a Linux arm64 Image.
KERNEL_IMAGE_x86_64  := $(KERNEL_ELF)
KERNEL_IMAGE_aarch64 := $(OUT)/Image
KERNEL_IMAGE         := $(KERNEL_IMAGE_$(ARCH))

.PHONY: kernel
kernel: $(KERNEL_ELF) $(KERNEL_IMAGE)

define kernel_layer
$K/$(1)/%.o: $(1)/%.c $(RULES) | $(GENERATED)
	$$(call compile,$(CC) $(KERNEL_FLAGS) $$(DEFINES_bug) $(WARNINGS) $$(ROOTS_$(1)))
$K/$(1)/%.o: $(1)/%.S $(RULES) | $(GENERATED)
	$$(call compile,$(CC) $(KERNEL_FLAGS) $(WARNINGS) $(ROOTS_$(1)))
endef
$(foreach layer,lib kernel arch hal platform,$(eval $(call kernel_layer,$(layer))))

$(eval $(call table_roots,$K,-isystem tools/freestanding))
# Other people's code: their own warnings.
$K/$(DEPS)/libfdt/%.o: $(DEPS)/libfdt/%.c $(RULES)
	$(call compile,$(CC) $(KERNEL_FLAGS) -w -isystem $(DEPS)/libfdt -isystem tools/freestanding)

# --build-id=none, no paths, no times: the same sources give the same bytes.
$(KERNEL_ELF): $(KERNEL_OBJECTS) $(KERNEL_LD)
	@echo >&2 "  LD    $@"
	$(Q)$(LD) -nostdlib -static -T $(KERNEL_LD) -z max-page-size=4096 -z noexecstack \
	    --gc-sections --build-id=none -Map=$(OUT)/kernel.map \
	    $(KERNEL_OBJECTS) -o $@

$(OUT)/Image: $(KERNEL_ELF)
	@echo >&2 "  IMAGE $@"
	$(Q)$(OBJCOPY) -O binary $< $@

-include $(KERNEL_OBJECTS:.o=.d)
