// SPDX-License-Identifier: MIT
//
// Each error that a call lists, provoked on purpose. What follows from the table alone (bad,
// wrong, weak and dead handles; full and dying accounts) is made for all calls alike; the rest
// has a line or a function each.
#include "attack.h"

static struct raw_result attack(uint32_t call, const arguments_t a)
{
    struct raw_result result = count(call, a);
    undo(call, a, &result);
    return result;
}

// What prepare() fills in; or, where no object of the kind exists here, or the call must not
// succeed, at least handles of the right type for all that can have one.
static void prepare_or_stand_in(uint32_t call, arguments_t a)
{
    if (prepare(call, a))
        return;
    for (unsigned i = 0; i < 6; i++)
        a[i] = UINT64_MAX;
    for (unsigned i = 0; i < abi_calls[call].args; i++)
        if (abi_calls[call].arg[i].kind == ARG_HANDLE)
            a[i] = abi_calls[call].arg[i].object == OBJECT_ACCOUNT ? start.account.value
                                                                   : start.machine.value;
}

// prepare() and one argument changed.
static void attack_with(uint32_t call, unsigned index, uint64_t value)
{
    arguments_t a, prepared;
    prepare_or_stand_in(call, a);
    memcpy(prepared, a, sizeof(a));
    a[index] = value;
    struct raw_result result = count(call, a);
    undo(call, prepared, &result);
}

#define ATTACK(call, ...)                           \
    do {                                            \
        const arguments_t attack_a = {__VA_ARGS__}; \
        (void)attack(call, attack_a);               \
    } while (0)

// ---- from the table

