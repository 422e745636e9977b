// SPDX-License-Identifier: MIT
//
// The structures that cross the boundary between the kernel and user space in memory, and the
// packed words that cross it in registers. Everything is little-endian and naturally aligned;
// the offsets are part of the ABI and proved below.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/generated.h>

constexpr uint64_t ABI_PAGE_SIZE = 4096;
constexpr uint64_t ABI_DEADLINE_NEVER = UINT64_MAX;
constexpr uint64_t ABI_USER_MIN = 0x10000; // nothing can be mapped below: null stays a fault
constexpr uint64_t ABI_USER_MAX = 0x7fff'ffff'f000; // first address above user space
constexpr unsigned ABI_PRIORITIES = 64;
constexpr unsigned ABI_PIN_MAX_PAGES = 256;
constexpr uint64_t ABI_CONTIGUOUS_MAX_PAGES = 0x8000; // of one VMO
constexpr uint64_t ABI_VECTOR_MSI = UINT64_MAX;       // machine_message_interrupt
constexpr uint64_t ABI_PIN_SYNC_BYTES = 0x10000;      // at most, in one call

// ---- message buffer: one page a thread, the only user memory that the kernel reads or writes

constexpr unsigned ABI_MESSAGE_BYTES = 3584;
constexpr unsigned ABI_MESSAGE_HANDLES = 8;

struct abi_message_buffer {
    uint64_t handles[ABI_MESSAGE_HANDLES]; // sent: captured at entry; received: the new values
    uint64_t reserved[56];
    uint8_t data[ABI_MESSAGE_BYTES];
};
static_assert(sizeof(struct abi_message_buffer) == ABI_PAGE_SIZE);
static_assert(offsetof(struct abi_message_buffer, data) == 512);

// ---- msginfo: what a message is, in one register
//
//  63        32 31      24 23    20 19     16 15           0
// +------------+----------+--------+---------+--------------+
// |  lost      |  0       | flags  | handles | bytes        |
// +------------+----------+--------+---------+--------------+
//
// In a call, bits 31-24 say how many handles the reply may carry. A received message says in
// `lost` how many were dropped before it (OVERFLOW_DROP_OLDEST; at most 2^32 - 1 are counted).

constexpr uint64_t MSG_BYTES_MASK = 0xffff;
constexpr unsigned MSG_HANDLES_SHIFT = 16;
constexpr unsigned MSG_REPLY_HANDLES_SHIFT = 24;
constexpr unsigned MSG_LOST_SHIFT = 32;
constexpr uint64_t MSG_CALL = 1u << 20;         // received: a call, to be answered with its token
constexpr uint64_t MSG_FAULT = 1u << 21;        // received: a struct abi_fault, from the kernel
constexpr uint64_t MSG_REPLY_FAILED = 1u << 22; // received: the reply that came along failed

#define MSG(bytes, handles) ((uint64_t)(bytes) | (uint64_t)(handles) << MSG_HANDLES_SHIFT)
#define MSG_WITH_REPLY_HANDLES(message, handles) \
    ((message) | (uint64_t)(handles) << MSG_REPLY_HANDLES_SHIFT)
#define MSG_BYTES(message) ((uint32_t)((message) & MSG_BYTES_MASK))
#define MSG_HANDLES(message) ((uint32_t)((message) >> MSG_HANDLES_SHIFT & 0xf))
#define MSG_LOST(message) ((uint32_t)((message) >> MSG_LOST_SHIFT))
#define MSG_REPLY_HANDLES(message) ((uint32_t)((message) >> MSG_REPLY_HANDLES_SHIFT & 0xf))

// ---- channel shape: depth (bits 15-0), message bytes (31-16), handles (39-32), calls (55-48)
//
// An end's queue takes at most ABI_CHANNEL_MAX_PAGES pages; slots do not straddle pages.
//
// The ceiling of an end is the highest priority of those who may wait for it: call into it, or wait
// for room in its queue. Bits 47-40 and 63-56 say by how much that of end 0 and of end 1 is below 63,
// so that a shape that says nothing lets everyone.

constexpr unsigned ABI_CHANNEL_MAX_PAGES = 8;
constexpr unsigned ABI_CHANNEL_MAX_CALLS = 64;
constexpr unsigned ABI_CHANNEL_MAX_SENDERS = 32; // that wait for room in one queue

#define ABI_CHANNEL_SHAPE(depth, bytes, handles, calls)                        \
    ((uint64_t)(depth) | (uint64_t)(bytes) << 16 | (uint64_t)(handles) << 32 | \
     (uint64_t)(calls) << 48)
