// SPDX-License-Identifier: MIT
//
// The kinds of objects: what two actors, or three, begin with, the calls that are drawn, and the planted
// bugs that must be found and shrunk.
#include "property.h"

#include <lib/types.h>

enum { NEXT = FIRST }; // the first register that is empty

static void two_actors(uint64_t pages, uint64_t objects)
{
    register_count = REGISTERS;
    actor_cpu = 0;
    (void)make_actor(pages, objects);
    actor_cpu = world_cpus > 1;
    (void)make_actor(pages, objects);
}

static void gives(uint8_t from, uint8_t at, uint8_t to, uint8_t to_register)
{
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = from, .argument = {V(at), V(to), V(to_register)}});
}

// What the first actor makes, for both.
static void shares(uint16_t number, uint8_t at)
{
    prepare((struct action){.number = number, .argument = {R(ACCOUNT)}, .new_handles = 1});
    gives(0, at, 1, at);
}

#define COMMON                                                                                    \
    SYSCALL_HANDLE_CLOSE, SYSCALL_HANDLE_CLOSE, SYSCALL_HANDLE_DUPLICATE, SYSCALL_OBJECT_DESTROY, \
        SYSCALL_OBJECT_INSPECT, SYSCALL_OBJECT_WAIT, NO_CALL
#define CALLS_DRAWN(...) ((const uint16_t[]){__VA_ARGS__, COMMON})
#define C(name) SYSCALL_##name

#define BUG(name_, most_) {.name = (name_), .most = (most_), .cpus = 1}
#define BUG_OF_TWO(name_, most_) {.name = (name_), .most = (most_), .cpus = 2} // CPUs

// ---- handles, events and timers

static void setup_handles(void)
{
    two_actors(0, 4);
    shares(C(EVENT_CREATE), NEXT);
}

static const struct kind handles = {
    .name = "handles",
    .setup = setup_handles,
    .calls = CALLS_DRAWN(C(EVENT_CREATE), C(TIMER_CREATE), C(HANDLE_DUPLICATE), C(HANDLE_DUPLICATE),
                         C(EVENT_SIGNAL), C(EVENT_CLEAR), C(HANDLE_CLOSE)),
    .bugs = {BUG("O1", 1), BUG("O2", 2)},
};

static const struct kind events = {
    .name = "events",
    .setup = setup_handles,
    .calls = CALLS_DRAWN(C(EVENT_CREATE), C(EVENT_SIGNAL), C(EVENT_SIGNAL), C(EVENT_CLEAR),
                         C(EVENT_CLEAR), C(OBJECT_WAIT), C(OBJECT_WAIT), C(THREAD_SLEEP)),
    .bugs = {BUG("L1", 1), BUG("S2", 2)},
};

static void setup_timers(void)
{
    two_actors(0, 4);
    shares(C(TIMER_CREATE), NEXT);
}

static const struct kind timers = {
    .name = "timers",
    .setup = setup_timers,
    .calls = CALLS_DRAWN(C(TIMER_CREATE), C(TIMER_SET), C(TIMER_SET), C(TIMER_CANCEL),
                         C(OBJECT_WAIT), C(THREAD_SLEEP)),
    .bugs = {BUG("T2", 5), BUG("T2 cancel", 3)},
};

// ---- accounts

static void setup_accounts(void)
{
    two_actors(6, 9);
    gives(0, ACCOUNT, 1, NEXT);
}

static const struct kind accounts = {
    .name = "accounts",
    .setup = setup_accounts,
    .calls = CALLS_DRAWN(C(ACCOUNT_CREATE), C(ACCOUNT_CREATE), C(ACCOUNT_RESIZE), C(ACCOUNT_RESIZE),
                         C(EVENT_CREATE), C(VMO_CREATE), C(CHANNEL_CREATE)),
    .contiguous = 1,
    .bugs = {BUG("A4 twice", 3), BUG("A1", 3), BUG("A2", 3), BUG("A3", 2), BUG("A resize", 4)},
};

// ---- shares of CPUs

static void setup_shares(void)
{
    two_actors(8, 9);
    gives(0, ACCOUNT, 1, NEXT);
    for (uint32_t cpu = 0; cpu < world_cpus; cpu++)
        give_cpu(0, cpu);
}

