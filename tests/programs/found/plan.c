// SPDX-License-Identifier: MIT
//
// What the steps of a plan are. See plan.h.
#include "plan.h"

#include <abi/layout.h>

constexpr unsigned EACH = 4, THREADS = 64, HANDLES = 4096;
constexpr uint64_t PAGE = ABI_PAGE_SIZE, SOON_NS = 10'000'000;
constexpr uint64_t GIB = 1ull << 30, HIGH = 512 * GIB; // where every table but the root is another
constexpr uint64_t RW = PROT_READ | PROT_WRITE;

enum op : uint8_t {
    MAKE_VMO,
    MAP,
    UNMAP,
    PROTECT,
    MAKE_CHANNEL,
    SEND,
    DO_CALL,
    RECEIVE,
    REPLY,
    MAKE_EVENT,
    WAIT,
    RAISE,
    CLEAR,
    MAKE_PORT,
    BIND,
    TAKE,
    SET_TIMERS,
    SLEEP,
    PASS_TIME,
    DESTROY,
    MAKE_PROCESS,
    MAKE_THREAD,
    MAKE_ACCOUNT,
    RESIZE,
    MAKE_PIN,
    TELL_PIN,
    SYNC_PIN,
    QUIET,
    COPY,
    CANCEL,
    LOG,
    OPS,
};
const unsigned plan_ops = OPS;
const char *const plan_op_names[] = {
    "MAKE_VMO",  "MAP",       "UNMAP",        "PROTECT",     "MAKE_CHANNEL", "SEND",
    "DO_CALL",   "RECEIVE",   "REPLY",        "MAKE_EVENT",  "WAIT",         "RAISE",
    "CLEAR",     "MAKE_PORT", "BIND",         "TAKE",        "SET_TIMERS",   "SLEEP",
    "PASS_TIME", "DESTROY",   "MAKE_PROCESS", "MAKE_THREAD", "MAKE_ACCOUNT", "RESIZE",
    "MAKE_PIN",  "TELL_PIN",  "SYNC_PIN",     "QUIET",       "COPY",         "CANCEL",
    "LOG",
};

struct plan_world plan_world;

// What a plan has made, and all handles that it got.
static struct {
    uint64_t account, below[EACH], vmo[EACH], end0[EACH], end1[EACH], event[EACH], port[EACH],
        process[EACH], pin[EACH], space, thread, timer;
    uint64_t token[EACH];
    uint64_t at_ns; // when sleepers and timers are due
    uint64_t handles[HANDLES];
    unsigned handle_count;
} made;

static uint64_t keep(uint64_t handle)
{
    if (handle != 0 && made.handle_count < HANDLES)
        made.handles[made.handle_count++] = handle;
    return handle;
}

static struct plan_result call(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                               uint64_t a4, uint64_t a5)
{
    return plan_syscall(0, number, a0, a1, a2, a3, a4, a5);
}
#define CALL_(name, a0, a1, a2, a3, a4, a5) call(SYSCALL_##name, a0, a1, a2, a3, a4, a5)

// The first result of a call that makes something; 0: it failed.
static uint64_t made_by(struct plan_result result)
{
    return result.status == STATUS_OK ? keep(result.value[0]) : 0;
}

static uint64_t pages_of(uint8_t amount)
{
    static const uint16_t sizes[] = {1, 2, 63, 64, 65, 256, 512, 513, 1024, 1100, 2048, 3000};
    return sizes[amount % (sizeof sizes / sizeof sizes[0])];
}

static uint64_t address_of(uint8_t object)
{
    uint64_t base = (1 + object % EACH) * HIGH;
    return object / EACH % 2 ? base - 33 * PAGE : base + (object / 8 % 8) * 4 * GIB;
}

static unsigned idle_worker(void)
{
    for (unsigned i = 1; i <= PLAN_WORKERS; i++)
        if (!plan_waits(i))
            return i;
    return 0;
}

static void make_channel(unsigned i, uint8_t amount)
{
    static const uint64_t shapes[] = {
        ABI_CHANNEL_SHAPE(8, ABI_MESSAGE_BYTES, 8, 64), ABI_CHANNEL_SHAPE(2048, 0, 0, 64),
        ABI_CHANNEL_SHAPE(1, ABI_MESSAGE_BYTES, 8, 0), ABI_CHANNEL_SHAPE(64, 0, 8, 64)};
    struct plan_result result =
        CALL_(CHANNEL_CREATE, made.account, made.account, shapes[amount % 4], amount / 4 % 3, 0, 0);
    made.end0[i] = made_by(result);
    made.end1[i] = result.status == STATUS_OK ? keep(result.value[1]) : 0;
}

