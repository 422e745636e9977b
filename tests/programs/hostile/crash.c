// SPDX-License-Identifier: MIT
//
// Faults: each case runs in a process of its own, whose fault message must name the right cause
// and address; then its account goes. These cases are the same on every machine.
#include "hostile.h"

// ---- the cases

#define TOUCH_READ(address) ((void)*(volatile uint64_t *)(address))
#define TOUCH_WRITE(address) (*(volatile uint64_t *)(address) = 1)

static void call(uint64_t address)
{
    ((void (*)(void))address)();
}

// Kept from the compiler, which knows that null and constants are not written to.
static uint64_t opaque(uint64_t value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

static const uint64_t constant = 1;
static uint64_t variable = 1;

static void null_read(void)
{
    TOUCH_READ(opaque(0));
}
static void null_write(void)
{
    TOUCH_WRITE(opaque(0));
}
static void null_call(void)
{
    call(opaque(0));
}
static void low_read(void)
{
    TOUCH_READ(opaque(ABI_USER_MIN - 8));
}
static void high_read(void)
{
    TOUCH_READ(opaque(ABI_USER_MAX));
}
static void high_write(void)
{
    TOUCH_WRITE(opaque(ABI_USER_MAX));
}
static void high_call(void)
{
    call(opaque(ABI_USER_MAX));
}
static void write_code(void)
{
    TOUCH_WRITE(opaque((uintptr_t)null_read));
}
static void write_constant(void)
{
    TOUCH_WRITE(opaque((uintptr_t)&constant));
}
static void call_data(void)
{
    call(opaque((uintptr_t)&variable));
}
static void call_constant(void)
{
    call(opaque((uintptr_t)&constant));
}
static void call_stack(void)
{
    uint64_t local = 0;
    call(opaque((uintptr_t)&local));
}
static void call_message_buffer(void)
{
    call(opaque((uintptr_t)message_buffer()->data));
}
static void call_heap(void)
{
    void *heap;
    must(memory_map(PAGE_SIZE, &heap), "memory_map");
    call(opaque((uintptr_t)heap));
}
static void use_after_unmap(void)
{
    void *heap;
    must(memory_map(PAGE_SIZE, &heap), "memory_map");
    TOUCH_WRITE(heap);
    must(memory_unmap(heap), "memory_unmap");
    TOUCH_READ(heap);
}
static void write_read_only(void)
{
    vmo_t vmo;
    void *address;
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ, &address), "memory_map_vmo");
    TOUCH_READ(address);
    TOUCH_WRITE(address);
}
static uint64_t overflow(uint64_t depth)
{
    volatile uint64_t frame[64];
    frame[depth % 64] = depth;
    return depth == UINT64_MAX ? 0 : overflow(depth + 1) + frame[(depth + 1) % 64];
}
static void stack_overflow(void)
{
    overflow(opaque(0));
}

const struct crash_case common_crashes[] = {
    {"null read", null_read, CAUSE(READ), 0},
    {"null write", null_write, CAUSE(WRITE), 0},
    {"null call", null_call, CAUSE(EXECUTE), 0},
    {"read below user space", low_read, CAUSE(READ), ABI_USER_MIN - 8},
    {"read above user space", high_read, CAUSE(READ), ABI_USER_MAX},
    {"write above user space", high_write, CAUSE(WRITE), ABI_USER_MAX},
    {"call above user space", high_call, CAUSE(EXECUTE), ABI_USER_MAX},
    {"write to code", write_code, CAUSE(WRITE), ANY_ADDRESS},
    {"write to a constant", write_constant, CAUSE(WRITE), ANY_ADDRESS},
    {"call data", call_data, CAUSE(EXECUTE), ANY_ADDRESS},
    {"call a constant", call_constant, CAUSE(EXECUTE), ANY_ADDRESS},
    {"call the stack", call_stack, CAUSE(EXECUTE), ANY_ADDRESS},
    {"call the message buffer", call_message_buffer, CAUSE(EXECUTE), ANY_ADDRESS},
    {"call the heap", call_heap, CAUSE(EXECUTE), ANY_ADDRESS},
    {"read what was unmapped", use_after_unmap, CAUSE(READ), ANY_ADDRESS},
    {"write what is read-only", write_read_only, CAUSE(WRITE), ANY_ADDRESS},
    {"stack overflow", stack_overflow, CAUSE(WRITE), ANY_ADDRESS},
};
const uint32_t common_crash_count = ARRAY_SIZE(common_crashes);

