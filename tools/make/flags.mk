# SPDX-License-Identifier: MIT
#
# Tools, flags, and which folders each layer can see.

# The system's own python: the one that setup installs.
PYTHON  := /usr/bin/python3
CC      := clang-22
LD      := ld.lld-22
AR      := llvm-ar-22
OBJCOPY := llvm-objcopy-22

# BUG=name: a kernel with that planted bug (kernel/check.h), in a folder of its own.
SPACE := $(subst ,, )
OUT  := build/$(ARCH)-$(BUILD)$(if $(BUG),-bug-$(subst $(SPACE),-,$(BUG)))
DEPS := build/deps
GEN  := build/gen

# Objects depend on these, so that new flags rebuild everything.
RULES := Makefile $(wildcard tools/make/*.mk)

# --- flags ------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wcast-qual -Wundef -Wstrict-prototypes \
            -Wmissing-prototypes -Wswitch-enum -Wvla -Werror

DEFINES_dev     := -DSKERRY_DEV=1
DEFINES_release :=
DEFINES_bug     := $(if $(BUG),-DSKERRY_BUG='"$(BUG)"')

# -fgnu-keywords: `asm`, which plain C23 does not have. Frame pointers are what
# backtraces follow. Objects overlay frames of memory, so type-based alias
# analysis has nothing true to say. Paths in debug information are relative to
# the top folder.
COMMON_FLAGS := -std=c23 -fgnu-keywords -g -fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
                -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)/= \
                -fdebug-compilation-dir=. $(DEFINES_$(BUILD))

# No floating-point or vector registers: the kernel has none of its own, and a
# user thread that never touches them costs nothing to switch (user.mk, FP).
TARGET_x86_64  := --target=x86_64-none-elf -mgeneral-regs-only
TARGET_aarch64 := --target=aarch64-none-elf -mgeneral-regs-only -mno-outline-atomics -mstrict-align

# -nostdlibinc: the compiler's own headers, and never the host's C library.
FREESTANDING := $(TARGET_$(ARCH)) $(COMMON_FLAGS) -O2 -ffreestanding -nostdlibinc -fno-pic

# An interrupt would destroy the red zone below the kernel's stack pointer.
KERNEL_FLAGS_x86_64  := -mcmodel=kernel -mno-red-zone
KERNEL_FLAGS_aarch64 :=
# The canary is one global word: the kernel has no thread-local storage.
KERNEL_FLAGS := $(FREESTANDING) $(KERNEL_FLAGS_$(ARCH)) \
                -fstack-protector-strong -mstack-protector-guard=global
# A call at a function's end stays a call, so that backtraces show who made it.
USER_FLAGS   := $(FREESTANDING) -fno-optimize-sibling-calls
USER_FLAGS_FP := $(filter-out -mgeneral-regs-only,$(USER_FLAGS))

# --- include roots ----------------------------------------------------------
#
# A layer is compiled with its own roots and no others, so that a wrong include
# is "file not found".

ROOTS_lib      := -Iabi/include -I$(GEN)/include -Ilib/include
# What reads firmware's tables reads other people's formats.
ROOTS_tables   := $(ROOTS_lib) -isystem $(DEPS)/libfdt -isystem $(DEPS)/acpica
TABLE_DEPS     := $(addprefix $(DEPS)/libfdt/,fdt.c fdt_ro.c)
TABLE_SOURCES  := $(wildcard lib/firmware/*.c)
HWTREE_SOURCES := $(wildcard lib/hwtree/*.c)
ROOTS_machine  := $(ROOTS_lib) -Iarch/include -Iarch/$(ARCH)/include
# arch/ sees one folder of the kernel, its entry points, and only that.
ROOTS_arch     := $(ROOTS_machine) -I$(GEN)/arch
ROOTS_hal      := $(ROOTS_machine) -Ihal/include
ROOTS_kernel   := $(ROOTS_machine) -Ihal/include -Ikernel/include -I$(GEN)/kernel
ROOTS_platform := $(ROOTS_machine) -Ihal/include -Ikernel/include -Iplatform/include \
                  -isystem $(DEPS)/acpica
ROOTS_user     := $(ROOTS_lib) -I$(GEN)/user -Iuser/sdk/include -Iuser/sdk/$(ARCH)/include \
                  -isystem $(DEPS)/acpica -isystem $(DEPS)/bearssl/inc \
                  -isystem tools/freestanding

# --- generated headers ------------------------------------------------------
#
# The generators leave a file alone whose text would not change, so that a
# change to a table rebuilds only what it touches; the stamps say that they ran.
# What they write comes by them: make looks at its time once they have run, not before.

ABI_STAMP   := $(GEN)/abi.stamp
PROTO_STAMP := $(GEN)/proto.stamp
GENERATED   := $(ABI_STAMP) $(PROTO_STAMP) $(GEN)/arch/entry

$(ABI_STAMP): abi/abi.toml tools/abigen.py
	@echo >&2 "  GEN   $<"
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tools/abigen.py abi/abi.toml $(GEN)
	@touch $@

$(addprefix $(GEN)/,include/abi/generated.h kernel/handlers.h kernel/decode.inc \
    user/abi_table.h user/sdk/syscalls.h): $(ABI_STAMP) ;

PROTO_TABLES := $(wildcard proto/*.toml)
ifneq ($(PROTO_TABLES),)
$(PROTO_STAMP): tools/protogen.py
endif
$(PROTO_STAMP): $(PROTO_TABLES)
	@mkdir -p $(@D)
	$(if $(PROTO_TABLES),@echo >&2 "  GEN   proto/")
	$(if $(PROTO_TABLES),$(Q)$(PYTHON) tools/protogen.py $(GEN)/user/proto $(PROTO_TABLES))
	@touch $@

$(patsubst proto/%.toml,$(GEN)/user/proto/%.h,$(PROTO_TABLES)): $(PROTO_STAMP) ;

# What the debugger calls things (tools/gdb/skerry.py).
GDB_TABLES := $(GEN)/gdb/skerry_tables.py
GDB_SOURCES := abi/abi.toml kernel/object_types.c kernel/invariants.def $(wildcard kernel/*.h)
$(GDB_TABLES): tools/gdbgen.py $(GDB_SOURCES)
	@echo >&2 "  GEN   $@"
	$(Q)$(PYTHON) tools/gdbgen.py $@ $(GDB_SOURCES)

$(GEN)/arch/entry:
	@mkdir -p $(@D)
	@ln -sfn ../../../kernel/include/entry $@

# --- compiling --------------------------------------------------------------

# What is being done goes to stderr: stdout belongs to `make run CMD=...`.
#
# $(call compile,COMPILER WITH FLAGS): one object, its dependencies beside it.
# -MD, with system headers: lint reads these files too.
define compile
@mkdir -p $(@D)
@echo >&2 "  CC    $(if $(filter build/$(ARCH)-%,$@),$(ARCH) )$<"
$(Q)$(1) -MD -MP -MF $(@:.o=.d) -c $< -o $@
endef

# $(call table_roots,FOLDER,FLAGS): what reads tables, below FOLDER, has roots of its own.
define table_roots
$(1)/lib/firmware/%.o $(1)/lib/hwtree/%.o: ROOTS_lib := $(ROOTS_tables) $(2)
endef

# $(call objects,FOLDER,SOURCES): where the objects of sources go.
objects = $(patsubst %,$(1)/%.o,$(basename $(2)))
