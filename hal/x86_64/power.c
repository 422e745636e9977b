// SPDX-License-Identifier: MIT
//
// Power by ACPI registers: see power.h. Power-off takes effect some time after the write.
#include <hal/x86_64/power.h>

#include <arch/arch.h>
#include <arch/instructions.h>

constexpr uint16_t PM1_SCI_ENABLE = 1u << 0;
constexpr uint16_t PM1_SLEEP_TYPE = 7u << 10;
constexpr uint16_t PM1_SLEEP_ENABLE = 1u << 13;
constexpr uint8_t SLEEP_CONTROL_ENABLE = 1u << 5;
constexpr unsigned SLEEP_CONTROL_TYPE_SHIFT = 2;
constexpr unsigned POLLS = 1'000'000;

static struct acpi_power_config config; // immutable after boot
// Where these registers are in memory.
static volatile uint8_t *reset_register, *sleep_register;

// ACPI mode is what makes PM1 control work on real machines.
static void acpi_mode_enter(void)
{
    if (config.smi_command == 0 || config.acpi_enable == 0 ||
        (port_read16(config.pm1a_control) & PM1_SCI_ENABLE) != 0)
        return;
    port_write8(config.smi_command, config.acpi_enable);
    for (unsigned i = 0; i < POLLS; i++)
        if ((port_read16(config.pm1a_control) & PM1_SCI_ENABLE) != 0)
            return;
}

static void sleep_write(uint16_t port)
{
    if (port == 0)
        return;
    const uint16_t kept = port_read16(port) & (uint16_t)~(PM1_SLEEP_TYPE | PM1_SLEEP_ENABLE);
    const uint16_t value = (uint16_t)(kept | config.sleep_type << 10);
    port_write16(port, value);
    port_write16(port, value | PM1_SLEEP_ENABLE);
}

static void wait_a_while(void)
{
    for (unsigned i = 0; i < POLLS; i++)
        arch_cpu_relax();
}

static void power_off(void)
{
    const uint8_t reduced =
        (uint8_t)(SLEEP_CONTROL_ENABLE | config.sleep_type << SLEEP_CONTROL_TYPE_SHIFT);
    if (config.pm1a_control != 0) {
        acpi_mode_enter();
        sleep_write(config.pm1a_control);
        sleep_write(config.pm1b_control);
    } else if (sleep_register != nullptr) {
        *sleep_register = reduced;
    } else if (config.sleep_control != 0 && config.sleep_is_port) {
        port_write8((uint16_t)config.sleep_control, reduced);
    } else {
        return;
    }
    arch_halt();
}

// The register of the FADT, then the one of most chip sets, then what every processor does when
// an exception, and the exceptions of that, find no handler.
static void power_reboot(void)
{
    if (config.has_reset && config.reset_is_port)
        port_write8((uint16_t)config.reset_address, config.reset_value);
    else if (reset_register != nullptr)
        *reset_register = config.reset_value;
    wait_a_while();

    constexpr uint8_t hard_reset = 0x02, pulse = 0x04;
    port_write8(config.reset_control, hard_reset);
    port_write8(config.reset_control, hard_reset | pulse);
    wait_a_while();

    static const struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } no_handlers = {};
    asm volatile("lidt %0\n\tint3" ::"m"(no_handlers));
    arch_halt();
}

const struct power acpi_power = {.off = power_off, .reboot = power_reboot};

void acpi_power_init(const struct acpi_power_config *given)
{
    config = *given;
    if (config.has_reset && !config.reset_is_port)
        reset_register = arch_device_map((paddr_t){config.reset_address}, 1, ARCH_MEMORY_DEVICE);
    if (config.sleep_control != 0 && !config.sleep_is_port)
        sleep_register = arch_device_map((paddr_t){config.sleep_control}, 1, ARCH_MEMORY_DEVICE);
}
