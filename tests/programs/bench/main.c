// SPDX-License-Identifier: MIT
//
// The benchmark: each row does one operation between two marks, some times after a warm-up. A
// plugin of the emulator counts the kernel's instructions from mark to mark, so the rows stand
// here in the order of its counts:
//
//     row NAME REPEATS
//
// The other side of an operation is a process of its own, started from the same image. It may be
// the one that makes the end mark.
#include <kit/device.h>
#include <kit/kit.h>

#include "fpu.h"

const char *const program_name = "bench";

constexpr uint32_t WARM_UP = 4, REPEATS = 8;
constexpr uint64_t CLIENT_PRIORITY = 30, SERVER_PRIORITY = 31, DRIVER_PRIORITY = 40;

enum mode : uint64_t {
    MODE_SERVER,
    MODE_WAITER,
    MODE_YIELDER,
    MODE_FPU_YIELDER,
    MODE_FAULTER,
    MODE_DRIVER
};

// ---- marks: their addresses are what the plugin looks for

[[gnu::noinline]] void mark_begin(void);
[[gnu::noinline]] void mark_end(void);

void mark_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

void mark_end(void)
{
    __asm__ volatile("nop" ::: "memory"); // not the same function as the other
}

// ---- the other side

static void serve(uint64_t channels)
{
    port_t port;
    uint64_t key, message = 0, token = 0;
    uint32_t signals;
    must(port_create(start.account, &port), "port_create");
    for (uint64_t i = 1; i < channels; i++) {
        channel_t end0, end1;
        must(channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(1, 64, 0, 1),
                            OVERFLOW_REJECT, &end0, &end1),
             "channel_create");
        must(port_bind(port, (handle_t){end0.value}, i, SIGNAL_READABLE), "port_bind");
    }
    must(port_bind(port, (handle_t){start.bootstrap.value}, 0, SIGNAL_READABLE), "port_bind");
    must(port_receive(port, ABI_DEADLINE_NEVER, &key, &signals, &message, &token), "port_receive");
    for (;;)
        must(channel_reply_receive(start.bootstrap, token, MSG(MSG_BYTES(message), 0), port,
                                   ABI_DEADLINE_NEVER, &key, &signals, &message, &token),
             "channel_reply_receive");
}

static void wait_for_event(void)
{
    uint32_t signals;
    for (;;) {
        must(object_wait(child_start.extra, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
        mark_end();
        must(object_wait(child_start.extra, 2, ABI_DEADLINE_NEVER, &signals), "object_wait");
    }
}

static void yield(void)
{
    for (;;) {
        thread_yield();
        mark_end();
    }
}

// The device is the client's, which quiets it while we sleep.
static void drive(void)
{
    const interrupt_t interrupt = {child_start.extra.value};
    uint32_t signals;
    uint64_t raised;
    for (;;) {
        must(object_wait((handle_t){interrupt.value}, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER,
                         &signals),
             "object_wait");
        mark_end();
        must(thread_sleep(now_ns() + 5 * NS_PER_MS), "thread_sleep");
        must(interrupt_acknowledge(interrupt, &raised), "interrupt_acknowledge");
    }
}

void child_main(void)
{
    switch ((enum mode)child_start.words[0]) {
    case MODE_SERVER:
        serve(child_start.words[1]);
        break;
    case MODE_WAITER:
        wait_for_event();
        break;
    case MODE_FPU_YIELDER:
        fpu_use();
        yield();
        break;
    case MODE_YIELDER:
        yield();
        break;
    case MODE_FAULTER:
        for (;;)
            *(volatile uint64_t *)nullptr = 1;
    case MODE_DRIVER:
        drive();
        break;
    }
}

// ---- rows

static void row(const char *name)
{
    say("row %s %u", name, REPEATS);
}

#define MEASURE(operation)                                 \
    do {                                                   \
        for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) { \
            if (i >= WARM_UP)                              \
                mark_begin();                              \
            operation;                                     \
            if (i >= WARM_UP)                              \
                mark_end();                                \
        }                                                  \
    } while (0)

static struct child other;

static uint32_t extra_rights(enum mode mode)
{
    return mode == MODE_DRIVER ? (uint32_t)RIGHT_WAIT | RIGHT_ACKNOWLEDGE : (uint32_t)RIGHT_WAIT;
}

static void start_other(enum mode mode, uint64_t argument, uint64_t priority, uint64_t extra)
{
    const struct child_spec spec = {.name = "other",
                                    .pages = 1024,
                                    .objects = 512,
                                    .priority = priority,
                                    .machine_rights = RIGHTS_MACHINE,
                                    .extra = {extra},
                                    .extra_rights = extra_rights(mode),
                                    .words = {mode, argument}};
    must(child_create(&other, &spec), "starting the other side");
    (void)thread_sleep(now_ns() + 20 * NS_PER_MS); // it gets ready
}

static void call(uint64_t message)
{
    uint64_t reply;
    must(channel_call(other.bootstrap, message, ABI_DEADLINE_NEVER, &reply), "channel_call");
}

static void call_with_handle(event_t event)
{
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        handle_t gift;
        must(handle_duplicate((handle_t){event.value}, RIGHT_TRANSFER, &gift), "handle_duplicate");
        message_buffer()->handles[0] = gift.value;
        if (i >= WARM_UP)
            mark_begin();
        call(MSG(0, 1)); // the server keeps it
        if (i >= WARM_UP)
            mark_end();
    }
}

