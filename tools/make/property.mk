# SPDX-License-Identifier: MIT
#
# Random sequences against the model of the small worlds (tests/property): one more host test, built
# as the worlds are, whose model and harness it has. The kernel is compiled with the function hooks
# where simulated CPUs are interleaved (arch/host/host.h).

PROPERTY := build/property
PROPERTY_KERNEL := $(call objects,$(PROPERTY),$(KERNEL_SOURCES))
PROPERTY_TESTS := $(call objects,$W,$(wildcard tests/property/*.c))
PROPERTY_OBJECTS := $(PROPERTY_TESTS) $(PROPERTY_KERNEL) \
                    $(filter-out $W/kernel/% $W/tests/worlds/search.o $W/tests/worlds/world_%, \
                      $(WORLDS_OBJECTS))
HOST_TESTS += $H/bin/test_property

$(PROPERTY_TESTS): ROOTS_worlds += -Itests/property
$(PROPERTY)/kernel/%.o: kernel/%.c $(RULES) | $(GENERATED)
	$(call compile,$(CC) $(WORLDS_FLAGS) $(WARNINGS) $(ROOTS_host_kernel) -finstrument-functions)

$H/bin/test_property: $(PROPERTY_OBJECTS)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld $^ -o $@

host-tests: $H/bin/test_property

-include $(PROPERTY_TESTS:.o=.d) $(PROPERTY_KERNEL:.o=.d)
