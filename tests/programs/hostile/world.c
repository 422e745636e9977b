// SPDX-License-Identifier: MIT
//
// The objects that the attack needs, and the threads beside the attacking one.
#include "attack.h"

#include <kit/device.h>

constexpr uint64_t HELPER_PRIORITY = 25;
constexpr uint64_t WINDOW = 0x40'0000'0000;
constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(2, 64, 2, 2);
constexpr uint32_t KEPT_MAX = 128;

struct world world;
static uint64_t kept[KEPT_MAX];
static uint32_t kept_count;

void world_keep(uint64_t handle)
{
    if (kept_count == KEPT_MAX)
        give_up("the world has too many handles");
    kept[kept_count++] = handle;
}

bool world_holds(uint64_t handle)
{
    for (uint32_t i = 0; i < kept_count; i++)
        if (kept[i] == handle)
            return true;
    return false;
}

uint64_t fresh_address(void)
{
    static uint64_t next;
    return WINDOW + next++ % 512 * 2 * PAGE_SIZE;
}

// ---- threads

static _Atomic uint32_t pest_does;
static struct abi_message_buffer *main_buffer;
static event_t go;

void pest(uint32_t what)
{
    main_buffer = message_buffer();
    pest_does = what;
}

// Rewrites the attacker's message buffer while its calls are under way, and cancels its waits.
static void run_pest(void *argument)
{
    (void)argument;
    struct random random = {child_start.words[1] ^ 0x5eed};
    for (;;) {
        (void)thread_sleep(now_ns() + 20'000 + random_below(&random, 200'000));
        uint32_t does = pest_does;
        if (does & PEST_SCRIBBLE) {
            for (uint32_t i = 0; i < ABI_MESSAGE_HANDLES; i++)
                main_buffer->handles[i] ^= random_next(&random) >> random_below(&random, 64);
            for (uint32_t i = 0; i < 128; i++)
                main_buffer->data[i] = (uint8_t)random_next(&random);
        }
        if (does & PEST_CANCEL)
            (void)thread_cancel(world.main);
    }
}

static void run_sleeper(void *argument)
{
    (void)argument;
    for (;;)
        (void)thread_sleep(ABI_DEADLINE_NEVER);
}

static channel_t caller_end;

static void run_caller(void *argument)
{
    (void)argument;
    uint32_t signals;
    uint64_t reply;
    for (;;) {
        if (object_wait((handle_t){go.value}, 1, ABI_DEADLINE_NEVER, &signals) != STATUS_OK)
            continue;
        (void)event_clear(go, 1, &signals);
        (void)channel_call(caller_end, MSG(8, 0), ABI_DEADLINE_NEVER, &reply);
    }
}

void caller_ask(void)
{
    must(event_signal(go, 1), "event_signal");
}

static channel_t echo_end;

// Answers whatever comes with its own bytes, and keeps no handle.
static void run_echo(void *argument)
{
    (void)argument;
    port_t port;
    uint64_t key, message = 0, token = 0;
    uint32_t signals;
    must(port_create(start.account, &port), "port_create");
    world_keep(port.value);
    must(port_bind(port, (handle_t){echo_end.value}, 0, SIGNAL_READABLE), "port_bind");
    status_t status = port_receive(port, ABI_DEADLINE_NEVER, &key, &signals, &message, &token);
    for (;;) {
        for (uint32_t i = 0; status == STATUS_OK && i < MSG_HANDLES(message); i++)
            handle_close((handle_t){message_buffer()->handles[i]});
        uint64_t reply = MSG(status == STATUS_OK ? MSG_BYTES(message) : 0, 0);
        status = channel_reply_receive(echo_end, token, reply, port, ABI_DEADLINE_NEVER, &key,
                                       &signals, &message, &token);
    }
}

static thread_t spawn(void (*function)(void *))
{
    thread_t thread;
    must(thread_spawn(function, nullptr, HELPER_PRIORITY, &thread), "thread_spawn");
    world_keep(thread.value);
    return thread;
}

static void make_threads(void)
{
    must(event_create(start.account, &go), "event_create");
    must(channel_create(start.account, start.account, SHAPE, OVERFLOW_REJECT, &caller_end,
                        &world.asked),
         "channel_create");
    must(channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(8, 64, 2, 8),
                        OVERFLOW_REJECT, &world.echo, &echo_end),
         "channel_create");
    world_keep(go.value);
    world_keep(caller_end.value);
    world_keep(echo_end.value);
    world.sleeper = spawn(run_sleeper);
    world.caller = spawn(run_caller);
    spawn(run_echo);
    spawn(run_pest);
}

// ---- objects

static void make_simple(void)
{
    must(event_create(start.account, &world.event), "event_create");
    must(event_create(start.account, &world.raised), "event_create");
    must(event_signal(world.raised, 1), "event_signal");
    must(event_create(start.account, &world.pending), "event_create");
    must(timer_create(start.account, &world.timer), "timer_create");
    must(port_create(start.account, &world.port), "port_create");
    must(port_create(start.account, &world.reply_port), "port_create");
    must(port_bind(world.reply_port, (handle_t){world.pending.value}, 1, 1), "port_bind");
    must(vmo_create(start.account, 4 * PAGE_SIZE, 0, &world.vmo), "vmo_create");
    must(channel_create(start.account, start.account, SHAPE, OVERFLOW_REJECT, &world.end0,
                        &world.end1),
         "channel_create");
    must(channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(1, 64, 2, 1),
                        OVERFLOW_BLOCK, &world.full, &world.full_peer),
         "channel_create");
    must(channel_send(world.full, MSG(0, 0), 0), "channel_send");
    channel_t closed;
    must(channel_create(start.account, start.account, SHAPE, OVERFLOW_REJECT, &world.no_peer,
                        &closed),
         "channel_create");
    handle_close((handle_t){closed.value});
}