static void calls(event_t event)
{
    MEASURE(call(MSG(0, 0)));
    row("round-trip");
    MEASURE(call(MSG(32, 0)));
    row("round-trip-4-words");
    MEASURE(call(MSG(64, 0)));
    row("round-trip-8-words");
    MEASURE(call(MSG(512, 0)));
    row("round-trip-64-words");
    call_with_handle(event);
    row("handle-moved");
}

static void crowded_calls(event_t event)
{
    (void)event;
    MEASURE(call(MSG(0, 0)));
    row("round-trip-64-channels");
}

static void wakes(event_t event)
{
    uint32_t before;
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        must(event_signal(event, 1), "event_signal");
        must(event_clear(event, 1, &before), "event_clear");
        must(event_signal(event, 2), "event_signal");
        must(event_clear(event, 2, &before), "event_clear");
    }
    row("signal-wakes");
}

static void yields_to_other(const char *name)
{
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        thread_yield(); // the other one returns from its own, and marks
    }
    row(name);
}

static void yields(event_t event)
{
    (void)event;
    yields_to_other("yield");
}

// The last rows: the client uses its FP registers from now on.
static void fpu_yields(event_t event)
{
    (void)event;
    fpu_use();
    yields_to_other("yield-fpu");
}

static void faults(event_t event)
{
    (void)event;
    port_t port;
    uint64_t key, message, token;
    uint32_t signals;
    must(port_create(start.account, &port), "port_create");
    must(port_bind(port, (handle_t){other.exceptions.value}, 0, SIGNAL_READABLE), "port_bind");
    must(port_receive(port, ABI_DEADLINE_NEVER, &key, &signals, &message, &token), "port_receive");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        struct abi_fault_reply reply = {FAULT_RESUME}; // only to fault again
        memcpy(message_buffer()->data, &reply, sizeof(reply));
        if (i >= WARM_UP)
            mark_begin();
        must(channel_reply_receive(other.exceptions, token, MSG(sizeof(reply), 0), port,
                                   ABI_DEADLINE_NEVER, &key, &signals, &message, &token),
             "channel_reply_receive");
        if (i >= WARM_UP)
            mark_end();
    }
    row("fault");
    handle_close((handle_t){port.value});
}

static void interrupts(event_t event)
{
    (void)event;
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        device_prepare();
        if (i >= WARM_UP)
            mark_begin();
        device_trigger();
        for (volatile uint32_t spin = 0; spin < 100'000; spin++) {} // in user mode meanwhile
        device_quiet();
        must(thread_sleep(now_ns() + 10 * NS_PER_MS), "thread_sleep");
    }
    row("interrupt");
}

