// SPDX-License-Identifier: MIT
//
// The devices that the kernel itself drives, each behind one interface. The platform finds them
// in the firmware's tables and sets `hal` before it calls kernel_main; nothing changes it later.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>
#include <lib/types.h>

// What hal_irq->claim answers besides a line number.
constexpr uint32_t IRQ_NONE = UINT32_MAX;      // spurious, or nothing pending
constexpr uint32_t IRQ_TIMER = UINT32_MAX - 1; // this CPU's deadline timer
constexpr uint32_t IRQ_IPI = UINT32_MAX - 2;   // a CPU has posted something to this one

// claim, complete and ipi are called on any CPU at any time; everything that names a line, by one
// CPU at a time.
struct irq_controller {
    const char *name;
    uint32_t lines; // line numbers are 0 to lines - 1; messages have lines too

    // Sets up the calling CPU's own part; the boot CPU's came with the controller. nullptr, or why
    // the CPU cannot be used.
    const char *(*cpu_init)(uint32_t cpu);

    // Raises IRQ_IPI on a CPU, by its number; itself included. What was written before is visible
    // to whoever claims it. Never waits for the other CPU.
    void (*ipi)(uint32_t cpu);

    // Takes the interrupt that this CPU is being asked to handle. Each answer but IRQ_NONE is
    // followed by complete(), after the line was masked or its source was quieted.
    uint32_t (*claim)(void);
    void (*complete)(uint32_t line);

    // Whether a driver may own the line: it exists, and the kernel does not use it itself.
    bool (*usable)(uint32_t line);

    // Sets trigger and target (the boot CPU), leaves the line masked.
    void (*configure)(uint32_t line, enum abi_trigger trigger);
    void (*mask)(uint32_t line);
    void (*unmask)(uint32_t line);

    // Message interrupts: takes a free message line and says what a device must write where to
    // raise it. nullptr where the controller takes no messages.
    // `controller` is the registers' address of the part that the device's messages go to (an ITS, a
    // message frame), as the firmware's tables give it; 0: there is only one. `device` is what that
    // part knows the device by (IHI 0069, 5.1: DeviceID); who does not tell devices apart ignores it.
    // `*data` has 16 bits at most. false: none is left, there is no such part, or it has no room for the device or stopped
    // answering.
    bool (*message_allocate)(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                             uint32_t *data);
    void (*message_free)(uint32_t line);
};

// The counter and the one-shot deadline of each CPU. User code can read the same counter.
struct clock_source {
    const char *name;
    uint64_t hz;
    void (*cpu_init)(void); // the calling CPU's timer, quiet; the boot CPU's is
    uint64_t (*ticks)(void);
    // Raises IRQ_TIMER once, at or after the counter reads `ticks`; UINT64_MAX: never. A deadline
    // in the past fires at once. May fire early: the kernel looks at the counter and arms again.
    void (*arm)(uint64_t ticks);
};

// The debug UART, polled, for boot messages and panics.
struct console {
    const char *name;
    uint64_t base, bytes; // physical registers, or port numbers where io_ports is set
    bool io_ports;
    void (*write)(const char *text, size_t bytes);
};

struct power {
    // Neither returns when it works. nullptr: the machine has no way.
    void (*off)(void);
    void (*reboot)(void);
};

// Registers that the kernel drives itself: no driver is ever given a page of them.
struct hal_range {
    uint64_t start, end; // physical, page-aligned outwards
};
constexpr unsigned HAL_OWNED_MAX = 96; // each CPU may have its part of a controller

struct hal {
    const struct irq_controller *irq;
    const struct clock_source *clock;
    const struct console *console; // may be nullptr
    const struct power *power;     // may be nullptr

    // Has a CPU begin at `entry` with `argument`, as arch_cpu_prepare says. false: it is refused.
    // nullptr: the machine offers no way.
    bool (*cpu_start)(uint64_t hardware_id, paddr_t entry, uint64_t argument);

    struct hal_range owned[HAL_OWNED_MAX];
    uint32_t owned_count;
};

extern struct hal hal;

// Maps registers for the kernel's own use and notes them as owned. nullptr: no room is left.
void *hal_own(paddr_t registers, size_t bytes);
