// SPDX-License-Identifier: MIT
//
// The last words: a bug of ours, or a machine that cannot be used. Says what and where, with a
// backtrace whose addresses the run tool turns into names, and stops.
#include <arch/arch.h>
#include <entry/entry.h>
#include <hal/hal.h>
#include <lib/format.h>
#include <stdarg.h>

#include "check.h"
#include "cpu.h"
#include "log.h"
#include "process.h"
#include "thread.h"

struct counter invariant_evaluations[ABI_INVARIANTS];

static const struct {
    const char *name, *text;
} invariants[INVARIANT_COUNT] = {
#define INVARIANT(name, text) {#name, text},
#include "invariants.def"
#undef INVARIANT
};

static _Atomic uint32_t panicking; // CPU + 1

static void print_frame(uint64_t pc, void *argument)
{
    unsigned *depth = argument;
    klog("  #%u {{ra:0x%lx:kernel}}", (*depth)++, (unsigned long)pc);
}

void panic_stop_here(void)
{
    if (atomic_load_explicit(&panicking, memory_order_relaxed))
        arch_halt();
}

// Only the first panic is told in full; one that happens on the way is one line. The other CPUs
// stop, so that nothing goes on with what may be wrong, and nothing is written in between.
static void begin(void)
{
    uint32_t self = cpu_count() > 0 ? cpu_self()->number + 1 : 1, first = 0;
    if (!atomic_compare_exchange_strong(&panicking, &first, self)) {
        static const char again[] = "\nPANIC inside a panic\n";
        if (hal.console && first == self)
            hal.console->write(again, sizeof again - 1);
        arch_halt();
    }
    log_emergency();
    for (uint32_t i = 0; i < cpu_count(); i++)
        if (i + 1 != self)
            hal.irq->ipi(i);
}

[[noreturn]] static void finish(uint64_t frame_pointer)
{
    unsigned depth = 0;
    arch_backtrace(frame_pointer, print_frame, &depth);
    struct cpu *cpu = cpu_count() > 0 ? cpu_self() : nullptr;
    if (cpu && cpu->current)
        klog("  on CPU %u, while running thread %lu of process '%s'", cpu->number,
             (unsigned long)cpu->current->object.id,
             cpu->current->process ? cpu->current->process->name : "?");
    klog("PANIC: the machine is stopped");
    if (hal.power && hal.power->reboot && !dev_build)
        hal.power->reboot();
    arch_halt();
}

void panic(const char *format, ...)
{
    begin();
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    format_text_v(text, sizeof text, format, arguments);
    va_end(arguments);
    klog("PANIC: %s", text);
    finish(0);
}

void invariant_failed(enum invariant invariant, const char *condition, const char *file,
                      unsigned line)
{
    panic("invariant %s (%s) does not hold: %s (%s:%u)", invariants[invariant].name,
          invariants[invariant].text, condition, file, line);
}

void entry_kernel_fault(const char *what, uint64_t pc, uint64_t address, uint64_t code,
                        uint64_t frame_pointer)
{
    begin();
    klog("PANIC: %s in the kernel at {{pc:0x%lx:kernel}}, address 0x%lx, code 0x%lx", what,
         (unsigned long)pc, (unsigned long)address, (unsigned long)code);
    finish(frame_pointer);
}

// The compiler's stack protector.
uintptr_t __stack_chk_guard = 0x5f3c'a1d9'77e2'4b00;
[[noreturn]] void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("a kernel stack frame was overwritten");
}
