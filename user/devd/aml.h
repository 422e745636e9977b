// SPDX-License-Identifier: MIT
//
// The devices that a DSDT or SSDT declares, as far as it does so by constants. AML is code, and
// nothing of it runs here: what methods, conditions or computed values would answer stays unknown,
// and so does what comes behind a term that is not understood, up to the end of the scope that
// holds it. Machines made by monitors declare their devices so. Pure; the bytes are untrusted.
//
// Source: ACPI 6.5, 20.2 "AML Grammar Definition", 6.4 "Resource Data Types for ACPI".
#pragma once

#include <stdint.h>

#include <abi/layout.h>

constexpr unsigned AML_RANGES = 4;
constexpr unsigned AML_INTERRUPTS = 2;

struct aml_range {
    uint64_t base, bytes;
    bool io; // I/O ports
};

struct aml_interrupt {
    uint64_t line; // a global system interrupt
    enum abi_trigger trigger;
};

struct aml_device {
    char name[5]; // its last part
    char hid[16]; // "PNP0501", "LNRO0005"; never empty
    struct aml_range ranges[AML_RANGES];
    struct aml_interrupt interrupts[AML_INTERRUPTS];
    uint8_t range_count, interrupt_count;
};

// Calls `found` for each device that has an id and is not said to be absent, in their order. The
// bytes are those behind the table's header.
void aml_devices(const void *bytes, uint64_t count,
                 void (*found)(void *context, const struct aml_device *device), void *context);
