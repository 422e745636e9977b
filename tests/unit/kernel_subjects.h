// SPDX-License-Identifier: MIT
//
// An object of each type in each state that a handle can name: the caller is held as the running thread, and
// what would end the state waits behind it.
#pragma once

#include "channel.h"
#include "dma.h"
#include "handlers.h"
#include "interrupt.h"
#include "kernel_world.h"

struct subject {
    const char *name;
    enum abi_object type;
    unsigned state;
    status_t destroyed; // what object_destroy answers
    uint32_t raised;    // signals that come: sooner or later, when it is destroyed
};

constexpr uint32_t NEVER_RAISED = 1 << 5;
constexpr uint64_t DEVICE = 7, BUFFER = 0x4000'0000;

extern const struct subject subjects[];
extern const struct subject *subject; // the one of this world
extern uint64_t it;                   // a handle to it, in the table of `a`
extern uint64_t its_process;          // of a thread or an address space
extern uint64_t machine, end1;        // the other end of a channel
extern uint64_t its_payer;            // the account of `a`, in the boss's table
extern struct actor *a, *sibling;     // of one process; `a` is held

uint64_t new_thread(uint64_t cpu);
struct actor *actor_behind(uint64_t handle);
unsigned state_of_it(void);

// A world with `a` held and the subject in its state, for which `waiters` others wait. `prepare` is done
// while `a` is not held yet; nullptr: nothing is.
void begin_subject(unsigned waiters, void (*prepare)(void));
void end_subject(void);

void expect(status_t got, status_t wanted, const char *what);

// A world for each subject, or for each of a type.
void for_each_subject(unsigned waiters, void (*try)(void));
void for_each_of(enum abi_object type, void (*prepare)(void), void (*try)(void));
