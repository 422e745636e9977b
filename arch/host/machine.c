// SPDX-License-Identifier: MIT
//
// The devices of the simulated machine, the rest of <arch/arch.h>, and `hal`.
#include <hal/hal.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"

void host_cpus_reset(void);
void host_mmu_reset(size_t ram_bytes, uint32_t limit);

void (*host_on_halt)(void);
void (*host_on_context)(void *context, size_t bytes);

// ---- console and power

char host_console[1 << 16];
size_t host_console_bytes;
unsigned host_power_calls;

static void console_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && host_console_bytes + 1 < sizeof host_console; i++)
        host_console[host_console_bytes++] = text[i];
}

static void power_called(void)
{
    host_power_calls++;
}

// ---- clock

uint64_t host_ticks;
static uint64_t armed[HOST_CPUS];

static uint64_t clock_ticks(void)
{
    return host_ticks;
}

static void clock_cpu_init(void)
{
}

static void clock_arm(uint64_t ticks)
{
    armed[host_running->number] = ticks;
}

uint64_t host_armed(unsigned cpu)
{
    return armed[cpu];
}

bool host_timer_due(unsigned cpu)
{
    return armed[cpu] <= host_ticks && armed[cpu] != UINT64_MAX;
}

// ---- interrupt controller: lines go to CPU 0

struct host_line host_lines[HOST_LINES];
bool host_messages = true;

static bool deliverable(const struct host_line *line)
{
    return !line->masked && !line->active && (line->latched || line->level);
}

static bool ipis[HOST_CPUS];

static void irq_ipi(uint32_t cpu)
{
    ipis[cpu] = true;
}

static const char *irq_cpu_init(uint32_t cpu)
{
    (void)cpu;
    return nullptr;
}

static uint32_t irq_claim(void)
{
    unsigned cpu = host_running->number;
    if (ipis[cpu]) {
        ipis[cpu] = false;
        return IRQ_IPI;
    }
    if (host_timer_due(cpu)) {
        armed[cpu] = UINT64_MAX;
        return IRQ_TIMER;
    }
    for (uint32_t i = 0; cpu == 0 && i < HOST_LINES; i++)
        if (deliverable(&host_lines[i])) {
            host_lines[i].active = true;
            host_lines[i].latched = false;
            host_lines[i].claimed++;
            return i;
        }
    return IRQ_NONE;
}

static void irq_complete(uint32_t line)
{
    if (line < HOST_LINES)
        host_lines[line].active = false;
}

static bool irq_usable(uint32_t line)
{
    return line >= HOST_LINE_FIRST && line < HOST_MESSAGE_FIRST;
}

static void irq_configure(uint32_t line, enum abi_trigger trigger)
{
    host_lines[line].trigger = trigger;
    host_lines[line].masked = true;
    host_lines[line].latched = false;
}

static void irq_mask(uint32_t line)
{
    host_lines[line].masked = true;
}

static void irq_unmask(uint32_t line)
{
    host_lines[line].masked = false;
}

uint64_t host_message_device, host_message_address;

static bool message_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                             uint32_t *data)
{
    if (controller.value != 0 && controller.value != HOST_MESSAGE_CONTROLLER)
        return false;
    host_message_device = device;
    for (uint32_t i = HOST_MESSAGE_FIRST; i < HOST_LINES; i++)
        if (!host_lines[i].message_taken) {
            host_lines[i].message_taken = true;
            *line = i;
            *address = host_message_address;
            *data = i;
            return true;
        }
    return false;
}

static void message_free(uint32_t line)
{
    host_lines[line].message_taken = false;
}

void host_line_pulse(uint32_t line)
{
    host_lines[line].latched = true;
}

void host_line_level(uint32_t line, bool high)
{
    host_lines[line].level = high;
}

bool host_interrupt_pending(unsigned cpu)
{
    if (host_timer_due(cpu) || ipis[cpu])
        return true;
    for (uint32_t i = 0; cpu == 0 && i < HOST_LINES; i++)
        if (deliverable(&host_lines[i]))
            return true;
    return false;
}

// ---- I/O ports and device memory

bool host_has_io_ports = true;
uint8_t host_io[1 << 16];
bool host_io_written;
unsigned host_io_reads;

bool arch_has_io_ports(void)
{
    return host_has_io_ports;
}

uint32_t arch_io_read(uint16_t port, unsigned width)
{
    uint32_t value = 0;
    host_io_reads++;
    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)host_io[port + i] << 8 * i;
    return value;
}

void arch_io_write(uint16_t port, unsigned width, uint32_t value)
{
    host_io_written = true;
    for (unsigned i = 0; i < width; i++)
        host_io[port + i] = (uint8_t)(value >> 8 * i);
}