// The largest message, or one without anything; as one that can wait, or never waits.
static void send(unsigned i, uint8_t amount, uint64_t number)
{
    unsigned who = amount & 1 || number == SYSCALL_CHANNEL_CALL ? idle_worker() : 0;
    if (who == 0 && number == SYSCALL_CHANNEL_CALL)
        return;
    uint64_t message = MSG(0, 0);
    if (amount & 2) {
        for (unsigned h = 0; h < ABI_MESSAGE_HANDLES; h++)
            plan_buffer_handles(who)[h] = made_by(CALL_(EVENT_CREATE, made.account, 0, 0, 0, 0, 0));
        message = MSG(ABI_MESSAGE_BYTES, ABI_MESSAGE_HANDLES);
    }
    if (number == SYSCALL_CHANNEL_CALL)
        message |= (amount & 2 ? 8ull : 0) << MSG_REPLY_HANDLES_SHIFT;
    (void)plan_syscall(who, number, made.end0[i], message, who ? ABI_DEADLINE_NEVER : 0, 0, 0, 0);
}

static void receive(unsigned i)
{
    struct plan_result got = CALL_(CHANNEL_RECEIVE, made.end1[i], 0, 0, 0, 0, 0);
    if (got.status != STATUS_OK)
        return;
    for (unsigned h = 0; h < MSG_HANDLES(got.value[0]); h++)
        keep(plan_buffer_handles(0)[h]);
    if (got.value[0] & MSG_CALL)
        made.token[i] = got.value[1];
}

static uint64_t any_of(uint8_t kind, unsigned i)
{
    const uint64_t all[] = {made.vmo[i],   made.end0[i], made.end1[i], made.event[i],
                            made.port[i],  made.pin[i],  made.space,   made.process[i],
                            made.below[i], made.thread,  made.timer,   made.event[0]};
    return all[kind % (sizeof all / sizeof all[0])];
}

static void set_timer(unsigned i)
{
    made.timer = made_by(CALL_(TIMER_CREATE, made.account, 0, 0, 0, 0, 0));
    (void)CALL_(PORT_BIND, made.port[i], made.timer, made.handle_count, SIGNAL_FIRED, 0, 0);
    (void)CALL_(TIMER_SET, made.timer, made.at_ns, 0, 0, 0, 0);
}

static void make_pin(unsigned i, uint8_t amount)
{
    if (!made.space)
        made.space = made_by(CALL_(MACHINE_DMA_SPACE, plan_world.machine, made.account,
                                   1 + amount / 16 % 2, 0, 0, 0));
    uint64_t pages = pages_of(amount);
    made.pin[i] =
        made_by(CALL_(PIN_CREATE, made.space, made.account, made.vmo[i], 0,
                      (pages > ABI_PIN_MAX_PAGES ? ABI_PIN_MAX_PAGES : pages) * PAGE, DMA_BOTH));
}

static void make_process(unsigned i)
{
    struct plan_result result =
        CALL_(PROCESS_CREATE, made.below[i] ? made.below[i] : made.account, 0, 0, 0, 0, 0);
    made.process[i] = made_by(result);
    if (result.status == STATUS_OK)
        keep(result.value[1]);
}

static void wait_as_worker(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
    unsigned who = idle_worker();
    if (who != 0)
        (void)plan_syscall(who, number, a0, a1, a2, 0, 0, 0);
}

