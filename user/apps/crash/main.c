// SPDX-License-Identifier: MIT
//
// Crashes in the way that its argument names: to see that a fault is reported, cleared away and
// hurts nobody else. Ends with code 0 if it knows no such way, which the shell reports.
#include "instructions.h"

#include <sdk/sdk.h>

// An address of the kernel's half; nothing is ever mapped there for a program.
constexpr uintptr_t KERNEL_ADDRESS = 0xffff'8000'0010'0000;
constexpr unsigned DEPTH_MAX = 1'000'000;

static volatile uint64_t sink;

static void read_address(uintptr_t address)
{
    sink = *(const volatile uint64_t *)address;
}

static void crash_null(void)
{
    read_address(0);
}

static void crash_kernel(void)
{
    read_address(KERNEL_ADDRESS);
}

static void crash_write(void)
{
    *(volatile uint64_t *)(uintptr_t)crash_null = 1; // its own code is not writable
}

static void crash_execute(void)
{
    static uint32_t data[4];
    void (*jump)(void) = (void (*)(void))(uintptr_t)data;
    jump();
}

static uint64_t recurse(unsigned depth)
{
    volatile uint64_t frame[32];
    frame[depth % 32] = depth;
    return depth == DEPTH_MAX ? 0 : recurse(depth + 1) + frame[(depth + 1) % 32];
}

static void crash_stack(void)
{
    sink = recurse(0);
}

static void spin(void *argument)
{
    (void)argument;
    for (;;)
        sink = sink + 1;
}

// No crash either: what a share of the CPUs is for. On each of them, all the time.
static void crash_spin(void)
{
    thread_t thread;
    for (uint64_t cpu = 0; thread_spawn(spin, nullptr, start.priority, &thread) == STATUS_OK; cpu++)
        if (thread_set_cpu(thread, cpu) != STATUS_OK)
            break; // one too many
    spin(nullptr);
}

// Not a crash by itself: what a heartbeat is for.
static void crash_hang(void)
{
    for (;;)
        (void)thread_sleep(ABI_DEADLINE_NEVER);
}

int main(const char *argument)
{
    static const struct {
        const char *name;
        void (*crash)(void);
    } ways[] = {
        {"null", crash_null},
        {"kernel", crash_kernel},
        {"write", crash_write},
        {"execute", crash_execute},
        {"stack", crash_stack},
        {"undefined", instruction_undefined},
        {"privileged", instruction_privileged},
        {"breakpoint", instruction_breakpoint},
        {"hang", crash_hang},
        {"spin", crash_spin},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
        if (strcmp(ways[i].name, argument) == 0)
            ways[i].crash();
    return 0;
}
