// SPDX-License-Identifier: MIT
//
// Walks the kernel's frame records: x29 points to { caller's x29, return address }.
#include "mapping.h"

constexpr unsigned BACKTRACE_FRAMES = 64;

static bool in_stack(uint64_t address, uint64_t bottom, uint64_t top)
{
    return address >= bottom && address + 16 <= top;
}

void arch_backtrace(uint64_t frame_pointer, void (*visit)(uint64_t pc, void *argument),
                    void *argument)
{
    const struct arch_percpu *self = arch_cpu_self();
    uint64_t frame = frame_pointer != 0 ? frame_pointer : (uint64_t)__builtin_frame_address(0);
    uint64_t bottom = self->stack_bottom, top = self->stack_top;
    if (!in_stack(frame, bottom, top)) {
        top = self->emergency_top;
        bottom = top - LAYOUT_EMERGENCY_BYTES;
    }
    for (unsigned i = 0; i < BACKTRACE_FRAMES; i++) {
        if (frame % 8 != 0 || !in_stack(frame, bottom, top))
            return;
        const uint64_t *record = (const uint64_t *)frame;
        if (record[1] == 0)
            return;
        visit(record[1], argument);
        bottom = frame + 16; // callers are further up, so this ends
        frame = record[0];
    }
}
