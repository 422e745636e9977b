// SPDX-License-Identifier: MIT
//
// What the test programs share. A test program is the whole user space of a machine: it is the
// `init` of its own boot bundle, and starts further processes from its own image.
//
// The first process runs root_main, whose result ends up in the line `END n` before the machine
// is powered off. A child runs child_main with the words that its parent chose. A program of the
// system can be a child too, if a line `// bundle: NAME...` of a test program's main.c puts it into
// the bundle: it finds a start message of init's, and the parent answers at its bootstrap. Everything is
// reported as lines of the kernel's log, which stand on the serial line:
//
//     NAME: ok WHAT          a check that held, with its figures
//     NAME: FAIL WHAT        one that did not; counted, and the result of root_main
//     NAME: END n            the last line; n failures
//
// A child that is started by child_create costs its parent nothing outside the child's account,
// but a few handles; child_end gives all of it back.
#pragma once

#include <stdint.h>

#include <abi/layout.h>
#include <sdk/sdk.h>

// ---- provided by each program

extern const char *const program_name;
void root_main(void);
void child_main(void);

// ---- reporting

extern uint32_t failures; // of this process

[[gnu::format(printf, 1, 2)]] void say(const char *format, ...);
[[gnu::format(printf, 1, 2)]] void failed(const char *format, ...);
[[noreturn, gnu::format(printf, 1, 2)]] void give_up(const char *format, ...);

// For what the test itself needs; anything but OK ends it.
void must(status_t status, const char *what);

// A number from the kernel's command line, `name=value`; `otherwise` if it is not there.
uint64_t command_line_number(const char *name, uint64_t otherwise);

// ---- pseudo-random numbers, from a seed that is printed

struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit);

// ---- children

constexpr unsigned CHILD_WORDS = 8;

struct child_spec {
    const char *name;
    const char *service; // a program of the system, which gets what init gives; null: the own one
    account_t parent;    // who pays; .value 0: the own account
    uint64_t pages, objects, contiguous, priority;
    uint32_t machine_rights; // 0: no machine
    uint32_t text_rights;    // 0: no handle to the VMO of its own code
    bool no_exceptions;      // its faults end it
    handle_t extra;          // the child gets a copy; .value 0: none
    uint32_t extra_rights;
    uint64_t budget_ns, period_ns; // its account's share of each CPU; 0: none
    uint64_t words[CHILD_WORDS];
};

struct child {
    account_t account;
    channel_t exceptions; // our end
    channel_t bootstrap;  // our end
    process_t process;
    aspace_t aspace;
    thread_t thread;
};

// What a child finds.
extern struct child_start {
    uint64_t words[CHILD_WORDS];
    vmo_t text; // its code, as far as text_rights said
    handle_t extra;
} child_start;

// The text segment of the running program: where, and how long.
extern uint64_t text_base, text_bytes;

[[nodiscard]] status_t child_create(struct child *child, const struct child_spec *spec);

// Destroys the account, waits until everything is back, closes the handles.
void child_end(struct child *child);

// ---- figures

struct figures {
    uint64_t pages_used, pages_children, objects_used, objects_children;
    uint64_t contiguous_used, contiguous_children;
    uint64_t frames_free, slots_free, quarantined;
};

void figures_take(struct figures *figures);
bool figures_equal(const struct figures *a, const struct figures *b);
void figures_say(const char *what, const struct figures *figures);

// What object_inspect tells; ends the test if it fails.
void inspect(uint64_t handle, struct abi_inspect *out);