// What needs no other side.
static void alone(event_t event)
{
    uint64_t ns, ticks, multiplier, shift;
    uint32_t before;
    MEASURE((void)clock_info(&ns, &ticks, &multiplier, &shift));
    row("cheapest");
    MEASURE(must(event_signal(event, 1), "event_signal"));
    row("signal");
    must(event_clear(event, 1, &before), "event_clear");

    constexpr uint64_t AT = 0x50'0000'0000, LARGE_AT = 0x50'4000'0000, BIG = 512;
    vmo_t vmo, big;
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(vmo_create(start.account, BIG * PAGE_SIZE, 0, &big), "vmo_create");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        must(vm_map(start.aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE), "vm_map");
        if (i >= WARM_UP)
            mark_end();
        must(vm_unmap(start.aspace, AT), "vm_unmap");
    }
    row("map");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        must(vm_map(start.aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ | PROT_WRITE), "vm_map");
        if (i >= WARM_UP)
            mark_begin();
        must(vm_unmap(start.aspace, AT), "vm_unmap");
        if (i >= WARM_UP)
            mark_end();
    }
    row("unmap");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        must(vm_map(start.aspace, big, 0, AT, BIG * PAGE_SIZE, PROT_READ | PROT_WRITE), "vm_map");
        if (i >= WARM_UP)
            mark_end();
        must(vm_unmap(start.aspace, AT), "vm_unmap");
    }
    row("map-512");
    vmo_t large;
    must(vmo_create(start.account, BIG * PAGE_SIZE, VMO_CONTIGUOUS, &large), "vmo_create");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        must(vm_map(start.aspace, large, 0, LARGE_AT, BIG * PAGE_SIZE, PROT_READ | PROT_WRITE),
             "vm_map");
        if (i >= WARM_UP)
            mark_end();
        must(vm_unmap(start.aspace, LARGE_AT), "vm_unmap");
    }
    row("map-large");
}

// ---- the order: the first thread, of the highest priority, starts the other side and lets the
// client do its rows

static event_t shared; // what the rows and the other side use
static event_t turn;   // 1: the client's; 2: ours
static void (*rows)(event_t event);

static void client(void *argument)
{
    (void)argument;
    uint32_t signals;
    for (;;) {
        must(object_wait((handle_t){turn.value}, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
        must(event_clear(turn, 1, &signals), "event_clear");
        rows(shared);
        must(event_signal(turn, 2), "event_signal");
    }
}

static void do_rows(void (*function)(event_t event))
{
    uint32_t signals;
    rows = function;
    must(event_signal(turn, 1), "event_signal");
    must(object_wait((handle_t){turn.value}, 2, ABI_DEADLINE_NEVER, &signals), "object_wait");
    must(event_clear(turn, 2, &signals), "event_clear");
}

static void do_rows_with(enum mode mode, uint64_t argument, uint64_t priority, uint64_t extra,
                         void (*function)(event_t event))
{
    start_other(mode, argument, priority, extra);
    do_rows(function);
    child_end(&other);
}

void root_main(void)
{
    thread_t thread;
    must(event_create(start.account, &shared), "event_create");
    must(event_create(start.account, &turn), "event_create");
    must(thread_spawn(client, nullptr, CLIENT_PRIORITY, &thread), "thread_spawn");
    do_rows(alone);
    do_rows_with(MODE_SERVER, 1, SERVER_PRIORITY, 0, calls);
    do_rows_with(MODE_SERVER, 64, SERVER_PRIORITY, 0, crowded_calls);
    do_rows_with(MODE_WAITER, 0, SERVER_PRIORITY, shared.value, wakes);
    do_rows_with(MODE_YIELDER, 0, CLIENT_PRIORITY, 0, yields);
    do_rows_with(MODE_FAULTER, 0, CLIENT_PRIORITY, 0, faults);
    interrupt_t interrupt;
    if (!device_open(&interrupt))
        give_up("the device that raises interrupts is not there");
    do_rows_with(MODE_DRIVER, 0, DRIVER_PRIORITY, interrupt.value, interrupts);
    do_rows_with(MODE_FPU_YIELDER, 0, CLIENT_PRIORITY, 0, fpu_yields);
}