#define ABI_CHANNEL_CEILINGS(end0, end1) \
    ((uint64_t)(63 - (end0)) << 40 | (uint64_t)(63 - (end1)) << 56)

// ---- small enumerations

enum abi_overflow : uint64_t {
    OVERFLOW_REJECT = 0,      // the sender hears FULL
    OVERFLOW_BLOCK = 1,       // the sender waits for room
    OVERFLOW_DROP_OLDEST = 2, // the message at the head goes; no handles, no calls
};

enum abi_protection : uint64_t { PROT_READ = 1, PROT_WRITE = 2, PROT_EXECUTE = 4 };

enum abi_vmo_flags : uint64_t {
    VMO_CONTIGUOUS = 1, // frames are physically adjacent, from the pool set aside at boot
};

enum abi_direction : uint64_t { DMA_TO_DEVICE = 1, DMA_FROM_DEVICE = 2, DMA_BOTH = 3 };

enum abi_sync_side : uint64_t { SYNC_DEVICE = 1, SYNC_CPU = 2 };

enum abi_memory_kind : uint64_t { MEMORY_DEVICE = 0, MEMORY_TABLES = 1 };

enum abi_trigger : uint64_t {
    TRIGGER_EDGE = 0,
    TRIGGER_LEVEL_HIGH = 1,
    TRIGGER_LEVEL_LOW = 2,
};

enum abi_power_action : uint64_t { POWER_OFF = 0, POWER_REBOOT = 1 };

// ---- faults: a call on the process's exception channel; the reply is a struct abi_fault_reply

enum abi_fault_cause : uint32_t {
    FAULT_READ = 1,        // load from an address that is not mapped readable
    FAULT_WRITE = 2,       // store to an address that is not mapped writable
    FAULT_EXECUTE = 3,     // jump to an address that is not mapped executable
    FAULT_INSTRUCTION = 4, // undefined or privileged instruction
    FAULT_ALIGNMENT = 5,
    FAULT_ARITHMETIC = 6,
    FAULT_BREAKPOINT = 7,
    FAULT_OTHER = 8,
};

constexpr unsigned ABI_FAULT_REGISTERS = 34;

struct abi_fault {
    uint32_t cause; // enum abi_fault_cause
    uint32_t register_count;
    uint64_t thread_id; // unique since boot
    uint64_t address;   // the address that faulted; 0 where that means nothing
    uint64_t pc, sp, fp;
    uint64_t code;                           // x86_64: vector << 32 | error code; AArch64: ESR_EL1
    uint64_t registers[ABI_FAULT_REGISTERS]; // names in abi/generated.h, by architecture
};

enum abi_fault_action : uint64_t {
    FAULT_KILL = 0,   // end the thread's process
    FAULT_RESUME = 1, // run on, as it was, from the same instruction
};

struct abi_fault_reply {
    uint64_t action; // enum abi_fault_action
};

// ---- object_inspect

struct abi_inspect {
    uint32_t type;    // enum abi_object
    uint32_t state;   // of the type's state table
    uint64_t id;      // unique since boot
    uint32_t handles; // of a VMO also the slices that were cut out of it
    uint32_t signals;
    char name[16];
    union {
        struct {
            uint64_t pages_limit, pages_used, pages_children, pages_high;
            uint64_t objects_limit, objects_used, objects_children, objects_high;
            uint64_t quarantined_pages; // of drivers below, charged here
            uint64_t contiguous_limit, contiguous_used, contiguous_children,
                contiguous_high; // pages
        } account;
        struct {
            uint64_t threads, handles, handles_max, exit_code;
            uint64_t cpu_ns; // of all of its threads, those that ended too
        } process;
        struct {
            uint64_t priority, cpu_ns, run_state, home_cpu;
        } thread;
        struct {
            uint64_t mappings, pages, table_pages, large_pages; // entries of 2 MiB each
        } aspace;
        struct {
            uint64_t bytes, mappings, pins, device,
                contiguous; // of a slice: mappings through it; pins 0
        } vmo;
        struct {
            uint64_t depth, message_bytes, queued, calls, calls_max, queued_high;
            uint64_t overflow, senders, lost; // those that wait; not yet told to a receiver
            uint64_t ceiling;                 // of those who may wait for this end
        } channel;
        struct {
            uint64_t bindings, pending;
        } port;
        struct {
            uint64_t deadline_ns;
        } timer;
        struct {
            uint64_t line, count, message, masked;
            uint64_t cpu;           // that took it last
            uint64_t storms, aside; // how often it came too often; 1 while it is put aside for that
        } interrupt;
        struct {
            uint64_t base, count;
        } iorange;
        struct {
            uint64_t device, pins, identity;
        } dmaspace;
        struct {
            uint64_t bytes, direction;
        } pin;
        uint64_t words[16];
    };
};
static_assert(sizeof(struct abi_inspect) == 40 + 128);