static struct {
    uint64_t address;
    void *page;
} device_pages[HOST_DEVICE_PAGES];
alignas(PAGE_SIZE) uint8_t host_device_memory[HOST_DEVICE_PAGES][PAGE_SIZE];

void *host_device_page(uint64_t address)
{
    for (size_t i = 0; i < ARRAY_SIZE(device_pages); i++) {
        if (!device_pages[i].page) {
            device_pages[i].address = address;
            device_pages[i].page = host_device_memory[i];
        }
        if (device_pages[i].address == address)
            return device_pages[i].page;
    }
    return nullptr; // no room is left, as on a real machine
}

unsigned host_device_pages(void)
{
    unsigned used = 0;
    while (used < HOST_DEVICE_PAGES && device_pages[used].page)
        used++;
    return used;
}

void (*host_on_device_map)(void);

void *arch_device_map(paddr_t address, size_t bytes, enum arch_memory memory)
{
    (void)memory;
    if (host_on_device_map)
        host_on_device_map();
    return bytes <= PAGE_SIZE ? host_device_page(align_down(address.value, PAGE_SIZE)) : nullptr;
}

// ---- contexts and the rest of the processor

char arch_boot_stack_top[1];

void arch_cpu_init(struct arch_percpu *self, void *stack_top)
{
    (void)stack_top;
    host_cpu_attach(self->number, self);
    host_running = self;
}

// CPUs have stacks of their own here: what is mapped is only named.
void *arch_stack_map(uint32_t cpu, paddr_t memory)
{
    return cpu < HOST_CPUS ? (uint8_t *)arch_ram(memory) + ARCH_STACK_MEMORY : nullptr;
}

struct arch_start arch_cpu_prepare(struct arch_percpu *self, void *stack_top)
{
    return (struct arch_start){.entry = arch_ram_address((uint8_t *)stack_top - ARCH_STACK_MEMORY),
                               .argument = (uint64_t)self};
}

void arch_halt(void)
{
    if (host_on_halt)
        host_on_halt();
    fwrite(host_console, 1, host_console_bytes, stderr);
    abort();
}

void arch_context_init(struct arch_context *context, uint64_t pc, uint64_t sp, uint64_t argument0,
                       uint64_t argument1)
{
    *context = (struct arch_context){.pc = pc, .sp = sp, .start = {argument0, argument1}};
    if (host_on_context)
        host_on_context(context, sizeof *context);
}

void arch_context_report(const struct arch_context *context, struct abi_fault *fault)
{
    fault->pc = context->pc;
    fault->sp = context->sp;
    fault->fp = 0;
    fault->registers[0] = context->pc;
    fault->registers[1] = context->sp;
    fault->register_count = 2;
}

void arch_backtrace(uint64_t frame_pointer, void (*visit)(uint64_t pc, void *argument),
                    void *argument)
{
    (void)frame_pointer;
    const uint64_t *frame = __builtin_frame_address(0);
    for (unsigned depth = 0; depth < 12 && frame && frame[1]; depth++) {
        visit(frame[1], argument);
        const uint64_t *next = (const uint64_t *)frame[0];
        if (next <= frame || next > frame + 0x10000)
            break;
        frame = next;
    }
}

// ---- all of it

struct hal hal;

void host_reset(size_t ram_bytes, uint32_t asid_limit)
{
    static struct irq_controller irq = {
        .name = "simulated",
        .lines = HOST_LINES,
        .cpu_init = irq_cpu_init,
        .ipi = irq_ipi,
        .claim = irq_claim,
        .complete = irq_complete,
        .usable = irq_usable,
        .configure = irq_configure,
        .mask = irq_mask,
        .unmask = irq_unmask,
        .message_free = message_free,
    };
    static const struct clock_source clock = {.name = "virtual",
                                              .hz = HOST_HZ,
                                              .cpu_init = clock_cpu_init,
                                              .ticks = clock_ticks,
                                              .arm = clock_arm};
    static const struct console console = {
        .name = "buffer", .base = 0x9000'0000, .bytes = PAGE_SIZE, .write = console_write};
    static const struct power power = {.off = power_called};
    irq.message_allocate = host_messages ? message_allocate : nullptr;
    host_message_address = HOST_MESSAGE_ADDRESS;
    hal = (struct hal){.irq = &irq, .clock = &clock, .console = &console, .power = &power};
    memset(host_lines, 0, sizeof host_lines);
    for (uint32_t i = 0; i < HOST_LINES; i++)
        host_lines[i].masked = true;
    for (unsigned i = 0; i < HOST_CPUS; i++) {
        armed[i] = UINT64_MAX;
        ipis[i] = false;
    }
    host_ticks = 0;
    host_console_bytes = 0;
    host_power_calls = 0;
    memset(host_io, 0, sizeof host_io);
    host_io_written = false;
    host_io_reads = 0;
    host_cpus_reset();
    host_mmu_reset(ram_bytes, asid_limit);
}
