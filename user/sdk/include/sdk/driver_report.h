// SPDX-License-Identifier: MIT
//
// One page that a driver writes and devd reads: what devd can say about a driver that has died.
// It is an allegation, and nothing is decided by it but what is printed and, for tests, where the
// next start is to fail.
#pragma once

#include <stdint.h>

constexpr unsigned DRIVER_FAULT_BYTES = 32;

struct driver_report {
    uint64_t in_flight; // requests that the device has and has not answered
    uint64_t completed; // requests that it answered since the driver started
    // A fault point (docs/drivers.md) that devd passes on, once, to the driver's next start.
    char next_fault[DRIVER_FAULT_BYTES];
};