static void make_process(account_t account, process_t *process, aspace_t *aspace)
{
    must(process_create(account, (channel_t){0}, 0, 0, process, aspace), "process_create");
}

// Accounts that are full, each in one of its figures, and one that is being destroyed.
static void make_poor(void)
{
    account_t keeper;
    must(account_create(start.account, 8, 8, 0, 0, 0, &world.spare), "account_create");
    must(account_create(start.account, 64, 3, 0, 0, 0, &world.no_objects), "account_create");
    make_process(world.no_objects, &world.process_no_objects, &world.aspace_no_objects);
    must(port_create(world.no_objects, &world.port_no_objects), "port_create");
    must(account_create(start.account, 1, 64, 0, 0, 0, &world.no_pages), "account_create");
    make_process(world.no_pages, &world.process_no_pages, &world.aspace_no_pages);
    must(account_create(start.account, 1, 1, 0, 0, 0, &world.dying), "account_create");
    must(account_create(start.account, 4, 4, 0, 0, 0, &keeper), "account_create");
    must(object_destroy((handle_t){world.dying.value}), "object_destroy");
    handle_close((handle_t){keeper.value});
}

void stub_stack_map(aspace_t aspace)
{
    must(vm_map(aspace, world.vmo, 3 * PAGE_SIZE, STUB_STACK, PAGE_SIZE, PROT_READ | PROT_WRITE),
         "vm_map");
}

static void make_victim(void)
{
    make_process(start.account, &world.process, &world.aspace);
    must(thread_create(world.process, 1, WINDOW - 2 * PAGE_SIZE, &world.new_thread),
         "thread_create");
    must(vm_map(world.aspace, child_start.text, 0, text_base, text_bytes, PROT_READ | PROT_EXECUTE),
         "vm_map");
    stub_stack_map(world.aspace);
}

static void make_devices(void)
{
    must(machine_dma_space(start.machine, start.account, 1, &world.dmaspace), "machine_dma_space");
    must(pin_create(world.dmaspace, start.account, world.vmo, 0, PAGE_SIZE, DMA_BOTH, &world.pin),
         "pin_create");
    if (machine_has_ports)
        must(machine_io_range(start.machine, start.account, spare_ports, 8, &world.ports),
             "machine_io_range");
    if (!device_open(&world.interrupt))
        give_up("the device that raises interrupts is not there");
}

// Of every type that can be destroyed, one that was.
static void make_gone(void)
{
    account_t outer, inner;
    process_t process;
    aspace_t aspace;
    thread_t thread;
    must(account_create(start.account, 64, 32, 0, 0, 0, &outer), "account_create");
    must(account_create(outer, 4, 4, 0, 0, 0, &inner), "account_create");
    make_process(outer, &process, &aspace);
    must(thread_create(process, 1, WINDOW, &thread), "thread_create");
    event_t event;
    timer_t timer;
    port_t port;
    vmo_t vmo;
    channel_t end0, end1;
    dmaspace_t dmaspace;
    pin_t pin;
    interrupt_t interrupt;
    iorange_t ports = {0};
    must(event_create(outer, &event), "event_create");
    must(timer_create(outer, &timer), "timer_create");
    must(port_create(outer, &port), "port_create");
    must(vmo_create(outer, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(channel_create(outer, outer, SHAPE, OVERFLOW_REJECT, &end0, &end1), "channel_create");
    must(machine_dma_space(start.machine, outer, 2, &dmaspace), "machine_dma_space");
    must(pin_create(dmaspace, outer, vmo, 0, PAGE_SIZE, DMA_BOTH, &pin), "pin_create");
    must(pin_release(pin), "pin_release");
    must(machine_interrupt(start.machine, outer, spare_line, TRIGGER_EDGE, &interrupt),
         "machine_interrupt");
    if (machine_has_ports)
        must(machine_io_range(start.machine, outer, spare_ports + 8, 1, &ports),
             "machine_io_range");
    const uint64_t gone[OBJECT_COUNT] = {
        [OBJECT_ACCOUNT] = inner.value, [OBJECT_PROCESS] = process.value,
        [OBJECT_THREAD] = thread.value, [OBJECT_ASPACE] = aspace.value,
        [OBJECT_VMO] = vmo.value,       [OBJECT_CHANNEL] = end0.value,
        [OBJECT_PORT] = port.value,     [OBJECT_EVENT] = event.value,
        [OBJECT_TIMER] = timer.value,   [OBJECT_INTERRUPT] = interrupt.value,
        [OBJECT_IORANGE] = ports.value, [OBJECT_DMASPACE] = dmaspace.value,
        [OBJECT_PIN] = pin.value,
    };
    memcpy(world.gone, gone, sizeof(gone));
    uint32_t signals;
    must(object_destroy((handle_t){outer.value}), "object_destroy");
    must(object_wait((handle_t){outer.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
}

void world_make(void)
{
    make_simple();
    make_poor();
    make_victim();
    make_devices();
    make_gone();
    make_threads();
    const uint64_t *words = (const uint64_t *)&world;
    for (size_t i = 0; i < sizeof(world) / sizeof(*words); i++)
        if (words[i] != 0)
            world_keep(words[i]);
    const uint64_t own[] = {start.account.value,   start.process.value, start.aspace.value,
                            start.log.value,       start.machine.value, start.bootstrap.value,
                            child_start.text.value};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        world_keep(own[i]);
}
