// SPDX-License-Identifier: MIT
//
// The devices that a DSDT or SSDT declares, as far as it does so by constants. AML is code, and
// nothing of it runs here: what methods, conditions or computed values would answer stays unknown,
// and so does what comes behind a term that is not understood, up to the end of the scope that
// holds it. Machines made by monitors declare their devices so. Pure; the bytes are untrusted.
//
// Source: ACPI 6.5, 20.2 "AML Grammar Definition", 6.4 "Resource Data Types for ACPI".
#pragma once

#include <hwtree/hwtree.h>
#include <stdint.h>

constexpr unsigned AML_RANGES = 4;
constexpr unsigned AML_INTERRUPTS = 2;
constexpr unsigned AML_WINDOWS = 8;

struct aml_range {
    uint64_t base, bytes;
    bool io; // I/O ports
};

struct aml_interrupt {
    uint64_t line; // a global system interrupt
    enum hwtree_trigger trigger;
    enum hwtree_polarity polarity;
};

struct aml_device {
    char name[5]; // its last part
    char hid[16]; // "PNP0501", "LNRO0005"; never empty
    struct aml_range ranges[AML_RANGES];
    struct aml_interrupt interrupts[AML_INTERRUPTS];
    struct hwtree_window windows[AML_WINDOWS]; // what a bridge passes on
    uint8_t range_count, interrupt_count, window_count;
    bool coherent;         // its DMA sees the caches
    uint32_t segment, bus; // of a PCI host
    const uint8_t *routes; // the elements of its _PRT
    uint64_t routes_bytes;
};

// Calls `found` for each device that has an id and is not said to be absent, in their order; those
// within a device before it. The bytes are those behind the table's header.
void aml_devices(const void *bytes, uint64_t count,
                 void (*found)(void *context, const struct aml_device *device), void *context);

// Where pin `pin` (0 to 3) of all functions of a device of a host's bus leads.
struct aml_route {
    uint32_t device;
    uint32_t pin;
    char link[5];  // the last part of the name of the device whose first interrupt it is, or empty:
    uint32_t line; // this global system interrupt
};

// Calls `found` for each row of a host's _PRT (6.2.13) that is made of constants.
void aml_routes(const struct aml_device *host,
                void (*found)(void *context, const struct aml_route *route), void *context);
