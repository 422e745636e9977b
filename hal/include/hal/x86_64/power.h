// SPDX-License-Identifier: MIT
//
// Power-off and reset by the registers that the FADT names (ACPI 6.5, 4.8.3 and 5.2.9), and by
// what every PC has where it names none.
#pragma once

#include <hal/hal.h>

struct acpi_power_config {
    // Port numbers; 0: there is none.
    uint16_t pm1a_control, pm1b_control;
    uint16_t smi_command;
    uint8_t acpi_enable; // what SMI_COMMAND takes to hand over to us; 0: nothing needs to be handed
    uint8_t sleep_type;  // SLP_TYP of soft off

    // The sleep control register of machines without PM1 control (ACPI 6.5, 4.8.3.7); 0: there is
    // none.
    uint64_t sleep_control;
    bool sleep_is_port;

    bool has_reset, reset_is_port;
    uint64_t reset_address;
    uint8_t reset_value;

    uint16_t reset_control; // the chip set's reset control register
};

void acpi_power_init(const struct acpi_power_config *config);

extern const struct power acpi_power;
