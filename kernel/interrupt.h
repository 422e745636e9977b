// SPDX-License-Identifier: MIT
//
// Interrupt objects and their dispatch; see interrupt.c.
#pragma once

#include "storm.h"

struct cpu;

enum interrupt_state : uint8_t {
    INTERRUPT_IDLE,
    INTERRUPT_PENDING, // raised, told, not yet acknowledged
    INTERRUPT_AGAIN,   // raised once more since
    INTERRUPT_STATES,
};

// How a device's message is switched on and off.
struct message_source {
    volatile uint32_t *word;
    uint32_t on, off; // what it is then
    bool forgets;     // the device does not keep what comes while it is off
};

struct interrupt {
    struct object object; // its lock guards all of this
    uint32_t line;        // IRQ_NONE until it is filed
    enum abi_trigger trigger;
    uint32_t cpu; // that took it last
    bool message;
    struct message_source source; // of a message
    struct tree_node vector;      // where it is programmed, guarded by the machine's lock
    uint64_t count, acknowledged;
    struct storm storm;
};
OBJECT_BODY(interrupt);

size_t interrupts_table_bytes(void);
void interrupts_init(void *table);

// Handles what the controller has for this CPU, a bounded number.
void interrupts_dispatch(struct cpu *cpu);

// Whether its source, the line or the device's vector, is silent besides what its state asks for: while it
// is put aside. The interrupt is locked.
void interrupt_quieten(struct interrupt *interrupt, bool quiet);

enum step interrupt_teardown(struct object *object);
void interrupt_inspect(struct object *object, struct abi_inspect *out);
