// SPDX-License-Identifier: MIT
//
// What a driver is started with: the roles of the handles in init's device_start message
// (proto/init.toml). The order of handles is the order of the device's own description: the
// second DEVICE_INTERRUPT is its second interrupt.
#pragma once

#include <stdint.h>

enum device_role : uint8_t {
    DEVICE_NONE = 0,
    DEVICE_REGISTERS = 1, // vmo: a page-aligned window; registers: offsets[i], sizes[i] in it
    DEVICE_IO = 2,        // iorange
    DEVICE_INTERRUPT = 3, // interrupt
    DEVICE_DMA = 4,       // dmaspace
    DEVICE_REPORT = 5,    // vmo: struct driver_report, for devd to read
};
