// SPDX-License-Identifier: MIT
//
// The FADT (ACPI 6.5, 5.2.9) and the HPET's table: reference timer, power-off, reset.
#include "machine.h"

#include <lib/acpi_tables.h>

#include "isa_facts.h"

// Older FADTs are shorter; what they lack reads as zero.
static bool fadt_read(struct acpi_tables *acpi, struct acpi_table_fadt *fadt)
{
    constexpr size_t first_version = offsetof(struct acpi_table_fadt, reset_register);
    const struct acpi_piece table = acpi_find(acpi, ACPI_SIG_FADT, first_version);
    if (table.at == nullptr || !acpi_copy(&table, fadt, sizeof(*fadt), first_version))
        return false;
    if ((fadt->flags & ACPI_FADT_HW_REDUCED) != 0)
        // ACPI 6.5, 4.1: there is no fixed hardware.
        fadt->pm1a_control_block = fadt->pm_timer_block = 0;
    return true;
}

// The extended block wins where it is a port; 0: there is none.
static uint16_t port_of(const struct acpi_generic_address *extended, uint32_t legacy)
{
    if (extended->address != 0 && extended->space_id == ACPI_ADR_SPACE_SYSTEM_IO &&
        extended->address <= UINT16_MAX)
        return (uint16_t)extended->address;
    return legacy <= UINT16_MAX ? (uint16_t)legacy : 0;
}

void machine_power(struct acpi_tables *acpi, struct acpi_power_config *config)
{
    *config = (struct acpi_power_config){
        .sleep_type = ISA_SOFT_OFF_TYPE,
        .reset_control = ISA_RESET_CONTROL,
    };
    struct acpi_table_fadt fadt;
    if (!fadt_read(acpi, &fadt))
        return;
    config->pm1a_control = port_of(&fadt.xpm1a_control_block, fadt.pm1a_control_block);
    config->pm1b_control = port_of(&fadt.xpm1b_control_block, fadt.pm1b_control_block);
    config->smi_command = fadt.smi_command <= UINT16_MAX ? (uint16_t)fadt.smi_command : 0;
    config->acpi_enable = fadt.acpi_enable;
    const struct acpi_generic_address *sleep = &fadt.sleep_control;
    if ((fadt.flags & ACPI_FADT_HW_REDUCED) != 0 &&
        (sleep->space_id == ACPI_ADR_SPACE_SYSTEM_MEMORY ||
         (sleep->space_id == ACPI_ADR_SPACE_SYSTEM_IO && sleep->address <= UINT16_MAX))) {
        config->sleep_type = ISA_REDUCED_SOFT_OFF_TYPE;
        config->sleep_control = sleep->address;
        config->sleep_is_port = sleep->space_id == ACPI_ADR_SPACE_SYSTEM_IO;
    }

    const struct acpi_generic_address *reset = &fadt.reset_register;
    if ((fadt.flags & ACPI_FADT_RESET_REGISTER) == 0 || reset->address == 0)
        return;
    const bool is_port = reset->space_id == ACPI_ADR_SPACE_SYSTEM_IO;
    if (is_port ? reset->address > UINT16_MAX : reset->space_id != ACPI_ADR_SPACE_SYSTEM_MEMORY)
        return;
    config->has_reset = true;
    config->reset_is_port = is_port;
    config->reset_address = reset->address;
    config->reset_value = fadt.reset_value;
}

bool machine_reference(struct acpi_tables *acpi, struct clock_reference *reference)
{
    struct acpi_table_hpet hpet;
    const struct acpi_piece table = acpi_find(acpi, ACPI_SIG_HPET, sizeof(hpet));
    if (table.at != nullptr && acpi_copy(&table, &hpet, sizeof(hpet), sizeof(hpet)) &&
        hpet.address.space_id == ACPI_ADR_SPACE_SYSTEM_MEMORY && hpet.address.address != 0) {
        if (reference_hpet((paddr_t){hpet.address.address}, reference))
            return true;
        klog("ACPI: the HPET at 0x%lx is not used: nothing there counts", hpet.address.address);
    }

    struct acpi_table_fadt fadt;
    if (fadt_read(acpi, &fadt)) {
        const uint16_t port = port_of(&fadt.xpm_timer_block, fadt.pm_timer_block);
        if (port != 0 &&
            reference_pm_timer(port, (fadt.flags & ACPI_FADT_32BIT_TIMER) != 0, reference))
            return true;
    }
    return reference_i8254(ISA_I8254, reference) || reference_stated(reference);
}
