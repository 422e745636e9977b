// SPDX-License-Identifier: MIT
//
// Values of `state` and `kind` fields in the service protocols.
#pragma once

#include <stdint.h>

// proto/init.toml: service_info
enum service_state : uint32_t {
    SERVICE_STOPPED = 0,  // started by hand or for a device, and not running
    SERVICE_STARTING = 1, // runs, has not said that it is ready
    SERVICE_READY = 2,
    SERVICE_CLEARING = 3, // ended; its account is being taken down
    SERVICE_BACKOFF = 4,  // waits for its next start
    SERVICE_HELD = 5,     // crashed too often; an operator's kill starts it again
};

constexpr uint64_t CPU_UNKNOWN = UINT64_MAX; // service_info

// proto/devices.toml: device_info
enum device_state : uint32_t {
    DEVICE_UNCLAIMED = 0, // no driver matches
    DEVICE_DRIVEN = 1,
    DEVICE_RESETTING = 2, // its driver is gone and it is being made quiet
    DEVICE_FAILED = 3,    // it did not answer its reset, or its driver is held
    DEVICE_LEAVING = 4,   // it is being taken out of its slot: its driver is ended
    DEVICE_GONE = 5,      // it is not in its slot any more
};

// proto/file.toml: open and read_folder
enum file_kind : uint32_t { FILE_KIND_FILE = 1, FILE_KIND_FOLDER = 2, FILE_KIND_OTHER = 3 };