static const struct kind shares_of_cpus = {
    .name = "shares",
    .setup = setup_shares,
    .calls = CALLS_DRAWN(C(ACCOUNT_CREATE), C(ACCOUNT_CREATE), C(ACCOUNT_BUDGET), C(ACCOUNT_BUDGET),
                         C(ACCOUNT_BUDGET), C(ACCOUNT_BUDGET), C(VMO_CREATE)),
    .bugs = {BUG("C1", 4)},
};

// ---- processes and threads

static void setup_processes(void)
{
    two_actors(12, 10);
    gives(0, THREAD, 1, NEXT);
}

static const struct kind processes = {
    .name = "processes",
    .setup = setup_processes,
    .calls = CALLS_DRAWN(C(PROCESS_CREATE), C(PROCESS_CREATE), C(THREAD_CREATE), C(THREAD_CREATE),
                         C(VMO_CREATE), C(VM_MAP), C(VM_UNMAP), C(CHANNEL_CREATE)),
    .bugs = {BUG("A2", 2), BUG("M3", 3)},
};

static const struct kind threads = {
    .name = "threads",
    .setup = setup_processes,
    .calls = CALLS_DRAWN(C(PROCESS_CREATE), C(THREAD_CREATE), C(THREAD_CREATE),
                         C(THREAD_SET_PRIORITY), C(THREAD_CANCEL), C(THREAD_CANCEL),
                         C(THREAD_SLEEP), C(THREAD_YIELD), C(EVENT_CREATE), C(EVENT_SIGNAL)),
    .bugs = {BUG("I3", 3)},
};

// ---- memory

static void setup_memory(void)
{
    two_actors(5, 8);
    prepare((struct action){.number = C(VMO_CREATE),
                            .argument = {R(ACCOUNT), V(2 * ABI_PAGE_SIZE), V(0)},
                            .new_handles = 1});
    gives(0, NEXT, 1, NEXT);
}

static const struct kind mappings = {
    .name = "mappings",
    .setup = setup_memory,
    .calls = CALLS_DRAWN(C(VM_MAP), C(VM_MAP), C(VM_MAP), C(VM_UNMAP), C(VM_UNMAP), C(VM_PROTECT),
                         C(VM_PROTECT), C(VMO_CREATE)),
    .touches = true,
    .bugs = {BUG("M2", 3), BUG("M5", 1), BUG("M6", 4), BUG("M6 protect", 4), BUG("M2 overlap", 3)},
};

static const struct kind vmos = {
    .name = "vmos",
    .setup = setup_memory,
    .calls = CALLS_DRAWN(C(VMO_CREATE), C(VMO_CREATE), C(VM_MAP), C(VM_MAP), C(VM_UNMAP)),
    .touches = true,
    .bugs = {BUG("M1", 2), BUG("M3", 2), BUG("M8", 2), BUG("A2", 2)},
};

static void setup_slices(void)
{
    setup_memory();
    prepare((struct action){
        .number = C(VMO_SLICE),
        .argument = {R(ACCOUNT), R(NEXT), V(ABI_PAGE_SIZE), V(ABI_PAGE_SIZE), V(RIGHTS_VMO)},
        .new_handles = 1});
    gives(0, NEXT + 1, 1, NEXT + 1);
}

static const struct kind slices = {
    .name = "slices",
    .setup = setup_slices,
    .calls = CALLS_DRAWN(C(VMO_SLICE), C(VMO_SLICE), C(VMO_SLICE), C(VMO_SLICE), C(VM_MAP),
                         C(VM_MAP), C(VM_MAP), C(VM_UNMAP), C(VMO_CREATE)),
    .touches = true,
    .bugs = {BUG("O1 slice", 1), BUG("M2 slice", 1), BUG("O2 slice", 1), BUG("M8", 2)},
};

// ---- channels and ports

static void setup_channels(void)
{
    two_actors(8, 8);
    prepare((struct action){
        .number = C(CHANNEL_CREATE),
        .argument = {R(ACCOUNT), R(ACCOUNT), V(ABI_CHANNEL_SHAPE(2, 8, 2, 2)), V(OVERFLOW_BLOCK)},
        .new_handles = 2});
    gives(0, NEXT + 1, 1, NEXT);
    prepare(CALLS(0, HANDLE_CLOSE, R(NEXT + 1)));
    gives(0, THREAD, 1, NEXT + 1);
}

