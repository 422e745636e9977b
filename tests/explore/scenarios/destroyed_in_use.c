// SPDX-License-Identifier: MIT
//
// Each call against the end of the object that one of its handles names: between the look into the
// table and the object's lock it may go. The call is answered as before or GONE, and what it had
// reserved or paid for by then is given back.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *destroyer, *user;
static uint64_t account, event, timer, port, vmo, machine, space, pin, line, process, aspace,
    thread;
static struct ends ends;

static void begin(void)
{
    begin_world(2);
    destroyer = spawn_on(0, new_account(400, 200), 10);
    user = spawn_thread_on(1, destroyer, 10);
    account = MUST(destroyer, ACCOUNT_CREATE, destroyer->account, 60, 60);
    event = MUST(destroyer, EVENT_CREATE, destroyer->account);
}

static void a_machine(void)
{
    machine = grant(destroyer, world.boss, world.machine);
    space = MUST(destroyer, MACHINE_DMA_SPACE, machine, destroyer->account, 7);
    vmo = MUST(destroyer, VMO_CREATE, destroyer->account, PAGE_SIZE, 0);
}

static void another_process(void)
{
    struct outcome made = CALL(destroyer, PROCESS_CREATE, destroyer->account, 0);
    process = made.value[0];
    aspace = made.value[1];
}

static void finish(void)
{
    status_t status = status_of(user, 0);
    EXPLORE_CHECK(status_of(destroyer, 0) == STATUS_OK || status == STATUS_OK); // both may end it
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE || status == STATUS_BAD_STATE);
    EXPLORE_CHECK(user->process->handles_reserved == 0);
}