// ---- machine_info

// MP_TABLE: a PC without ACPI; its table lists CPUs and I/O APICs only.
enum abi_firmware : uint32_t { FIRMWARE_DEVICE_TREE = 1, FIRMWARE_ACPI = 2, FIRMWARE_MP_TABLE = 3 };

constexpr unsigned ABI_COMMAND_LINE = 1024;
constexpr unsigned ABI_INVARIANTS = 64;

struct abi_machine_info {
    uint32_t firmware; // enum abi_firmware
    uint32_t cpus;
    uint64_t tables;       // physical address of the device tree, or of the RSDP
    uint64_t tables_bytes; // of the device tree; of the RSDP structure
    uint64_t ram_bytes;    // what the firmware reports
    uint64_t pages_total, pages_free;
    uint64_t objects_total, objects_free;
    uint64_t quarantined_pages;
    uint32_t message_interrupts; // 1 where a controller takes messages
    uint32_t dev_build;
    char command_line[ABI_COMMAND_LINE];
    uint64_t checks[ABI_INVARIANTS]; // evaluations of each invariant since boot (dev builds)
};
static_assert(sizeof(struct abi_machine_info) <= ABI_MESSAGE_BYTES);

// The figures of one CPU, from its start on: what machine_cpu writes.
struct abi_cpu_info {
    uint64_t hardware_id; // APIC id or MPIDR affinity
    uint64_t idle_ns;
    uint64_t idle_since_ns; // when its present rest began, which idle_ns does not hold; 0: it works
    uint64_t switches;      // between threads
    uint64_t device_interrupts, timer_interrupts;
    uint64_t spurious;
    uint64_t asked;   // interrupts by other CPUs
    uint64_t posts;   // what other CPUs have posted to it and it has taken in
    uint64_t flushes; // of its translations, asked for by other CPUs
};
static_assert(sizeof(struct abi_cpu_info) <= ABI_MESSAGE_BYTES);

// ---- an account's share of a CPU

constexpr unsigned ABI_ACCOUNT_DEPTH = 16; // accounts below each other, without the root
constexpr uint64_t ABI_BUDGET_MIN_NS = 50'000;
constexpr uint64_t ABI_BUDGET_PERIOD_MIN_NS = 1'000'000, ABI_BUDGET_PERIOD_MAX_NS = 1'000'000'000;

// What account_cpu writes.
struct abi_account_cpu {
    uint64_t budget_ns, period_ns; // 0: it has no share of its own
    uint64_t children_ns;          // of the budget, what its children hold
    // Of what draws on this share, while it had one: not on a child's.
    uint64_t used_ns;
    uint64_t high_ns;      // the most that was used in a period that is over
    uint64_t throttles;    // how often a thread was put aside because nothing was left
    uint64_t throttled_ns; // how long any was, not counting those that are
};
static_assert(sizeof(struct abi_account_cpu) <= ABI_MESSAGE_BYTES);

// ---- what the first process finds
//
// init's first thread starts with the number of handles as its argument and with its message
// buffer at ABI_INIT_MESSAGE_BUFFER, which holds their values in this order.

enum abi_init_handle : uint32_t {
    INIT_ACCOUNT,
    INIT_PROCESS,
    INIT_ASPACE,
    INIT_MACHINE,
    INIT_LOG,
    INIT_BUNDLE, // a read-only VMO with the boot bundle
    INIT_HANDLES,
};

constexpr uint64_t ABI_INIT_MESSAGE_BUFFER = 0x10'0000;
constexpr uint64_t ABI_INIT_STACK_TOP = 0x20'0000; // 64 KiB below it are mapped

// ---- boot bundle (tools/bundle.py makes it)

struct abi_bundle_entry {
    char name[48];
    uint64_t offset; // multiple of the page size
    uint64_t bytes;
};

struct abi_bundle {
    char magic[8]; // "SKBUNDLE"
    uint32_t version;
    uint32_t count;
    struct abi_bundle_entry entries[];
};
