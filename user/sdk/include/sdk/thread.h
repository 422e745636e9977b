// SPDX-License-Identifier: MIT
//
// Threads and their message buffers.
//
// Every stack is STACK_BYTES long and aligned to that, with a page that is never mapped below
// it; its topmost bytes hold struct stack_top. So a thread finds its own message buffer from its
// stack pointer, without thread-local storage.
//
// The message buffer is the only memory of a process that the kernel reads or writes. Whatever
// call writes it (a receive, an inspect, a log line) destroys what it held: copy first.
#pragma once

#include <stdint.h>

#include <sdk/syscalls.h>

constexpr uint64_t STACK_BYTES = 64 * 1024;

struct stack_top {
    void (*function)(void *);
    void *argument;
    struct abi_message_buffer *message_buffer;
    uint64_t zero;
};
static_assert(sizeof(struct stack_top) <= 64);

static inline struct stack_top *stack_top(void)
{
    uintptr_t end = ((uintptr_t)__builtin_frame_address(0) | (STACK_BYTES - 1)) + 1;
    return (struct stack_top *)(end - sizeof(struct stack_top));
}

// The calling thread's message buffer.
static inline struct abi_message_buffer *message_buffer(void)
{
    return stack_top()->message_buffer;
}

// Starts a thread of this process that runs function(argument) and ends when it returns. Its
// stack and buffer stay mapped: threads are made once, at start. `thread` has all rights.
// Errors: those of vmo_create, vm_map, thread_create and thread_start.
[[nodiscard]] status_t thread_spawn(void (*function)(void *), void *argument, uint64_t priority,
                                    thread_t *thread);