// ---- the child

enum group : uint64_t {
    GROUP_COMMON,
    GROUP_MACHINE,
    GROUP_KERNEL_READ,
    GROUP_KERNEL_WRITE,
    GROUP_KERNEL_CALL,
    GROUP_RESUME
};

constexpr uint64_t RESUME_ADDRESS = 0x30'0000'0000;

void crash_child(void)
{
    uint64_t number = child_start.words[2];
    switch ((enum group)child_start.words[1]) {
    case GROUP_COMMON:
        common_crashes[number].run();
        break;
    case GROUP_MACHINE:
        machine_crashes[number].run();
        break;
    case GROUP_KERNEL_READ:
        TOUCH_READ(kernel_addresses[number]);
        break;
    case GROUP_KERNEL_WRITE:
        TOUCH_WRITE(kernel_addresses[number]);
        break;
    case GROUP_KERNEL_CALL:
        call(kernel_addresses[number]);
        break;
    case GROUP_RESUME:
        process_exit(*(volatile uint64_t *)RESUME_ADDRESS);
    }
    process_exit(SURVIVED);
}

// ---- the supervisor

static uint32_t cases_run;

static void start_case(struct child *child, enum group group, uint64_t number, bool no_exceptions)
{
    const struct child_spec spec = {.name = "crash",
                                    .pages = 512,
                                    .objects = 64,
                                    .priority = 20,
                                    .no_exceptions = no_exceptions,
                                    .words = {MODE_CRASH, group, number}};
    must(child_create(child, &spec), "starting a case");
    cases_run++;
}

static void wait_for_end(const struct child *child, struct abi_inspect *ended)
{
    uint32_t signals;
    must(object_wait((handle_t){child->process.value}, SIGNAL_TERMINATED, now_ns() + NS_PER_S,
                     &signals),
         "waiting for the end of a case");
    inspect(child->process.value, ended);
}

// true: it faulted, `fault` tells how. false: it ended, `code` tells with what.
static bool outcome(const struct child *child, struct abi_fault *fault, uint64_t *token,
                    uint64_t *code)
{
    uint64_t message;
    status_t status = channel_receive(child->exceptions, now_ns() + NS_PER_S, &message, token);
    if (status == STATUS_OK && (message & MSG_FAULT) != 0) {
        memcpy(fault, message_buffer()->data, sizeof(*fault));
        return true;
    }
    struct abi_inspect ended;
    inspect(child->process.value, &ended);
    *code = (ended.signals & SIGNAL_TERMINATED) != 0 ? ended.process.exit_code : UINT64_MAX - 1;
    return false;
}

static void answer(const struct child *child, uint64_t token, enum abi_fault_action action)
{
    struct abi_fault_reply reply = {action};
    memcpy(message_buffer()->data, &reply, sizeof(reply));
    must(channel_reply(child->exceptions, token, MSG(sizeof(reply), 0)), "answering a fault");
}

static void run_case(const char *name, enum group group, uint64_t number, uint32_t allowed,
                     uint64_t address)
{
    struct child child;
    struct abi_fault fault;
    struct abi_inspect ended;
    uint64_t token, code = 0;
    start_case(&child, group, number, false);
    if (outcome(&child, &fault, &token, &code)) {
        if ((allowed & 1u << fault.cause) == 0)
            failed("%s: cause %u, code 0x%lx at 0x%lx", name, fault.cause, fault.code, fault.pc);
        if (address != ANY_ADDRESS && fault.cause <= FAULT_EXECUTE && fault.address != address)
            failed("%s: address 0x%lx instead of 0x%lx", name, fault.address, address);
        answer(&child, token, FAULT_KILL);
        wait_for_end(&child, &ended);
    } else if (code != SURVIVED || (allowed & HARMLESS) == 0) {
        failed("%s: no fault, ended with %lu", name, code);
    }
    child_end(&child);
}

