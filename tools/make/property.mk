# SPDX-License-Identifier: MIT
#
# Random sequences against the model of the small worlds (tests/property): one more host test, built
# as the worlds are, whose model and harness it has.

PROPERTY_OBJECTS := $(call objects,$W,$(wildcard tests/property/*.c)) \
                    $(filter-out $W/tests/worlds/search.o $W/tests/worlds/world_%,$(WORLDS_OBJECTS))
HOST_TESTS += $H/bin/test_property

$(call objects,$W,$(wildcard tests/property/*.c)): ROOTS_worlds += -Itests/property

$H/bin/test_property: $(PROPERTY_OBJECTS)
	@mkdir -p $(@D)
	@echo >&2 "  LD    $@"
	$(Q)$(CC) -fuse-ld=lld $^ -o $@

host-tests: $H/bin/test_property

-include $(patsubst %.c,$W/%.d,$(wildcard tests/property/*.c))