static void do_once(const struct plan_step *s, unsigned turn)
{
    unsigned i = s->object % EACH;
    switch ((enum op)(s->op % OPS)) {
    case MAKE_VMO:
        made.vmo[i] =
            made_by(CALL_(VMO_CREATE, made.account, pages_of(s->amount) * PAGE, 0, 0, 0, 0));
        break;
    case MAP:
        (void)CALL_(VM_MAP, plan_world.aspace, made.vmo[i], 0, address_of(s->object) + turn * GIB,
                    pages_of(s->amount) * PAGE, RW);
        break;
    case UNMAP:
        (void)CALL_(VM_UNMAP, plan_world.aspace, address_of(s->object) + turn * GIB, 0, 0, 0, 0);
        break;
    case PROTECT:
        (void)CALL_(VM_PROTECT, plan_world.aspace, address_of(s->object) + turn * GIB,
                    s->amount & 1 ? RW : PROT_READ, 0, 0, 0);
        break;
    case MAKE_CHANNEL:
        make_channel(i, s->amount);
        break;
    case SEND:
        send(i, s->amount, SYSCALL_CHANNEL_SEND);
        break;
    case DO_CALL:
        send(i, s->amount, SYSCALL_CHANNEL_CALL);
        break;
    case RECEIVE:
        receive(i);
        break;
    case REPLY:
        (void)CALL_(CHANNEL_REPLY, made.end1[i], made.token[i], MSG(ABI_MESSAGE_BYTES, 0), 0, 0, 0);
        break;
    case MAKE_EVENT:
        made.event[i] = made_by(CALL_(EVENT_CREATE, made.account, 0, 0, 0, 0, 0));
        break;
    case WAIT:
        wait_as_worker(SYSCALL_OBJECT_WAIT, any_of(s->amount, i),
                       s->amount & 16 ? SIGNAL_TERMINATED : 1, ABI_DEADLINE_NEVER);
        break;
    case RAISE:
        (void)CALL_(EVENT_SIGNAL, made.event[i], 1, 0, 0, 0, 0);
        break;
    case CLEAR:
        (void)CALL_(EVENT_CLEAR, made.event[i], 1, 0, 0, 0, 0);
        break;
    case MAKE_PORT:
        made.port[i] = made_by(CALL_(PORT_CREATE, made.account, 0, 0, 0, 0, 0));
        break;
    case BIND: // each time another event
        made.event[i] = made_by(CALL_(EVENT_CREATE, made.account, 0, 0, 0, 0, 0));
        (void)CALL_(PORT_BIND, made.port[i], s->amount & 1 ? made.event[i] : any_of(s->amount, i),
                    turn, 1 | SIGNAL_READABLE, 0, 0);
        break;
    case TAKE:
        (void)CALL_(PORT_RECEIVE, made.port[i], 0, 0, 0, 0, 0);
        break;
    case SET_TIMERS:
        set_timer(i);
        break;
    case SLEEP:
        wait_as_worker(SYSCALL_THREAD_SLEEP, made.at_ns, 0, 0);
        break;
    case PASS_TIME:
        if (turn == 0) {
            plan_sleep(made.at_ns);
            made.at_ns = plan_now_ns() + SOON_NS;
        }
        break;
    case DESTROY:
        (void)CALL_(OBJECT_DESTROY, any_of(s->amount, i), 0, 0, 0, 0, 0);
        break;
    case MAKE_PROCESS:
        make_process(i);
        break;
    case MAKE_THREAD:
        made.thread =
            made_by(CALL_(THREAD_CREATE, made.process[i], 5, HIGH + turn * PAGE, 0, 0, 0));
        break;
    case MAKE_ACCOUNT:
        made.below[i] =
            made_by(CALL_(ACCOUNT_CREATE, turn && made.below[i] ? made.below[i] : made.account,
                          400 - turn * 4, 200 - turn * 2, 0, 0, 0));
        break;
    case RESIZE:
        (void)CALL_(ACCOUNT_RESIZE, made.account, made.below[i], s->amount & 1 ? 1 : 0, 1, 0, 0);
        break;
    case MAKE_PIN:
        make_pin(i, s->amount);
        break;
    case TELL_PIN:
        (void)CALL_(PIN_ADDRESSES, made.pin[i], 0, 0, 0, 0, 0);
        break;
    case SYNC_PIN:
        (void)CALL_(PIN_SYNC, made.pin[i], 1, ABI_PIN_SYNC_BYTES,
                    s->amount & 1 ? SYNC_CPU : SYNC_DEVICE, 0, 0);
        break;
    case QUIET:
        (void)CALL_(MACHINE_DEVICE_QUIET, plan_world.machine, 1 + s->amount % 2, 0, 0, 0, 0);
        break;
    case COPY:
        made_by(
            CALL_(HANDLE_DUPLICATE, any_of(s->amount, i), RIGHT_WAIT | RIGHT_INSPECT, 0, 0, 0, 0));
        break;
    case CANCEL:
        (void)CALL_(THREAD_CANCEL, plan_worker_thread(1 + turn % PLAN_WORKERS), 0, 0, 0, 0, 0);
        break;
    case LOG:
        (void)CALL_(LOG_READ, plan_world.log, 0, 0, 0, 0, 0);
        break;
    case OPS:
        break;
    }
}

void plan_run(const struct plan_step *steps, size_t count)
{
    for (size_t i = 0; i < sizeof made / sizeof(uint64_t); i++)
        ((uint64_t *)&made)[i] = 0;
    made.account =
        made_by(CALL_(ACCOUNT_CREATE, plan_world.account, PLAN_PAGES, PLAN_OBJECTS, 0, 0, 0));
    made.at_ns = plan_now_ns() + SOON_NS;
    for (unsigned i = 0; i < count; i++) {
        plan_begins(i);
        unsigned times = steps[i].times % THREADS + 1u;
        for (unsigned turn = 0; turn < times; turn++)
            do_once(&steps[i], turn);
    }
    plan_begins((unsigned)count); // the end of all of it
    (void)CALL_(OBJECT_DESTROY, made.account, 0, 0, 0, 0, 0);
    for (unsigned i = 0; i < 3; i++) { // the account ends by and by; then what the device has held
        plan_sleep(plan_now_ns() + SOON_NS);
        for (unsigned device = 1; device <= 2; device++)
            while (CALL_(MACHINE_DEVICE_QUIET, plan_world.machine, device, 0, 0, 0, 0).value[0] >
                   0) {}
    }
    plan_sleep(made.at_ns);
    while (made.handle_count > 0)
        (void)CALL_(HANDLE_CLOSE, made.handles[--made.handle_count], 0, 0, 0, 0, 0);
}
