# SPDX-License-Identifier: MIT
#
# The loader for UEFI machines, one program from one source: boot/uefi beside its
# folder for the machine. It has no library; what it shares with the kernel is
# compiled anew for its calling convention. `make image`: a disk with all of it.

LOADER_TARGET_x86_64  := --target=x86_64-unknown-windows -mno-red-zone
LOADER_TARGET_aarch64 := --target=aarch64-unknown-windows -mno-outline-atomics -mstrict-align
LOADER_MACHINE_x86_64  := x64
LOADER_MACHINE_aarch64 := arm64
# What UEFI looks for on a medium that it was not told more of (3.5.1.1).
LOADER_NAME_x86_64  := BOOTX64.EFI
LOADER_NAME_aarch64 := BOOTAA64.EFI

LOADER_FLAGS := $(LOADER_TARGET_$(ARCH)) -std=c23 -fgnu-keywords -O2 -ffreestanding -nostdlibinc \
                -mgeneral-regs-only -fno-strict-aliasing -fno-common -fno-stack-protector \
                -mno-stack-arg-probe -fno-ms-compatibility -fno-builtin-wcslen \
                -ffile-prefix-map=$(CURDIR)/= -fdebug-compilation-dir=.
ROOTS_boot := $(ROOTS_lib) -Iboot -isystem $(DEPS)/bearssl/inc -isystem tools/freestanding

B := $(OUT)/boot.o
LOADER_SOURCES := $(wildcard boot/uefi/*.c boot/uefi/$(ARCH)/*.c boot/uefi/$(ARCH)/*.S)
LOADER_LIB     := $(addprefix lib/,elf.c elf_image.c format.c string.c)
LOADER_DEPS    := $(addprefix $(DEPS)/bearssl/src/,hash/sha2small.c codec/dec32be.c codec/enc32be.c)
LOADER_OBJECTS := $(call objects,$B,$(LOADER_SOURCES) $(LOADER_LIB) $(LOADER_DEPS))
LOADER := $(OUT)/$(LOADER_NAME_$(ARCH))

$B/boot/%.o: boot/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(LOADER_FLAGS) $(WARNINGS) $(ROOTS_boot))
$B/boot/%.o: boot/%.S $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(LOADER_FLAGS) $(WARNINGS) $(ROOTS_boot))
$B/lib/%.o: lib/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(LOADER_FLAGS) $(WARNINGS) $(ROOTS_lib))
$B/$(DEPS)/%.o: $(DEPS)/%.c $(RULES)
	$(call compile,$(CC) $(LOADER_FLAGS) -w -isystem $(DEPS)/bearssl/inc \
	    -isystem $(DEPS)/bearssl/src -isystem tools/freestanding)

$(LOADER): $(LOADER_OBJECTS)
	@echo >&2 "  LD    $@"
	$(Q)lld-link-22 -nologo -subsystem:efi_application -entry:efi_main -nodefaultlib -Brepro \
	    -machine:$(LOADER_MACHINE_$(ARCH)) -out:$@ $(LOADER_OBJECTS)

.PHONY: loader image
loader: $(LOADER)

# Both machines' loaders, kernels and bundles on one disk, to be written to a stick.
IMAGE := build/skerry-$(BUILD).img
image:
	$(Q)for a in $(ARCHES); do $(MAKE) ARCH=$$a all >&2 || exit 1; done
	$(Q)$(PYTHON) tools/image.py $(IMAGE) $(foreach a,$(ARCHES),build/$a-$(BUILD))

-include $(LOADER_OBJECTS:.o=.d)
