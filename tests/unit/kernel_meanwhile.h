// SPDX-License-Identifier: MIT
//
// What another CPU does in the middle of a call, at a chosen place: two threads of one process on CPU 0 and
// CPU 1, and an object that goes.
#pragma once

#include "kernel_world.h"

extern struct actor *user, *other; // on CPU 0 and CPU 1
extern uint64_t victim, event, port, machine;

void begin_with(uint32_t asids);
void begin(void);

// The other one destroys the victim, which must be possible, or need not, or closes it, too.
void it_goes(void);
void it_goes_as_far_as_it_can(void);
void it_goes_for_good(void);

// For on_cpu, which looks into the inbox besides.
void nothing(void);

#define EXPECT_MEANWHILE(wanted, function, nth, what, name, ...) \
    do {                                                         \
        meanwhile((void *)(function), nth, what);                \
        EXPECT_CALL(wanted, user, name, __VA_ARGS__);            \
        EXPECT(meanwhile_happened());                            \
        settle();                                                \
        EXPECT_EQUAL(user->process->handles_reserved, 0);        \
        world_check();                                           \
    } while (0)
// At the nth lock of an object, the victim is gone.
#define EXPECT_GONE(nth, name, ...) \
    EXPECT_MEANWHILE(GONE, object_lock, nth, it_goes, name, __VA_ARGS__)
