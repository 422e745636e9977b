# SPDX-License-Identifier: MIT
#
# User programs: each folder is one, named after its folder, linked with the
# SDK and lib/ into one static ELF file; then all of them into the boot bundle.

USER_PROGRAMS := $(patsubst %/,%,$(wildcard user/init/ user/devd/ user/drivers/*/ \
                   user/services/*/ user/apps/*/))
# A folder without a source yet is no program.
USER_PROGRAMS := $(strip $(foreach p,$(USER_PROGRAMS),$(if $(wildcard $p/*.c),$p)))

U := $(OUT)/user.o
SDK_OBJECTS := $(call objects,$U,$(TABLE_SOURCES) $(HWTREE_SOURCES) $(wildcard \
                 lib/*.c user/sdk/*.c user/sdk/$(ARCH)/*.c user/sdk/$(ARCH)/*.S))
# What programs may want of other people's code; only what is used is linked.
USER_DEPS_SOURCES := $(addprefix $(DEPS)/bearssl/src/,hash/sha2small.c codec/dec32be.c \
                       codec/enc32be.c) $(TABLE_DEPS)
USER_DEPS_OBJECTS := $(call objects,$U,$(USER_DEPS_SOURCES))
SDK_LIBRARY := $(OUT)/libsdk.a
USER_LD     := user/sdk/user.ld

BUNDLE   := $(OUT)/boot.img
MANIFEST := $(OUT)/system.bin

$U/lib/%.o: lib/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(USER_FLAGS) $(WARNINGS) $(ROOTS_lib))
$(eval $(call table_roots,$U,-isystem tools/freestanding))
$U/user/%.o: user/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(USER_FLAGS) $(WARNINGS) $(ROOTS_user))
$U/user/%.o: user/%.S $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(USER_FLAGS) $(WARNINGS) $(ROOTS_user))
$U/$(DEPS)/%.o: $(DEPS)/%.c $(RULES)
	$(call compile,$(CC) $(USER_FLAGS) -w -isystem $(DEPS)/libfdt -isystem $(DEPS)/bearssl/inc \
	    -isystem $(DEPS)/bearssl/src -isystem tools/freestanding)

$(SDK_LIBRARY): $(SDK_OBJECTS) $(USER_DEPS_OBJECTS)
	@echo >&2 "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# OUT/user/NAME keeps symbols and lines for crash reports; OUT/bundle/NAME is
# what is shipped.
program_objects = $(call objects,$U,$(wildcard $(1)/*.c $(1)/$(ARCH)/*.c $(1)/$(ARCH)/*.S))
define user_program
USER_OBJECTS += $(call program_objects,$(1))
USER_SHIPPED += $(OUT)/bundle/$(notdir $(1))
$(OUT)/user/$(notdir $(1)): $(call program_objects,$(1)) $(SDK_LIBRARY) $(USER_LD)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(LD) -nostdlib -static -T $(USER_LD) -z max-page-size=4096 -z noexecstack -z separate-code \
	    --gc-sections --build-id=none $(call program_objects,$(1)) $(SDK_LIBRARY) -o $$@
endef
$(foreach program,$(USER_PROGRAMS),$(eval $(call user_program,$(program))))

$(OUT)/bundle/%: $(OUT)/user/%
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --strip-all $< $@

# The manifest is checked against the programs that exist.
ifneq ($(and $(wildcard tools/manifest.py),$(wildcard user/system.toml)),)
BUNDLE_MANIFEST := system.bin=$(MANIFEST)
$(BUNDLE): $(MANIFEST)
$(MANIFEST): user/system.toml tools/manifest.py $(USER_SHIPPED) $(GENERATED)
	@echo >&2 "  GEN   $@"
	$(Q)$(PYTHON) tools/manifest.py user/system.toml $@ $(notdir $(USER_PROGRAMS))
endif

$(BUNDLE): $(USER_SHIPPED) tools/bundle.py $(RULES)
	@mkdir -p $(@D)
	@echo >&2 "  IMAGE $@"
	$(Q)$(PYTHON) tools/bundle.py $@ $(foreach f,$(USER_SHIPPED),$(notdir $f)=$f) $(BUNDLE_MANIFEST)

# The disk that `make run` has when it is given none.
DEFAULT_DISK := build/disk.tar
$(DEFAULT_DISK): tools/mkdisk.py
	@mkdir -p $(@D)
	@echo >&2 "  GEN   $@"
	$(Q)$(PYTHON) tools/mkdisk.py --small $@

# Test programs: each folder of tests/programs is the first process of a boot
# bundle of its own, OUT/tests/NAME.img, linked with what all of them share (kit).
# A line `// bundle: NAME...` of its main.c adds programs of the system to it; a line `// build: FILE.c...`
# of any of its sources, sources of theirs to the program.
TEST_KIT      := tests/programs/kit
TEST_PROGRAMS := $(filter-out $(TEST_KIT),$(patsubst %/,%,$(wildcard tests/programs/*/)))
TEST_PROGRAMS := $(strip $(foreach p,$(TEST_PROGRAMS),$(if $(wildcard $p/*.c),$p)))
TEST_OBJECTS  := $(call program_objects,$(TEST_KIT))
ROOTS_test_program := $(ROOTS_user) -Itests/programs -Iuser/drivers

$U/tests/%.o: tests/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(USER_FLAGS) $(WARNINGS) $(ROOTS_test_program))

test_bundle_with = $(addprefix $(OUT)/bundle/,$(shell sed -n 's,^// bundle: ,,p' $(1)/main.c))
test_objects = $(call program_objects,$(1)) $(call program_objects,$(TEST_KIT)) \
               $(call objects,$U,$(filter %.c,$(shell sed -n 's,^// build: ,,p' $(1)/*.c)))
define test_program
TEST_OBJECTS += $(call program_objects,$(1))
TEST_BUNDLES += $(OUT)/tests/$(notdir $(1)).img
$(OUT)/user/$(notdir $(1)): $(call test_objects,$(1)) $(SDK_LIBRARY) $(USER_LD)
	@mkdir -p $$(@D)
	@echo >&2 "  LD    $$@"
	$$(Q)$(LD) -nostdlib -static -T $(USER_LD) -z max-page-size=4096 -z noexecstack -z separate-code \
	    --gc-sections --build-id=none $(call test_objects,$(1)) $(SDK_LIBRARY) -o $$@
$(OUT)/tests/$(notdir $(1)).img: $(OUT)/bundle/$(notdir $(1)) $(call test_bundle_with,$(1)) \
    tools/bundle.py $(RULES)
	@mkdir -p $$(@D)
	@echo >&2 "  IMAGE $$@"
	$$(Q)$(PYTHON) tools/bundle.py $$@ init=$$< \
	    $(foreach f,$(call test_bundle_with,$(1)),$(notdir $f)=$f)
endef
$(foreach program,$(TEST_PROGRAMS),$(eval $(call test_program,$(program))))

# A program with a source that says `// build: fp` may use floating-point and
# vector registers, in its own sources: what it is linked with never does.
FP_SAYS     := $(shell grep -lx '// build: fp' $(foreach p,$(USER_PROGRAMS) $(TEST_PROGRAMS),$p/*.c))
FP_PROGRAMS := $(sort $(patsubst %/,%,$(dir $(FP_SAYS))))
$(foreach p,$(FP_PROGRAMS),$(call program_objects,$p)): USER_FLAGS := $(USER_FLAGS_FP)

.PHONY: test-programs
test-programs: $(KERNEL_ELF) $(KERNEL_IMAGE) $(TEST_BUNDLES)

-include $(USER_OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d) $(SDK_OBJECTS:.o=.d) $(USER_DEPS_OBJECTS:.o=.d)