static void run_group(enum group group, const struct crash_case *cases, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        run_case(cases[i].name, group, i, cases[i].allowed, cases[i].address);
}

// Nobody handles its faults: it ends.
static void run_unhandled(void)
{
    struct child child;
    struct abi_inspect ended;
    start_case(&child, GROUP_COMMON, 0, true);
    wait_for_end(&child, &ended);
    if (ended.process.exit_code != UINT64_MAX)
        failed("a fault that nobody handles: exit code %lu", ended.process.exit_code);
    child_end(&child);
}

// The handler goes away with the fault in its hands.
static void run_abandoned(void)
{
    struct child child;
    struct abi_fault fault;
    struct abi_inspect ended;
    uint64_t token, code;
    start_case(&child, GROUP_COMMON, 0, false);
    if (!outcome(&child, &fault, &token, &code))
        failed("a fault to abandon: none came");
    handle_close((handle_t){child.exceptions.value});
    child.exceptions.value = 0;
    wait_for_end(&child, &ended);
    if (ended.process.exit_code != UINT64_MAX)
        failed("a fault whose handler went: exit code %lu", ended.process.exit_code);
    child_end(&child);
}

// The handler maps what was missing, and the program goes on.
static void run_resumed(void)
{
    struct child child;
    struct abi_fault fault;
    struct abi_inspect ended;
    uint64_t token, code;
    start_case(&child, GROUP_RESUME, 0, false);
    if (!outcome(&child, &fault, &token, &code) || fault.address != RESUME_ADDRESS)
        give_up("a fault to resume: none came");
    vmo_t vmo;
    void *page;
    must(vmo_create(child.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &page), "memory_map_vmo");
    *(uint64_t *)page = 4711;
    must(vm_map(child.aspace, vmo, 0, RESUME_ADDRESS, PAGE_SIZE, PROT_READ), "vm_map");
    must(memory_unmap(page), "memory_unmap");
    handle_close((handle_t){vmo.value});
    answer(&child, token, FAULT_RESUME);
    wait_for_end(&child, &ended);
    if (ended.process.exit_code != 4711)
        failed("a fault that was mended: exit code %lu", ended.process.exit_code);
    child_end(&child);
}

// The thread is killed, and then its fault is answered: too late, and before its slot is free.
static void run_late(void)
{
    struct child child;
    struct abi_fault fault;
    struct abi_inspect ended;
    uint64_t token, code;
    start_case(&child, GROUP_COMMON, 0, false);
    if (!outcome(&child, &fault, &token, &code))
        failed("a fault to answer late: none came");
    must(object_destroy((handle_t){child.thread.value}), "object_destroy");
    struct abi_fault_reply reply = {FAULT_RESUME};
    memcpy(message_buffer()->data, &reply, sizeof(reply));
    status_t status = channel_reply(child.exceptions, token, MSG(sizeof(reply), 0));
    if (status != STATUS_CANCELLED)
        failed("a late answer to a fault: %s", status_name(status));
    wait_for_end(&child, &ended);
    child_end(&child);
}

void crash_phase(void)
{
    uint32_t before = failures;
    run_group(GROUP_COMMON, common_crashes, common_crash_count);
    run_group(GROUP_MACHINE, machine_crashes, machine_crash_count);
    for (uint64_t i = 0; i < kernel_address_count; i++) {
        run_case("kernel read", GROUP_KERNEL_READ, i, CAUSE(READ) | CAUSE(INSTRUCTION),
                 ANY_ADDRESS);
        run_case("kernel write", GROUP_KERNEL_WRITE, i, CAUSE(WRITE) | CAUSE(INSTRUCTION),
                 ANY_ADDRESS);
        run_case("kernel call", GROUP_KERNEL_CALL, i,
                 CAUSE(EXECUTE) | CAUSE(INSTRUCTION) | CAUSE(ALIGNMENT), ANY_ADDRESS);
    }
    run_unhandled();
    run_abandoned();
    run_late();
    run_resumed();
    if (failures == before)
        say("ok crashes: %u cases, each with the right cause", cases_run);
}