#define DESTROYED_IN(name, bug, prepare, object, call, ...) \
    static void destroyed_in_##name(void)                   \
    {                                                       \
        begin();                                            \
        prepare;                                            \
        STEP(destroyer, OBJECT_DESTROY, object);            \
        STEP(user, call, __VA_ARGS__);                      \
        runs(destroyer);                                    \
        runs(user);                                         \
    }                                                       \
    SCENARIO(destroyed_in_##name, .canary = bug, .setup = destroyed_in_##name, .finish = finish)

DESTROYED_IN(inspect, "O2", , event, OBJECT_INSPECT, event);
DESTROYED_IN(inspect_account, "A3", , account, OBJECT_INSPECT, account);
DESTROYED_IN(duplicate, "O2", , event, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
DESTROYED_IN(destroy, "O2", , event, OBJECT_DESTROY, event);
DESTROYED_IN(signal, "O2", , event, EVENT_SIGNAL, event, 1);
DESTROYED_IN(clear, "O2", MUST(destroyer, EVENT_SIGNAL, event, 1), event, EVENT_CLEAR, event, 1);
DESTROYED_IN(wait, "O2", MUST(destroyer, EVENT_SIGNAL, event, 1), event, OBJECT_WAIT, event, 1, 0);

#define A_TIMER timer = MUST(destroyer, TIMER_CREATE, destroyer->account)
DESTROYED_IN(timer_set, "O2", A_TIMER, timer, TIMER_SET, timer, 1'000'000'000);
DESTROYED_IN(timer_cancel, "O2", A_TIMER, timer, TIMER_CANCEL, timer);

#define A_PORT port = MUST(destroyer, PORT_CREATE, destroyer->account)
DESTROYED_IN(bind, "O2", A_PORT, event, PORT_BIND, port, event, 5, 1);
DESTROYED_IN(bind_to, nullptr, A_PORT, port, PORT_BIND, port, event, 5, 1);
DESTROYED_IN(unbind, "O2", (A_PORT, MUST(destroyer, PORT_BIND, port, event, 5, 1)), event,
             PORT_UNBIND, event);
DESTROYED_IN(port_receive, "O2",
             (A_PORT, MUST(destroyer, PORT_BIND, port, event, 5, 1),
              MUST(destroyer, EVENT_SIGNAL, event, 1)),
             port, PORT_RECEIVE, port, 0);

#define A_CHANNEL ends = new_channel(destroyer, 2, 64, 1, 1)
#define A_MESSAGE (A_CHANNEL, MUST(destroyer, CHANNEL_SEND, ends.end0, MSG(0, 0)))
DESTROYED_IN(send, "O2", A_CHANNEL, ends.end0, CHANNEL_SEND, ends.end0, MSG(0, 0));
DESTROYED_IN(receive, "O2", A_MESSAGE, ends.end1, CHANNEL_RECEIVE, ends.end1, 0);

// What pays.
DESTROYED_IN(event_create, "O2", , account, EVENT_CREATE, account);
DESTROYED_IN(timer_create, "O2", , account, TIMER_CREATE, account);
DESTROYED_IN(port_create, "O2", , account, PORT_CREATE, account);
DESTROYED_IN(vmo_create, "O2", , account, VMO_CREATE, account, PAGE_SIZE, 0);
DESTROYED_IN(vmo_slice, "O2", a_machine(), account, VMO_SLICE, account, vmo, 0, PAGE_SIZE,
             RIGHT_READ);
DESTROYED_IN(channel_create, "O2", , account, CHANNEL_CREATE, destroyer->account, account,
             ABI_CHANNEL_SHAPE(1, 64, 0, 0), OVERFLOW_REJECT);
DESTROYED_IN(channel_create_first, "O2", , account, CHANNEL_CREATE, account, destroyer->account,
             ABI_CHANNEL_SHAPE(1, 64, 0, 0), OVERFLOW_REJECT);
DESTROYED_IN(account_create, "O2", , account, ACCOUNT_CREATE, account, 10, 10);
DESTROYED_IN(process_create, "O2", , account, PROCESS_CREATE, account, 0);
DESTROYED_IN(mint_memory, "O2", a_machine(), account, MACHINE_DEVICE_MEMORY, machine, account,
             0xd000'0000, PAGE_SIZE, MEMORY_DEVICE);
DESTROYED_IN(mint_line, "O2", a_machine(), account, MACHINE_INTERRUPT, machine, account, 10,
             TRIGGER_EDGE);
DESTROYED_IN(mint_space, "O2", a_machine(), account, MACHINE_DMA_SPACE, machine, account, 9);
DESTROYED_IN(pin_create, "O2", a_machine(), account, PIN_CREATE, space, account, vmo, 0, PAGE_SIZE,
             DMA_BOTH);

// Memory, and what devices reach.
DESTROYED_IN(map, "O2", a_machine(), vmo, VM_MAP, destroyer->own_aspace, vmo, 0, AT, PAGE_SIZE,
             PROT_READ);
DESTROYED_IN(pin, "O2", a_machine(), vmo, PIN_CREATE, space, destroyer->account, vmo, 0, PAGE_SIZE,
             DMA_BOTH);
DESTROYED_IN(pin_by, "O2", a_machine(), space, PIN_CREATE, space, destroyer->account, vmo, 0,
             PAGE_SIZE, DMA_BOTH);

#define A_PIN     \
    (a_machine(), \
     pin = MUST(destroyer, PIN_CREATE, space, destroyer->account, vmo, 0, PAGE_SIZE, DMA_BOTH))
DESTROYED_IN(pin_addresses, "O2", A_PIN, pin, PIN_ADDRESSES, pin, 0);
DESTROYED_IN(pin_sync, "O2", A_PIN, pin, PIN_SYNC, pin, 0, PAGE_SIZE, SYNC_CPU);
DESTROYED_IN(pin_release, "O2", A_PIN, pin, PIN_RELEASE, pin);

#define A_LINE    \
    (a_machine(), \
     line = MUST(destroyer, MACHINE_INTERRUPT, machine, destroyer->account, 10, TRIGGER_EDGE))
DESTROYED_IN(acknowledge, "O2", A_LINE, line, INTERRUPT_ACKNOWLEDGE, line);

// Processes and threads.
DESTROYED_IN(thread_create, "O2", another_process(), process, THREAD_CREATE, process, 5, AT);
DESTROYED_IN(map_into, "A2", (a_machine(), another_process()), process, VM_MAP, aspace, vmo, 0, AT,
             PAGE_SIZE, PROT_READ);

#define A_THREAD (another_process(), thread = MUST(destroyer, THREAD_CREATE, process, 5, AT))
DESTROYED_IN(thread_start, "O2", A_THREAD, thread, THREAD_START, thread, 0x1000, 0, 0, 0);
DESTROYED_IN(thread_cancel, "O2", A_THREAD, thread, THREAD_CANCEL, thread);
DESTROYED_IN(thread_set_priority, "O2", A_THREAD, thread, THREAD_SET_PRIORITY, thread, 3);
DESTROYED_IN(thread_set_cpu, "O2", A_THREAD, thread, THREAD_SET_CPU, thread, 1);

// Its slot is another object's soon after.
#define USED_AGAIN_IN(name, call, ...)                                       \
    static void used_again_in_##name(void)                                   \
    {                                                                        \
        begin();                                                             \
        machine = grant(destroyer, world.boss, world.machine);               \
        line = MUST(destroyer, MACHINE_IO_RANGE, machine, account, 0x70, 8); \
        STEP(destroyer, OBJECT_DESTROY, line);                               \
        STEP(destroyer, EVENT_CREATE, destroyer->account);                   \
        STEP(user, call, __VA_ARGS__);                                       \
        runs(destroyer);                                                     \
        runs(user);                                                          \
    }                                                                        \
    SCENARIO(used_again_in_##name, .canary = "O2", .setup = used_again_in_##name, .finish = finish)

USED_AGAIN_IN(io_read, IO_READ, line, 0, 1);
USED_AGAIN_IN(io_write, IO_WRITE, line, 0, 1, 5);
