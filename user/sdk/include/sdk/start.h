// SPDX-License-Identifier: MIT
//
// What a program starts with. The code that runs before main receives the start message on the
// bootstrap channel and fills `start` from it; main gets the argument string.
//
// Handles arrive by role, exactly those that system.toml declares; .value is 0 for the others.
#pragma once

#include <stdint.h>

#include <sdk/syscalls.h>

enum start_role : uint8_t { // the order is that of the names in tools/manifest.py
    ROLE_ACCOUNT = 1,       // its own: CHARGE, INSPECT
    ROLE_ASPACE = 2,        // its own: MAP
    ROLE_PROCESS = 3,       // its own: CHARGE, INSPECT
    ROLE_LOG = 4,           // WRITE, and READ where the manifest says so
    ROLE_MACHINE = 5,       // MINT, INSPECT
    ROLE_DISK = 6, // the file `disk` of the boot bundle, which may not be there: READ, MAP, INSPECT
    ROLE_COUNT,
};

constexpr unsigned START_ARGUMENT_BYTES = 256;

struct start {
    channel_t bootstrap; // to init: <proto/init.h>
    account_t account;
    aspace_t aspace;
    process_t process;
    log_t log;
    machine_t machine;
    vmo_t disk;
    uint64_t priority;     // of the first thread
    uint64_t remembered;   // what the incarnation before left with init_remember; 0 at first
    uint64_t heartbeat_ns; // how often init wants to hear of us; 0: never (sdk/loop.h sends it)
    char name[16];         // of the service, from the manifest
    char argument[START_ARGUMENT_BYTES];
};

extern struct start start;

// The program. Returning ends the process with that code.
int main(const char *argument);

// Nanoseconds since boot.
uint64_t now_ns(void);

constexpr uint64_t NS_PER_MS = 1'000'000;
constexpr uint64_t NS_PER_S = 1'000'000'000;

// Writes one line (at most 255 bytes) to the kernel's log, as "name: text". Uses the message
// buffer.
[[gnu::format(printf, 1, 2)]] void log_line(const char *format, ...);

// The name of a status, a kernel's or a protocol's: "NO_PAGES", "file: END". Never null.
const char *status_name(status_t status);

// For what cannot go on: logs the text and ends the process with code 1.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char *format, ...);