static void attack_handle(uint32_t call, unsigned index, const struct abi_arg *arg)
{
    attack_with(call, index, 0xdead'0000'0000'0001);
    if (arg->object != 0)
        attack_with(call, index,
                    arg->object == OBJECT_EVENT ? world.port.value : world.event.value);
    arguments_t a;
    prepare_or_stand_in(call, a);
    handle_t weak;
    uint64_t strong = a[index] != 0 ? a[index] : world.end0.value;
    must(handle_duplicate((handle_t){strong}, 0, &weak), "a weak handle");
    arguments_t b;
    memcpy(b, a, sizeof(a));
    b[index] = weak.value;
    struct raw_result result = count(call, b);
    undo(call, a, &result);
    handle_close(weak);
    uint64_t gone = world.gone[arg->object != 0 ? arg->object : OBJECT_EVENT];
    if (gone != 0)
        attack_with(call, index, gone);
    if (arg->object == OBJECT_ACCOUNT && arg->rights == RIGHT_CHARGE) {
        attack_with(call, index, world.no_objects.value);
        attack_with(call, index, world.no_pages.value);
        attack_with(call, index, world.dying.value);
    }
}

static void from_the_table(void)
{
    for (uint32_t call = 0; call < SYSCALL_COUNT; call++)
        for (unsigned i = 0; i < abi_calls[call].args; i++) {
            const struct abi_arg *arg = &abi_calls[call].arg[i];
            if (arg->kind == ARG_HANDLE)
                attack_handle(call, i, arg);
            else if (arg->kind == ARG_RAW_HANDLE)
                attack_with(call, i, 0);
        }
}

// ---- one value out of range

static void one_value(void)
{
    static const struct {
        uint32_t call;
        unsigned index;
        uint64_t value;
    } rows[] = {
        {SYSCALL_HANDLE_DUPLICATE, 1, RIGHTS_ALL},
        {SYSCALL_HANDLE_DUPLICATE, 1, UINT64_MAX},
        {SYSCALL_OBJECT_WAIT, 1, 0},
        {SYSCALL_OBJECT_WAIT, 1, 2}, // not raised: the deadline passed
        {SYSCALL_ACCOUNT_CREATE, 1, 0},
        {SYSCALL_ACCOUNT_CREATE, 2, 0},
        {SYSCALL_ACCOUNT_CREATE, 1, UINT64_MAX},
        {SYSCALL_ACCOUNT_CREATE, 2, UINT64_MAX},
        {SYSCALL_ACCOUNT_CREATE, 3, 1ull << 40},
        {SYSCALL_ACCOUNT_CREATE, 3, UINT64_MAX},
        {SYSCALL_THREAD_CREATE, 1, 64},
        {SYSCALL_THREAD_CREATE, 1, 63}, // above the caller's
        {SYSCALL_THREAD_CREATE, 2, 0},
        {SYSCALL_THREAD_CREATE, 2, 1},
        {SYSCALL_THREAD_START, 1, ABI_USER_MAX},
        {SYSCALL_THREAD_START, 2, UINT64_MAX},
        {SYSCALL_THREAD_SET_PRIORITY, 1, 64},
        {SYSCALL_THREAD_SET_CPU, 1, 64},
        {SYSCALL_THREAD_SET_CPU, 1, UINT64_MAX},
        {SYSCALL_VMO_CREATE, 1, 0},
        {SYSCALL_VMO_CREATE, 1, UINT64_MAX},
        {SYSCALL_VMO_CREATE, 1, 1ull << 30},
        {SYSCALL_VMO_CREATE, 2, VMO_CONTIGUOUS},
        {SYSCALL_VMO_CREATE, 2, 3},
        {SYSCALL_VMO_CREATE, 2, 2},
        {SYSCALL_VMO_SLICE, 2, 1},
        {SYSCALL_VMO_SLICE, 2, 1ull << 40},
        {SYSCALL_VMO_SLICE, 2, UINT64_MAX & ~(PAGE_SIZE - 1)},
        {SYSCALL_VMO_SLICE, 3, 0},
        {SYSCALL_VMO_SLICE, 3, UINT64_MAX & ~(PAGE_SIZE - 1)},
        {SYSCALL_VMO_SLICE, 4, RIGHTS_ALL},
        {SYSCALL_VM_MAP, 2, 1},
        {SYSCALL_VM_MAP, 2, 1ull << 40},
        {SYSCALL_VM_MAP, 3, 0},
        {SYSCALL_VM_MAP, 3, UINT64_MAX & ~(PAGE_SIZE - 1)},
        {SYSCALL_VM_MAP, 4, 0},
        {SYSCALL_VM_MAP, 4, UINT64_MAX & ~(PAGE_SIZE - 1)},
        {SYSCALL_VM_MAP, 5, 0},
        {SYSCALL_VM_MAP, 5, PROT_READ | PROT_WRITE | PROT_EXECUTE},
        {SYSCALL_VM_UNMAP, 1, 0},
        {SYSCALL_VM_PROTECT, 1, 0},
        {SYSCALL_VM_PROTECT, 2, 0},
        {SYSCALL_VM_PROTECT, 2, PROT_READ | PROT_WRITE | PROT_EXECUTE},
        {SYSCALL_ACCOUNT_RESIZE, 2, 1ull << 40},
        {SYSCALL_ACCOUNT_RESIZE, 2, 1ull << 63},
        {SYSCALL_ACCOUNT_RESIZE, 3, 1ull << 40},
        {SYSCALL_ACCOUNT_RESIZE, 3, 1ull << 63},
        {SYSCALL_ACCOUNT_RESIZE, 4, 1ull << 40},
        {SYSCALL_ACCOUNT_RESIZE, 4, 1ull << 63},
        {SYSCALL_ACCOUNT_BUDGET, 2, UINT64_MAX},
        {SYSCALL_ACCOUNT_BUDGET, 3, 0},
        {SYSCALL_ACCOUNT_BUDGET, 3, 99'000'000}, // more than the account has itself
        {SYSCALL_ACCOUNT_BUDGET, 3, UINT64_MAX},
        {SYSCALL_ACCOUNT_BUDGET, 4, 999'999},
        {SYSCALL_ACCOUNT_BUDGET, 4, UINT64_MAX},
        {SYSCALL_ACCOUNT_CPU, 1, UINT64_MAX},
        {SYSCALL_CHANNEL_CREATE, 2, 0},
        {SYSCALL_CHANNEL_CREATE, 2, UINT64_MAX},
        {SYSCALL_CHANNEL_CREATE, 2, ABI_CHANNEL_SHAPE(0xffff, 3584, 8, 64)},
        {SYSCALL_CHANNEL_CREATE, 3, 7},
        {SYSCALL_CHANNEL_CREATE, 3, OVERFLOW_BLOCK},
        {SYSCALL_CHANNEL_CREATE, 3, OVERFLOW_DROP_OLDEST}, // with handles and calls
        {SYSCALL_CHANNEL_SEND, 1, UINT64_MAX},
        {SYSCALL_CHANNEL_SEND, 1, MSG(65, 0)},
        {SYSCALL_CHANNEL_SEND, 1, MSG(0, 3)},
        {SYSCALL_CHANNEL_SEND, 1, MSG(ABI_MESSAGE_BYTES + 1, 0)},
        {SYSCALL_CHANNEL_CALL, 1, UINT64_MAX},
        {SYSCALL_CHANNEL_CALL, 1, MSG(65, 0)},
        {SYSCALL_CHANNEL_CALL, 1, MSG_WITH_REPLY_HANDLES(MSG(8, 0), 9)},
        {SYSCALL_CHANNEL_CALL, 2, 0},
        {SYSCALL_CHANNEL_REPLY, 1, UINT64_MAX},
        {SYSCALL_CHANNEL_REPLY, 2, UINT64_MAX},
        {SYSCALL_CHANNEL_REPLY, 2, MSG(8, 1)},
        {SYSCALL_PORT_BIND, 3, 0},
        {SYSCALL_EVENT_SIGNAL, 1, UINT64_MAX},
        {SYSCALL_EVENT_SIGNAL, 1, 1u << 16},
        {SYSCALL_EVENT_CLEAR, 1, 1u << 16},
        {SYSCALL_IO_READ, 2, 3},
        {SYSCALL_IO_READ, 1, UINT64_MAX},
        {SYSCALL_IO_WRITE, 2, 8},
        {SYSCALL_IO_WRITE, 3, UINT64_MAX},
        {SYSCALL_PIN_CREATE, 3, 1},
        {SYSCALL_PIN_CREATE, 4, 0},
        {SYSCALL_PIN_CREATE, 4, 64 * PAGE_SIZE},
        {SYSCALL_PIN_CREATE, 5, 0},
        {SYSCALL_PIN_ADDRESSES, 1, UINT64_MAX},
        {SYSCALL_PIN_SYNC, 1, UINT64_MAX},
        {SYSCALL_PIN_SYNC, 2, UINT64_MAX},
        {SYSCALL_PIN_SYNC, 3, 0},
        {SYSCALL_MACHINE_DEVICE_MEMORY, 2, 1},
        {SYSCALL_MACHINE_DEVICE_MEMORY, 3, 0},
        {SYSCALL_MACHINE_DEVICE_MEMORY, 3, UINT64_MAX},
        {SYSCALL_MACHINE_DEVICE_MEMORY, 4, 2},
        {SYSCALL_MACHINE_IO_RANGE, 2, 0x10000},
        {SYSCALL_MACHINE_IO_RANGE, 3, 0},
        {SYSCALL_MACHINE_IO_RANGE, 2, 0},
        {SYSCALL_MACHINE_INTERRUPT, 2, UINT64_MAX},
        {SYSCALL_MACHINE_INTERRUPT, 3, 3},
        {SYSCALL_MACHINE_MESSAGE_INTERRUPT, 2, 1},
        {SYSCALL_MACHINE_MESSAGE_INTERRUPT, 2, UINT64_MAX & ~7ull},
        {SYSCALL_MACHINE_MESSAGE_INTERRUPT, 3, UINT64_MAX},
        {SYSCALL_LOG_WRITE, 1, 0},
        {SYSCALL_LOG_WRITE, 1, 257},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        attack_with(rows[i].call, rows[i].index, rows[i].value);
    ATTACK(SYSCALL_MACHINE_POWER, start.machine.value, UINT64_MAX);
    attack_with(SYSCALL_PORT_BIND, 1, world.port.value);
}

// ---- waits that end

static void cancelled(uint32_t call, unsigned index)
{
    arguments_t a;
    (void)prepare(call, a);
    undo(call, a, &(struct raw_result){.status = STATUS_INVALID}); // nothing to take: it waits
    if (call == SYSCALL_OBJECT_WAIT)
        a[0] = world.event.value;
    if (call == SYSCALL_CHANNEL_CALL)
        a[0] = world.end0.value; // nobody answers
    if (call == SYSCALL_CHANNEL_SEND)
        a[0] = world.full.value;
    a[index] = ABI_DEADLINE_NEVER;
    pest(PEST_CANCEL);
    struct raw_result result = count(call, a);
    pest(PEST_NONE);
    undo(call, a, &result);
}

static void timed_out(uint32_t call)
{
    arguments_t a;
    (void)prepare(call, a);
    undo(call, a, &(struct raw_result){.status = STATUS_INVALID});
    (void)attack(call, a);
}

static void waits(void)
{
    cancelled(SYSCALL_OBJECT_WAIT, 2);
    cancelled(SYSCALL_THREAD_SLEEP, 0);
    cancelled(SYSCALL_CHANNEL_SEND, 2);
    cancelled(SYSCALL_CHANNEL_RECEIVE, 1);
    cancelled(SYSCALL_CHANNEL_CALL, 2);
    cancelled(SYSCALL_PORT_RECEIVE, 1);
    cancelled(SYSCALL_CHANNEL_REPLY_RECEIVE, 4);
    timed_out(SYSCALL_CHANNEL_RECEIVE);
    timed_out(SYSCALL_PORT_RECEIVE);
    timed_out(SYSCALL_CHANNEL_REPLY_RECEIVE);
    ATTACK(SYSCALL_CHANNEL_SEND, world.full.value, MSG(8, 0), 0);
    ATTACK(SYSCALL_CHANNEL_CALL, world.full.value, MSG(8, 0), now_ns() + NS_PER_MS);
    // The caller is gone when its answer comes.
    arguments_t a;
    (void)prepare(SYSCALL_CHANNEL_REPLY, a);
    must(thread_cancel(world.caller), "thread_cancel");
    (void)attack(SYSCALL_CHANNEL_REPLY, a);
}

// ---- objects in another state

static void states(void)
{
    ATTACK(SYSCALL_OBJECT_DESTROY, world.aspace.value);
    ATTACK(SYSCALL_OBJECT_DESTROY, start.machine.value);
    ATTACK(SYSCALL_OBJECT_DESTROY, start.log.value);
    ATTACK(SYSCALL_OBJECT_DESTROY, world.dying.value);
    ATTACK(SYSCALL_ACCOUNT_RESIZE, start.account.value, world.dying.value, 0, 0);
    ATTACK(SYSCALL_ACCOUNT_BUDGET, start.account.value, world.dying.value, 0, 1'000'000,
           100'000'000);
    ATTACK(SYSCALL_ACCOUNT_RESIZE, world.spare.value, start.account.value, 0, 0); // no child of it
    ATTACK(SYSCALL_THREAD_CANCEL, world.new_thread.value);
    ATTACK(SYSCALL_INTERRUPT_ACKNOWLEDGE, world.interrupt.value);
    ATTACK(SYSCALL_PORT_UNBIND, world.event.value);
    ATTACK(SYSCALL_CHANNEL_SEND, world.no_peer.value, MSG(8, 0));
    ATTACK(SYSCALL_CHANNEL_CALL, world.no_peer.value, MSG(8, 0), ABI_DEADLINE_NEVER);
    ATTACK(SYSCALL_CHANNEL_RECEIVE, world.no_peer.value, ABI_DEADLINE_NEVER);
    ATTACK(SYSCALL_THREAD_CREATE, world.process_no_objects.value, 1, fresh_address());
    ATTACK(SYSCALL_THREAD_CREATE, world.process_no_pages.value, 1, fresh_address());
    ATTACK(SYSCALL_THREAD_CREATE, world.process.value, 1, text_base);
    const arguments_t over = {world.aspace.value, world.vmo.value, 0,
                              text_base,          PAGE_SIZE,       PROT_READ};
    (void)count(SYSCALL_VM_MAP, over); // what is there stays
    ATTACK(SYSCALL_VM_MAP, world.aspace_no_objects.value, world.vmo.value, 0, fresh_address(),
           PAGE_SIZE, PROT_READ);
    ATTACK(SYSCALL_VM_MAP, world.aspace_no_pages.value, world.vmo.value, 0, fresh_address(),
           PAGE_SIZE, PROT_READ);
    ATTACK(SYSCALL_PORT_BIND, world.port_no_objects.value, world.event.value, 1, 1);
    ATTACK(SYSCALL_PORT_BIND, world.port.value, world.pending.value, 1, 1); // bound already
    uint64_t overlap = 2;
    ATTACK(SYSCALL_MACHINE_DEVICE_MEMORY, start.machine.value, start.account.value,
           align_down(vector_table, PAGE_SIZE), PAGE_SIZE, MEMORY_DEVICE);
    if (machine_has_ports)
        ATTACK(SYSCALL_MACHINE_IO_RANGE, start.machine.value, start.account.value, spare_ports,
               overlap);
    vmo_t taken; // where a vector table could be
    must(machine_device_memory(start.machine, start.account,
                               align_down(vector_table, PAGE_SIZE) + PAGE_SIZE, PAGE_SIZE,
                               MEMORY_DEVICE, &taken),
         "machine_device_memory");
    ATTACK(SYSCALL_MACHINE_MESSAGE_INTERRUPT, start.machine.value, start.account.value,
           align_down(vector_table, PAGE_SIZE) + PAGE_SIZE, 0, 1);
    handle_close((handle_t){taken.value});
    interrupt_t interrupt;
    must(machine_interrupt(start.machine, start.account, spare_line, TRIGGER_EDGE, &interrupt),
         "machine_interrupt");
    ATTACK(SYSCALL_MACHINE_INTERRUPT, start.machine.value, start.account.value, spare_line,
           TRIGGER_EDGE);
    handle_close((handle_t){interrupt.value});
}

// A thread and a process that have ended.
static void ended(void)
{
    process_t process;
    aspace_t aspace;
    thread_t thread;
    uint32_t signals;
    must(process_create(start.account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(thread_create(process, 1, fresh_address(), &thread), "thread_create");
    must(object_destroy((handle_t){process.value}), "object_destroy");
    ATTACK(SYSCALL_THREAD_CREATE, process.value, 1, fresh_address()); // it is ending
    must(object_wait((handle_t){process.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
    ATTACK(SYSCALL_THREAD_CREATE, process.value, 1, fresh_address()); // it has ended
    ATTACK(SYSCALL_THREAD_SET_PRIORITY, thread.value, 1);
    ATTACK(SYSCALL_THREAD_SET_CPU, thread.value, 0);
    ATTACK(SYSCALL_THREAD_START, thread.value, 0x40'0000, 0);
    ATTACK(SYSCALL_VM_MAP, aspace.value, world.vmo.value, 0, fresh_address(), PAGE_SIZE, PROT_READ);
    const uint64_t handles[] = {process.value, aspace.value, thread.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
}

// Two of four pages are free, and not side by side.
static void scattered(void)
{
    account_t account;
    vmo_t pages[4];
    struct abi_inspect found;
    must(account_create(start.account, 32, 32, 4, 0, 0, &account), "account_create");
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        must(vmo_create(account, PAGE_SIZE, VMO_CONTIGUOUS, &pages[i]), "vmo_create");
    handle_close((handle_t){pages[0].value});
    handle_close((handle_t){pages[2].value});
    do {
        must(thread_yield(), "thread_yield");
        inspect(account.value, &found);
    } while (found.account.contiguous_used > 2);
    ATTACK(SYSCALL_VMO_CREATE, account.value, 2 * PAGE_SIZE, VMO_CONTIGUOUS);
    ATTACK(SYSCALL_ACCOUNT_CREATE, account.value, 1, 1, 2);
    ATTACK(SYSCALL_ACCOUNT_RESIZE, start.account.value, account.value, 0, 0, (uint64_t)-2);
    handle_close((handle_t){pages[1].value});
    handle_close((handle_t){pages[3].value});
    uint32_t signals;
    must(object_destroy((handle_t){account.value}), "object_destroy");
    must(object_wait((handle_t){account.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
    handle_close((handle_t){account.value});
}

// What an account in the middle of its end still has.
static void dying(void)
{
    account_t account;
    process_t process;
    aspace_t aspace;
    port_t port;
    uint32_t signals;
    must(account_create(start.account, 32, 32, 0, 0, 0, &account), "account_create");
    must(process_create(account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(port_create(account, &port), "port_create");
    must(object_destroy((handle_t){account.value}), "object_destroy");
    // Nothing of it has ended yet: that is done at our own priority, after us.
    const arguments_t map = {aspace.value,    world.vmo.value, 0,
                             fresh_address(), PAGE_SIZE,       PROT_READ};
    (void)count(SYSCALL_VM_MAP, map);
    const arguments_t bind = {port.value, world.event.value, 1, 1};
    (void)count(SYSCALL_PORT_BIND, bind);
    const arguments_t thread = {process.value, 1, fresh_address()};
    (void)count(SYSCALL_THREAD_CREATE, thread);
    must(object_wait((handle_t){account.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
    const uint64_t handles[] = {account.value, process.value, aspace.value, port.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
}

// ---- rights within rights

static void rights(void)
{
    handle_t weak;
    must(handle_duplicate((handle_t){world.vmo.value}, RIGHT_MAP | RIGHT_PIN, &weak),
         "handle_duplicate");
    ATTACK(SYSCALL_VM_MAP, world.aspace.value, weak.value, 0, fresh_address(), PAGE_SIZE,
           PROT_READ);
    ATTACK(SYSCALL_PIN_CREATE, world.dmaspace.value, start.account.value, weak.value, 0, PAGE_SIZE,
           DMA_FROM_DEVICE);
    handle_close(weak);
}

// ---- queues and tables that are full

static void full_queue(void)
{
    must(channel_send(world.end0, MSG(8, 0), 0), "channel_send");
    must(channel_send(world.end0, MSG(8, 0), 0), "channel_send");
    arguments_t call = {world.end0.value, MSG(8, 0), ABI_DEADLINE_NEVER};
    (void)count(SYSCALL_CHANNEL_CALL, call);
    ATTACK(SYSCALL_CHANNEL_SEND, world.end0.value, MSG(8, 0)); // undo empties the queue
}

// Where the oldest message goes instead.
static void lossy_queue(void)
{
    channel_t end0, end1;
    uint64_t message, token;
    must(channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(1, 8, 0, 0),
                        OVERFLOW_DROP_OLDEST, &end0, &end1),
         "channel_create");
    for (unsigned i = 0; i < 3; i++)
        ATTACK(SYSCALL_CHANNEL_SEND, end0.value, MSG(i, 0));
    ATTACK(SYSCALL_CHANNEL_CALL, end0.value, MSG(0, 0), ABI_DEADLINE_NEVER);
    ATTACK(SYSCALL_CHANNEL_SEND, end0.value, MSG(0, 1));
    must(channel_receive(end1, 0, &message, &token), "channel_receive");
    if (MSG_BYTES(message) != 2 || MSG_LOST(message) != 2)
        failed("of three messages arrived: %lu, lost: %lu", message, message >> MSG_LOST_SHIFT);
    handle_close((handle_t){end0.value});
    handle_close((handle_t){end1.value});
}

// An end that takes calls of priority 0 alone.
static void low_ceiling(void)
{
    channel_t low, peer;
    must(channel_create(start.account, start.account,
                        ABI_CHANNEL_SHAPE(1, 8, 0, 1) | ABI_CHANNEL_CEILINGS(63, 0),
                        OVERFLOW_REJECT, &low, &peer),
         "channel_create");
    ATTACK(SYSCALL_CHANNEL_CALL, low.value, MSG(0, 0), ABI_DEADLINE_NEVER);
    message_buffer()->handles[0] = low.value;
    ATTACK(SYSCALL_CHANNEL_SEND, world.end0.value, MSG(0, 1));
    ATTACK(SYSCALL_CHANNEL_REPLY, world.end1.value, 0, MSG(0, 1));
    ATTACK(SYSCALL_THREAD_START, world.new_thread.value, 0x40'0000, 0, 0, low.value);
    handle_close((handle_t){low.value});
    handle_close((handle_t){peer.value});
}

// An exception channel without a reply slot.
static void full_exceptions(void)
{
    channel_t ours, theirs;
    process_t process;
    aspace_t aspace;
    must(channel_create(start.account, start.account,
                        ABI_CHANNEL_SHAPE(1, sizeof(struct abi_fault), 0, 0), OVERFLOW_REJECT,
                        &ours, &theirs),
         "channel_create");
    must(process_create(start.account, theirs, 0, 0, &process, &aspace), "process_create");
    ATTACK(SYSCALL_THREAD_CREATE, process.value, 1, fresh_address());
    must(object_destroy((handle_t){process.value}), "object_destroy");
    const uint64_t handles[] = {process.value, aspace.value, ours.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
}

// An account without a page for its budgets.
static void poor_account(void)
{
    account_t account;
    vmo_t page;
    must(account_create(start.account, 1, 4, 0, 0, 0, &account), "account_create");
    must(vmo_create(account, PAGE_SIZE, 0, &page), "vmo_create");
    ATTACK(SYSCALL_ACCOUNT_BUDGET, start.account.value, account.value, 0, NS_PER_MS, NS_PER_S);
    must(object_destroy((handle_t){account.value}), "object_destroy");
    handle_close((handle_t){page.value});
    handle_close((handle_t){account.value});
}

// A process whose account has no page for a handle table.
static void poor_table(void)
{
    account_t account;
    process_t process;
    aspace_t aspace;
    thread_t thread;
    vmo_t rest;
    must(account_create(start.account, 64, 16, 0, 0, 0, &account), "account_create");
    must(process_create(account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(thread_create(process, 1, fresh_address(), &thread), "thread_create");
    struct abi_inspect found;
    inspect(account.value, &found);
    uint64_t left = found.account.pages_limit - found.account.pages_used - 1; // one of index
    must(vmo_create(account, left * PAGE_SIZE, 0, &rest), "vmo_create");
    handle_t gift;
    must(handle_duplicate((handle_t){world.event.value}, RIGHT_TRANSFER, &gift),
         "handle_duplicate");
    ATTACK(SYSCALL_THREAD_START, thread.value, 0x40'0000, 0, 0, gift.value);
    must(object_destroy((handle_t){account.value}), "object_destroy");
    const uint64_t handles[] = {account.value, process.value, aspace.value,
                                thread.value,  rest.value,    gift.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
}

// The calls that need room in the own handle table, prepared while there is some.
static void full_table(void)
{
    static const uint32_t calls[] = {
        SYSCALL_HANDLE_DUPLICATE,
        SYSCALL_ACCOUNT_CREATE,
        SYSCALL_PROCESS_CREATE,
        SYSCALL_THREAD_CREATE,
        SYSCALL_VMO_CREATE,
        SYSCALL_VMO_SLICE,
        SYSCALL_CHANNEL_CREATE,
        SYSCALL_CHANNEL_RECEIVE,
        SYSCALL_CHANNEL_CALL,
        SYSCALL_PORT_CREATE,
        SYSCALL_EVENT_CREATE,
        SYSCALL_TIMER_CREATE,
        SYSCALL_PIN_CREATE,
        SYSCALL_MACHINE_DEVICE_MEMORY,
        SYSCALL_MACHINE_IO_RANGE,
        SYSCALL_MACHINE_INTERRUPT,
        SYSCALL_MACHINE_MESSAGE_INTERRUPT,
        SYSCALL_MACHINE_DMA_SPACE,
    };
    constexpr uint32_t HANDLES_MAX = 2048;
    static arguments_t a[ARRAY_SIZE(calls)];
    static bool able[ARRAY_SIZE(calls)];
    static handle_t copies[HANDLES_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        able[i] = calls[i] != SYSCALL_CHANNEL_RECEIVE && prepare(calls[i], a[i]);
    // Messages that carry a handle, one for each way to receive.
    port_t port;
    must(port_create(start.account, &port), "port_create");
    must(port_bind(port, (handle_t){world.end1.value}, 9, SIGNAL_READABLE), "port_bind");
    for (unsigned i = 0; i < 2; i++) {
        handle_t gift;
        must(handle_duplicate((handle_t){world.event.value}, RIGHT_TRANSFER, &gift),
             "handle_duplicate");
        message_buffer()->handles[0] = gift.value;
        must(channel_send(world.end0, MSG(0, 1), 0), "channel_send");
    }
    uint32_t held = 0;
    while (held < HANDLES_MAX &&
           handle_duplicate((handle_t){world.event.value}, 0, &copies[held]) == STATUS_OK)
        held++;
    struct raw_result results[ARRAY_SIZE(calls)];
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        if (calls[i] == SYSCALL_CHANNEL_CALL)
            a[i][1] = MSG_WITH_REPLY_HANDLES(MSG(8, 0), 2);
        if (able[i])
            results[i] = count(calls[i], a[i]);
    }
    const arguments_t receive = {world.end1.value, 0};
    (void)count(SYSCALL_CHANNEL_RECEIVE, receive);
    const arguments_t port_receive = {port.value, 0};
    (void)count(SYSCALL_PORT_RECEIVE, port_receive);
    const arguments_t reply_receive = {world.asked.value, 0, 0, port.value, 0};
    (void)count(SYSCALL_CHANNEL_REPLY_RECEIVE, reply_receive);
    while (held > 0)
        handle_close(copies[--held]);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (able[i])
            undo(calls[i], a[i], &results[i]);
    uint64_t message, token;
    while (channel_receive(world.end1, 0, &message, &token) == STATUS_OK)
        handle_close((handle_t){message_buffer()->handles[0]});
    handle_close((handle_t){port.value}); // unbinds
    thread_yield();
}

// ---- 32 threads that wait for the same thing

constexpr uint32_t CROWD = 32;
constexpr uint64_t CROWD_STACKS = 0x3e'0000'0000, CROWD_STACK = 1024;
constexpr uint64_t CROWD_BUFFERS = 0x3d'0000'0000;

static void wait_for_event(uint64_t argument, uint64_t gift)
{
    uint32_t signals;
    (void)argument;
    (void)object_wait((handle_t){gift}, 1, ABI_DEADLINE_NEVER, &signals);
    thread_exit();
}

static void wait_for_message(uint64_t argument, uint64_t gift)
{
    uint64_t message, token;
    (void)argument;
    (void)channel_receive((channel_t){gift}, ABI_DEADLINE_NEVER, &message, &token);
    thread_exit();
}

static void wait_for_port(uint64_t argument, uint64_t gift)
{
    uint64_t key, message, token;
    uint32_t signals;
    (void)argument;
    (void)port_receive((port_t){gift}, ABI_DEADLINE_NEVER, &key, &signals, &message, &token);
    thread_exit();
}

static void wait_for_room(uint64_t argument, uint64_t gift)
{
    (void)argument;
    (void)channel_send((channel_t){gift}, MSG(0, 0), ABI_DEADLINE_NEVER);
    thread_exit();
}

static account_t crowd_gather(void (*function)(uint64_t, uint64_t), uint64_t object,
                              uint32_t rights)
{
    account_t account;
    process_t process;
    aspace_t aspace;
    vmo_t stacks;
    must(account_create(start.account, 512, 128, 0, 0, 0, &account), "account_create");
    must(process_create(account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(vmo_create(account, CROWD * CROWD_STACK, 0, &stacks), "vmo_create");
    must(vm_map(aspace, stacks, 0, CROWD_STACKS, CROWD * CROWD_STACK, PROT_READ | PROT_WRITE),
         "vm_map");
    must(vm_map(aspace, child_start.text, 0, text_base, text_bytes, PROT_READ | PROT_EXECUTE),
         "vm_map");
    for (uint32_t i = 0; i < CROWD; i++) {
        thread_t thread;
        handle_t gift;
        must(thread_create(process, 1, CROWD_BUFFERS + i * PAGE_SIZE, &thread), "thread_create");
        must(handle_duplicate((handle_t){object}, rights | RIGHT_TRANSFER, &gift),
             "handle_duplicate");
        must(thread_start(thread, (uintptr_t)function,
                          CROWD_STACKS + (i + 1) * CROWD_STACK - 16 - SDK_ENTRY_STACK_BIAS, 0,
                          gift),
             "thread_start");
        handle_close((handle_t){thread.value});
    }
    const uint64_t handles[] = {process.value, aspace.value, stacks.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
    (void)thread_sleep(now_ns() + 10 * NS_PER_MS); // they begin to wait
    return account;
}

static void crowd_leave(account_t account)
{
    uint32_t signals;
    must(object_destroy((handle_t){account.value}), "object_destroy");
    must(object_wait((handle_t){account.value}, SIGNAL_TERMINATED, now_ns() + NS_PER_S, &signals),
         "the end of the crowd");
    handle_close((handle_t){account.value});
}

static void crowds(void)
{
    account_t crowd = crowd_gather(wait_for_event, world.event.value, RIGHT_WAIT);
    ATTACK(SYSCALL_OBJECT_WAIT, world.event.value, 1, ABI_DEADLINE_NEVER);
    crowd_leave(crowd);
    crowd = crowd_gather(wait_for_message, world.end1.value, RIGHT_RECEIVE);
    ATTACK(SYSCALL_CHANNEL_RECEIVE, world.end1.value, ABI_DEADLINE_NEVER);
    crowd_leave(crowd);
    crowd = crowd_gather(wait_for_room, world.full.value, RIGHT_SEND);
    uint32_t full = times_seen(SYSCALL_CHANNEL_SEND, STATUS_FULL);
    ATTACK(SYSCALL_CHANNEL_SEND, world.full.value, MSG(0, 0), ABI_DEADLINE_NEVER);
    ATTACK(SYSCALL_CHANNEL_CALL, world.full.value, MSG(0, 0), ABI_DEADLINE_NEVER);
    if (times_seen(SYSCALL_CHANNEL_SEND, STATUS_FULL) != full + 1)
        failed("a sender waits behind %u others", CROWD);
    crowd_leave(crowd);
    port_t port;
    must(port_create(start.account, &port), "port_create");
    crowd = crowd_gather(wait_for_port, port.value, RIGHT_RECEIVE);
    ATTACK(SYSCALL_PORT_RECEIVE, port.value, ABI_DEADLINE_NEVER);
    ATTACK(SYSCALL_CHANNEL_REPLY_RECEIVE, world.asked.value, 0, 0, port.value, ABI_DEADLINE_NEVER);
    crowd_leave(crowd);
    handle_close((handle_t){port.value});
}

// Vectors until there are no more.
static void no_resource(void)
{
    static interrupt_t interrupts[512];
    uint32_t held = 0;
    while (held < ARRAY_SIZE(interrupts)) {
        const arguments_t a = {start.machine.value, start.account.value, vector_table, held, 1};
        struct raw_result result = count(SYSCALL_MACHINE_MESSAGE_INTERRUPT, a);
        if (result.status != STATUS_OK)
            break;
        interrupts[held++].value = result.value[0];
    }
    while (held > 0)
        handle_close((handle_t){interrupts[--held].value});
    thread_yield();
}

void errors_phase(void)
{
    from_the_table();
    one_value();
    waits();
    states();
    ended();
    scattered();
    dying();
    protect_while_mapping();
    rights();
    full_queue();
    lossy_queue();
    low_ceiling();
    full_exceptions();
    poor_table();
    poor_account();
    full_table();
    crowds();
    no_resource();
}
