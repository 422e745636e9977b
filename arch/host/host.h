// SPDX-License-Identifier: MIT
//
// The simulated machine, as its tests see it: up to HOST_CPUS CPUs, RAM, a TLB for each CPU, an
// interrupt controller, a clock that moves when told, devices' registers, a console.
//
// A CPU is a coroutine that runs kernel entries. It is in one of these places:
//
//   HOST_OFF     it has not entered the kernel yet
//   HOST_USER    the last entry has returned: user mode, as the thread whose context it returned
//   HOST_IDLE    inside arch_idle
//   HOST_KERNEL  stopped in the middle of an entry
//
// The test begins entries and lets CPUs run; between two calls of host_run nothing moves. An
// interleaving point is every beginning and end of a function of kernel/ (the compiler's
// function hooks) and every turn of a spin loop.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <arch/arch.h>

constexpr unsigned HOST_CPUS = 17; // one more than whose shares fit in a page (kernel/budget.h)

// ---- the machine -----------------------------------------------------------------------------

// A machine that was just switched on. `percpu[i]` is CPU i's structure.
void host_reset(size_t ram_bytes, uint32_t asid_limit);

// Called by arch_halt, after a panic or an explicit end; must not return. nullptr: abort.
extern void (*host_on_halt)(void);

// Called where a CPU enters user mode for the first time; must not return. nullptr: it runs
// the entries that a test begins.
extern void (*host_on_user)(void);

// What the kernel wrote to its console.
extern char host_console[1 << 16];
extern size_t host_console_bytes;

// ---- CPUs ------------------------------------------------------------------------------------

enum host_place : uint8_t { HOST_OFF, HOST_USER, HOST_IDLE, HOST_KERNEL };

enum host_place host_place(unsigned cpu);
void host_cpu_attach(unsigned cpu, struct arch_percpu *percpu);

// Begins an entry on a CPU that is off or in user mode.
void host_enter(unsigned cpu, struct arch_context *(*entry)(void));

// Makes the next host_run of an idle CPU come out of arch_idle, with `handler` called there as
// an interrupt handler is.
void host_wake(unsigned cpu, void (*handler)(void));

// Lets a CPU go on: to user mode or to arch_idle, or, with interleaving on, maybe only to the
// next chosen interleaving point.
void host_run(unsigned cpu);

// Interleaving: at each point a CPU stops with a chance of 1 in `period`; 0: never.
void host_interleave(uint32_t period, uint64_t seed);
extern uint64_t host_points, host_switches;

// Called, when set, on the CPU where a function of the kernel begins. true: it stops there.
extern bool (*host_on_function)(void *function);

// Called, when set, when a thread's registers have been written as a whole.
extern void (*host_on_context)(void *context, size_t bytes);

// Called, when set, on the CPU: in each interrupt window; instead of idling; in each turn of a
// spin loop.
extern void (*host_on_window)(void), (*host_on_idle)(void), (*host_on_relax)(void);

// ---- FP registers ----------------------------------------------------------------------------

// User code of the thread that a CPU runs fills its FP registers with a pattern that begins with
// `value`. false: they are off, and it has to trap (entry_fpu) first.
bool host_fpu_fill(struct arch_percpu *cpu, uint64_t value);

// Whether what user code finds in the registers is what it has left there, or zeros if it has never
// used them: a machine that shows anything else stops. Each return to user mode asks.
void host_fpu_check(const struct arch_percpu *cpu);

// ---- time ------------------------------------------------------------------------------------

constexpr uint64_t HOST_HZ = 1'000'000'000;
extern uint64_t host_ticks;

// When CPU 0's timer is set for; UINT64_MAX: it is not.
uint64_t host_armed(unsigned cpu);
bool host_timer_due(unsigned cpu);

// ---- interrupts ------------------------------------------------------------------------------

constexpr uint32_t HOST_LINES = 64;
constexpr uint32_t HOST_LINE_FIRST = 8; // below: not usable by drivers
constexpr uint32_t HOST_MESSAGE_FIRST = 56;
constexpr uint64_t HOST_MESSAGE_ADDRESS = 0x12'fee0'0000;
constexpr uint64_t HOST_MESSAGE_CONTROLLER = 0x12'fed0'0000; // the only part that takes messages
extern uint64_t host_message_device;  // whom the last message line was given for
extern uint64_t host_message_address; // where a device writes a message

struct host_line {
    enum abi_trigger trigger;
    bool masked, level, latched, active, message_taken;
    uint64_t claimed;
};
extern struct host_line host_lines[HOST_LINES];
extern bool host_messages; // whether the controller takes messages: set before the machine boots

void host_line_pulse(uint32_t line);            // an edge
void host_line_level(uint32_t line, bool high); // asserted or not
bool host_interrupt_pending(unsigned cpu);

// ---- memory as user code and devices see it ----------------------------------------------------

enum host_access : uint8_t { HOST_LOAD, HOST_STORE, HOST_FETCH };

// A user access on a CPU: false is a fault. A translation that is used stays in the CPU's TLB
// until it is flushed, as on a real machine. A machine that finds two translations of one address, a
// large page's and another one's, may do anything: here it stops the program (break-before-make).
bool host_access(unsigned cpu, uint64_t address, enum host_access kind, paddr_t *physical);

struct host_tlb_entry {
    bool valid;
    uint16_t asid;
    uint64_t page, bytes; // the first address; PAGE_SIZE, or what a large page shows
    pte_t leaf;
};
constexpr unsigned HOST_TLB_ENTRIES = 64;
extern struct host_tlb_entry host_tlb[HOST_CPUS][HOST_TLB_ENTRIES];

// What caches were asked for, the last ones.
enum host_maintenance_kind : uint8_t { HOST_CODE_SYNC, HOST_DMA_CLEAN, HOST_DMA_INVALIDATE };
constexpr unsigned HOST_MAINTENANCE = 64;
extern struct host_maintenance {
    enum host_maintenance_kind kind;
    paddr_t start;
    size_t bytes;
} host_maintenance[HOST_MAINTENANCE];
extern unsigned host_maintenance_count;

// A page of device registers, made when it is first mapped or asked for.
void *host_device_page(uint64_t address);
constexpr unsigned HOST_DEVICE_PAGES = 160; // one after another, as they are asked for
extern uint8_t host_device_memory[HOST_DEVICE_PAGES][PAGE_SIZE];
unsigned host_device_pages(void); // how many there are by now

extern void (*host_on_device_map)(void); // called, when set, where the kernel maps registers

extern bool host_has_io_ports;
extern uint8_t host_io[1 << 16];
// By the kernel, since the machine started.
extern bool host_io_written;
extern unsigned host_io_reads;
extern unsigned host_power_calls;
