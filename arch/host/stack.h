// SPDX-License-Identifier: MIT
//
// Stacks to run on, and the switch between them. Written by hand where the host is x86_64: the C
// library's swapcontext makes a system call for the signal mask each time.
#pragma once

#include <stddef.h>

struct stack {
    void *base; // lowest address; nullptr: the program's own stack
    size_t bytes;
    void *saved; // where it stopped
    void *fake;  // the address sanitizer's
};

// Makes `stack` run `entry`, which must not return, when it is first switched to.
void stack_prepare(struct stack *stack, void (*entry)(void));

// Stops running on `from` and goes on where `to` stopped.
void stack_switch(struct stack *from, struct stack *to);

// The first thing that a new stack's entry does. `from`: the stack that switched to it.
void stack_entered(struct stack *from);
