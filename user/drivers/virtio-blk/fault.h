// SPDX-License-Identifier: MIT
//
// Fault points: named places at which a test can make the driver crash, so that each step of
// start, attach, submit and complete is shown to be a step that the system survives. They exist
// only where the manifest gives the driver the argument "faults"; otherwise none can be armed.
#pragma once

#include <stdint.h>

#include <sdk/driver_report.h>

enum fault_point : uint32_t {
    FAULT_NONE,
    // start
    FAULT_START_RESET,    // the device has answered its reset
    FAULT_START_FEATURES, // features are agreed
    FAULT_START_QUEUE,    // the queue is enabled
    FAULT_START_RUN,      // the device runs, nobody is served yet
    // attach
    FAULT_ATTACH_MAP, // the client's ring is mapped
    FAULT_ATTACH_PIN, // its data is pinned
    // submit
    FAULT_SUBMIT_TAKE,    // a request was taken from the ring
    FAULT_SUBMIT_ADD,     // its descriptors are written, the index is not
    FAULT_SUBMIT_PUBLISH, // the index is written, the device is not notified
    FAULT_SUBMIT_NOTIFY,  // the device is notified
    // complete
    FAULT_COMPLETE_INTERRUPT,   // the interrupt came, nothing was done
    FAULT_COMPLETE_TAKE,        // a used buffer was taken
    FAULT_COMPLETE_PUSH,        // its completion is in the ring, the doorbell is not raised
    FAULT_COMPLETE_DOORBELL,    // the doorbell is raised
    FAULT_COMPLETE_ACKNOWLEDGE, // the interrupt was acknowledged
    FAULT_POINTS,
};

// Those up to here are passed only while a driver starts and its clients come back to it.
constexpr enum fault_point FAULT_LAST_OF_START = FAULT_ATTACH_PIN;

// Crashes here if this point is armed and due.
void fault_here(enum fault_point point);

// Arms a point by name. A point of the start goes into the report, for the next start, and the
// driver crashes at once. false: no such point.
[[nodiscard]] bool fault_arm(const char *name, uint64_t after, struct driver_report *report);

// Arms a start point in this start.
void fault_arm_start(const char *name);
