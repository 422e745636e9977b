// SPDX-License-Identifier: MIT
//
// Caches, I/O ports, and walking the kernel's stack: what is short here.
#include <arch/arch.h>
#include <arch/instructions.h>

uint32_t arch_asid_limit(void)
{
    return 0;
}

// Instruction fetch is coherent with stores; the way to the new code is a serialising return.
void arch_code_sync(void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
}

// Devices snoop the caches. What remains is order: a full fence, since a doorbell may be a store
// to memory that is not cached.
void arch_dma_clean(const void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
    asm volatile("mfence" ::: "memory");
}

void arch_dma_invalidate(const void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
    asm volatile("mfence" ::: "memory");
}

bool arch_device_probe(const volatile uint32_t *at, uint32_t *value)
{
    *value = *at;
    return *value != UINT32_MAX;
}

bool arch_has_io_ports(void)
{
    return true;
}

uint32_t arch_io_read(uint16_t port, unsigned width)
{
    switch (width) {
    case 1:
        return port_read8(port);
    case 2:
        return port_read16(port);
    default:
        return port_read32(port);
    }
}

void arch_io_write(uint16_t port, unsigned width, uint32_t value)
{
    switch (width) {
    case 1:
        port_write8(port, (uint8_t)value);
        break;
    case 2:
        port_write16(port, (uint16_t)value);
        break;
    default:
        port_write32(port, value);
    }
}

// The part of a kernel stack from `frame` on, if a frame can be there; 0: it cannot.
static uint64_t stack_end(const struct arch_percpu *self, uint64_t frame)
{
    const uint64_t fault_end = (uint64_t)self->fault_stack + sizeof(self->fault_stack);
    if (frame % 8 != 0)
        return 0;
    if (frame >= self->stack_top - ARCH_STACK_BYTES && frame + 16 <= self->stack_top)
        return self->stack_top;
    if (frame >= (uint64_t)self->fault_stack && frame + 16 <= fault_end)
        return fault_end;
    const uint64_t boot_top = (uint64_t)arch_boot_stack_top;
    if (frame >= boot_top - ARCH_STACK_BYTES && frame + 16 <= boot_top)
        return boot_top;
    return 0;
}

void arch_backtrace(uint64_t frame_pointer, void (*visit)(uint64_t pc, void *argument),
                    void *argument)
{
    uint64_t frame = frame_pointer != 0 ? frame_pointer : (uint64_t)__builtin_frame_address(0);
    const uint64_t end = stack_end(arch_cpu_self(), frame);
    // A frame is the caller's frame pointer, then the return address. Each is above the last.
    while (frame + 16 <= end && frame % 8 == 0) {
        const uint64_t *words = (const uint64_t *)frame;
        visit(words[1], argument);
        if (words[0] <= frame)
            return;
        frame = words[0];
    }
}