static const struct kind channels = {
    .name = "channels",
    .setup = setup_channels,
    .calls = CALLS_DRAWN(C(CHANNEL_CREATE), C(CHANNEL_SEND), C(CHANNEL_SEND), C(CHANNEL_SEND),
                         C(CHANNEL_RECEIVE), C(CHANNEL_RECEIVE), C(CHANNEL_CALL), C(CHANNEL_CALL),
                         C(CHANNEL_REPLY), C(CHANNEL_REPLY), C(EVENT_CREATE), C(THREAD_CANCEL)),
    .bugs = {BUG("I1", 3), BUG("I4", 2), BUG("I5", 5), BUG("O3", 2), BUG("I2 lost", 5),
             BUG_OF_TWO("I2 receive", 3)},
};

static void setup_ports(void)
{
    two_actors(6, 12);
    prepare((struct action){
        .number = C(CHANNEL_CREATE),
        .argument = {R(ACCOUNT), R(ACCOUNT), V(ABI_CHANNEL_SHAPE(2, 8, 2, 2)), V(OVERFLOW_REJECT)},
        .new_handles = 2});
    gives(0, NEXT + 1, 1, NEXT);
    prepare(CALLS(0, HANDLE_CLOSE, R(NEXT + 1)));
    shares(C(PORT_CREATE), NEXT + 1);
}

static const struct kind ports = {
    .name = "ports",
    .setup = setup_ports,
    .calls =
        CALLS_DRAWN(C(PORT_CREATE), C(PORT_BIND), C(PORT_BIND), C(PORT_UNBIND), C(PORT_RECEIVE),
                    C(PORT_RECEIVE), C(CHANNEL_REPLY_RECEIVE), C(CHANNEL_SEND), C(CHANNEL_CALL),
                    C(EVENT_CREATE), C(EVENT_SIGNAL), C(TIMER_CREATE), C(TIMER_SET)),
    .bugs = {BUG("S2", 2), BUG("I3", 3), BUG_OF_TWO("P bind", 4)},
};

// ---- devices

static void setup_devices(void)
{
    two_actors(4, 8);
    (void)give_machine(0);
    gives(0, NEXT, 1, NEXT);
}

static const struct kind interrupts = {
    .name = "interrupts",
    .setup = setup_devices,
    .calls = CALLS_DRAWN(C(MACHINE_INTERRUPT), C(MACHINE_INTERRUPT), C(INTERRUPT_ACKNOWLEDGE),
                         C(INTERRUPT_ACKNOWLEDGE), C(INTERRUPT_ACKNOWLEDGE), C(PORT_CREATE),
                         C(PORT_BIND), C(PORT_RECEIVE)),
    .lines = true,
    .bugs = {BUG("Q1", 2), BUG("Q2", 4), BUG("Q unregister", 3)},
};

static const struct kind io_ranges = {
    .name = "io_ranges",
    .setup = setup_devices,
    .calls = CALLS_DRAWN(C(MACHINE_IO_RANGE), C(MACHINE_IO_RANGE), C(IO_READ), C(IO_READ),
                         C(IO_WRITE), C(IO_WRITE)),
};

static const struct kind pins = {
    .name = "pins",
    .setup = setup_devices,
    .calls = CALLS_DRAWN(C(MACHINE_DMA_SPACE), C(PIN_CREATE), C(PIN_CREATE), C(PIN_CREATE),
                         C(PIN_ADDRESSES), C(PIN_SYNC), C(PIN_RELEASE), C(PIN_RELEASE),
                         C(MACHINE_DEVICE_QUIET), C(VMO_CREATE)),
    .bugs = {BUG("M4", 5), BUG("M7", 6)},
};

const struct kind *const kinds[] = {&handles,   &events,  &timers,     &accounts,  &shares_of_cpus,
                                    &processes, &threads, &mappings,   &vmos,      &slices,
                                    &channels,  &ports,   &interrupts, &io_ranges, &pins};
const unsigned kind_count = ARRAY_SIZE(kinds);
