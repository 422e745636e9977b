// SPDX-License-Identifier: MIT
//
// The machine may take a while to go; one that does not go is waited for as long as it might, and its caller
// goes on.
#include <hal/mmio.h>
#include <hal/syscon.h>

#include <arch/arch.h>

constexpr unsigned POLLS = 1'000'000;

struct action {
    volatile void *where; // nullptr: there is none
    uint32_t mask, value;
};
static struct action off_action, reboot_action;
static struct power power;

static void perform(const struct action *action)
{
    const uint32_t kept = mmio_read32(action->where, 0) & ~action->mask;
    mmio_write32(action->where, 0, kept | (action->value & action->mask));
    for (unsigned i = 0; i < POLLS; i++)
        arch_cpu_relax();
}

static void off(void)
{
    perform(&off_action);
}

static void reboot(void)
{
    perform(&reboot_action);
}

static bool take(struct action *action, const struct syscon_write *wanted)
{
    *action = (struct action){.mask = wanted->mask, .value = wanted->value};
    if (wanted->address.value != 0)
        action->where = hal_own(wanted->address, sizeof(uint32_t));
    return action->where != nullptr;
}

const struct power *syscon_power_init(const struct syscon_write *off_by,
                                      const struct syscon_write *reboot_by)
{
    power = (struct power){};
    if (take(&off_action, off_by))
        power.off = off;
    if (take(&reboot_action, reboot_by))
        power.reboot = reboot;
    return power.off != nullptr || power.reboot != nullptr ? &power : nullptr;
}
