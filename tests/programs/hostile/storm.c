// SPDX-License-Identifier: MIT
//
// Random calls with random arguments: most handles of the right type, some of another, too weak,
// dead, or one bit off; values at the edges; waits that another thread cancels while it rewrites
// the message buffer. It goes in rounds, each in an account of its own, after whose end the
// attacker's own account must be as before.
#include "attack.h"

constexpr uint64_t ROUND_CALLS = 2000;
constexpr uint64_t ROUND_PAGES = 2048, ROUND_OBJECTS = 600;
constexpr uint32_t POOL = 12;
constexpr uint64_t WINDOW = 0x60'0000'0000;

static uint64_t pool[OBJECT_COUNT][POOL];
static account_t arena;
static uint64_t last_token;
static struct random *dice;

// ---- handles

static void put(uint32_t type, uint64_t handle)
{
    uint64_t *slot = &pool[type][random_below(dice, POOL)];
    if (*slot != 0)
        (void)handle_close((handle_t){*slot});
    *slot = handle;
}

static uint64_t take(uint32_t type)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t handle = pool[type][random_below(dice, POOL)];
        if (handle != 0)
            return handle;
    }
    return 0;
}

static uint32_t any_type(void)
{
    return 1 + (uint32_t)random_below(dice, OBJECT_COUNT - 1);
}

static void stock(uint32_t type);

static uint64_t a_handle(uint32_t wanted)
{
    uint32_t type = wanted != 0 ? wanted : any_type();
    uint64_t handle = take(type);
    if (handle == 0) {
        stock(type);
        handle = take(type);
    }
    switch (random_below(dice, 20)) {
    case 0:
        return take(any_type());
    case 1:
        return world.gone[type];
    case 2:
        return handle ^ 1ull << random_below(dice, 64);
    case 3:
        return random_next(dice) >> random_below(dice, 64);
    case 4: {
        handle_t weak;
        if (handle_duplicate((handle_t){handle}, (uint32_t)random_next(dice) & RIGHTS_ALL, &weak) ==
            STATUS_OK)
            put(type, weak.value);
        return handle;
    }
    default:
        return handle;
    }
}

static void stock_channel(channel_t *end0, channel_t *end1)
{
    uint64_t overflow = random_below(dice, OVERFLOW_DROP_OLDEST + 1);
    uint64_t shape = overflow == OVERFLOW_DROP_OLDEST ? ABI_CHANNEL_SHAPE(3, 64, 0, 0)
                                                      : ABI_CHANNEL_SHAPE(3, 64, 2, 2);
    (void)channel_create(arena, arena, shape, overflow, end0, end1);
}

// One more of a kind of which nothing is left.
static void stock(uint32_t type)
{
    uint64_t a = 0, b = 0;
    uint32_t second = 0;
    switch ((enum abi_object)type) {
    case OBJECT_PROCESS:
    case OBJECT_ASPACE:
        (void)process_create(arena, (channel_t){0}, 0x6d'726f'7473, 0, (process_t *)&a,
                             (aspace_t *)&b);
        type = OBJECT_PROCESS;
        second = OBJECT_ASPACE;
        break;
    case OBJECT_THREAD:
        (void)thread_create((process_t){take(OBJECT_PROCESS)}, 1, fresh_address(), (thread_t *)&a);
        break;
    case OBJECT_VMO:
        (void)vmo_create(arena, 3 * PAGE_SIZE, 0, (vmo_t *)&a);
        break;
    case OBJECT_CHANNEL:
        stock_channel((channel_t *)&a, (channel_t *)&b);
        second = type;
        break;
    case OBJECT_PORT:
        (void)port_create(arena, (port_t *)&a);
        break;
    case OBJECT_EVENT:
        (void)event_create(arena, (event_t *)&a);
        break;
    case OBJECT_TIMER:
        (void)timer_create(arena, (timer_t *)&a);
        break;
    case OBJECT_DMASPACE:
        (void)machine_dma_space(start.machine, arena, random_below(dice, 8), (dmaspace_t *)&a);
        break;
    case OBJECT_PIN:
        (void)pin_create((dmaspace_t){take(OBJECT_DMASPACE)}, arena, (vmo_t){take(OBJECT_VMO)}, 0,
                         PAGE_SIZE, DMA_BOTH, (pin_t *)&a);
        break;
    case OBJECT_IORANGE:
        (void)machine_io_range(start.machine, arena, spare_ports + 0x800 + random_below(dice, 256),
                               1, (iorange_t *)&a);
        break;
    case OBJECT_INTERRUPT:
        (void)machine_message_interrupt(start.machine, arena, vector_table, random_below(dice, 8),
                                        1, 0, (interrupt_t *)&a);
        break;
    case OBJECT_ACCOUNT:
        (void)account_create(arena, 16, 8, 0, 0, 0, (account_t *)&a);
        break;
    case OBJECT_MACHINE:
        (void)handle_duplicate((handle_t){start.machine.value},
                               RIGHTS_MACHINE & ~(uint32_t)RIGHT_TRANSFER, (handle_t *)&a);
        break;
    case OBJECT_LOG:
        (void)handle_duplicate((handle_t){start.log.value}, RIGHTS_LOG & ~(uint32_t)RIGHT_TRANSFER,
                               (handle_t *)&a);
        break;
    case OBJECT_NONE:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
    if (a != 0)
        put(type, a);
    if (b != 0)
        put(second, b);
}

// A value that turned out to be no handle any more is not taken again.
static void forget(uint64_t handle)
{
    uint64_t bytes;
    if (handle == 0 || object_inspect((handle_t){handle}, &bytes) != STATUS_BAD_HANDLE)
        return;
    for (uint32_t type = 0; type < OBJECT_COUNT; type++)
        for (uint32_t i = 0; i < POOL; i++)
            if (pool[type][i] == handle)
                pool[type][i] = 0;
}

// ---- other arguments

static uint64_t a_number(void)
{
    switch (random_below(dice, 5)) {
    case 0:
        return random_below(dice, 16);
    case 1:
        return random_below(dice, 8) * PAGE_SIZE;
    case 2:
        return 1ull << random_below(dice, 64);
    case 3:
        return UINT64_MAX - random_below(dice, 4);
    default:
        return random_next(dice) >> random_below(dice, 64);
    }
}

static uint64_t an_address(void)
{
    return random_below(dice, 8) == 0 ? a_number() : WINDOW + random_below(dice, 64) * PAGE_SIZE;
}

static uint64_t a_deadline(void)
{
    switch (random_below(dice, 8)) {
    case 0:
        return ABI_DEADLINE_NEVER;
    case 1:
        return now_ns() + random_below(dice, 50'000);
    default:
        return random_below(dice, 2) == 0 ? 0 : a_number() >> 32;
    }
}

static uint64_t a_message(void)
{
    struct abi_message_buffer *buffer = message_buffer();
    for (uint32_t i = 0; i < 2; i++)
        buffer->handles[i] = a_handle(OBJECT_NONE);
    uint64_t handles =
        random_below(dice, 8) == 0 ? random_below(dice, 16) : random_below(dice, 3) / 2;
    uint64_t message = MSG(random_below(dice, 72), handles);
    if (random_below(dice, 16) == 0)
        message ^= 1ull << random_below(dice, 64);
    return message;
}

static uint64_t a_shape(void)
{
    if (random_below(dice, 4) == 0)
        return random_next(dice) >> random_below(dice, 64);
    return ABI_CHANNEL_SHAPE(1 + random_below(dice, 4), random_below(dice, 128),
                             random_below(dice, 4), random_below(dice, 4));
}

// Only where nothing is: what is there must not be touched by chance.
static uint64_t a_physical(uint32_t call)
{
    if (random_below(dice, 4) == 0)
        return a_number() | 1; // misaligned
    return call == SYSCALL_MACHINE_MESSAGE_INTERRUPT
               ? vector_table
               : spare_memory + random_below(dice, 64) * PAGE_SIZE;
}

static uint64_t an_argument(uint32_t call, unsigned index)
{
    const struct abi_arg *arg = &abi_calls[call].arg[index];
    switch (arg->kind) {
    case ARG_HANDLE:
        return arg->optional && random_below(dice, 2) == 0 ? 0 : a_handle(arg->object);
    case ARG_RAW_HANDLE:
        return a_handle(OBJECT_NONE);
    case ARG_CHANNEL_SHAPE:
        return a_shape();
    case ARG_DEADLINE:
        return a_deadline();
    case ARG_MSGINFO:
        return a_message();
    case ARG_PADDR:
        return a_physical(call);
    case ARG_VADDR:
        return an_address();
    case ARG_RIGHTS:
        return random_below(dice, 4) == 0 ? a_number() : 0x1f & random_next(dice);
    case ARG_SIGNALS:
        return random_below(dice, 4) == 0 ? a_number() : 1ull << random_below(dice, 20);
    case ARG_TOKEN:
        return random_below(dice, 2) == 0 ? last_token : a_number();
    case ARG_POWER_ACTION:
        return 2 + random_below(dice, 1000);
    case ARG_DIRECTION:
    case ARG_MEMORY_KIND:
    case ARG_OVERFLOW:
    case ARG_PROT:
    case ARG_SYNC_SIDE:
    case ARG_TRIGGER:
    case ARG_VMO_FLAGS:
        return random_below(dice, 16) == 0 ? a_number() : random_below(dice, 5);
    case ARG_I64:
    case ARG_U64:
    case ARG_NONE:
        break;
    }
    return a_number();
}

// Numbers that mean something to one call only.
static void tame(uint32_t call, arguments_t a)
{
    bool wild = random_below(dice, 8) == 0;
    switch (call) {
    case SYSCALL_ACCOUNT_CREATE:
        a[1] = wild ? a[1] : random_below(dice, 32);
        a[2] = wild ? a[2] : random_below(dice, 16);
        break;
    case SYSCALL_THREAD_CREATE:
    case SYSCALL_THREAD_SET_PRIORITY:
        a[1] = wild ? a[1] | 64 : random_below(dice, 20);
        break;
    case SYSCALL_THREAD_SET_CPU:
    case SYSCALL_MACHINE_CPU:
        a[1] = wild ? a[1] | 64 : 0;
        break;
    case SYSCALL_VMO_CREATE:
        a[1] = wild ? a[1] : random_below(dice, 40) * PAGE_SIZE;
        a[2] = wild ? a[2] : 0;
        break;
    case SYSCALL_VMO_SLICE:
        a[2] = wild ? a[2] : random_below(dice, 3) * PAGE_SIZE;
        a[3] = wild ? a[3] : random_below(dice, 4) * PAGE_SIZE;
        break;
    case SYSCALL_VM_MAP:
        a[2] = wild ? a[2] : random_below(dice, 3) * PAGE_SIZE;
        a[4] = wild ? a[4] : random_below(dice, 4) * PAGE_SIZE;
        a[5] = wild ? a[5] : PROT_READ | PROT_WRITE;
        break;
    case SYSCALL_PIN_CREATE:
        a[3] = wild ? a[3] : 0;
        a[4] = wild ? a[4] : random_below(dice, 4) * PAGE_SIZE;
        break;
    case SYSCALL_MACHINE_DEVICE_MEMORY:
        a[3] = wild ? a[3] | 1 : random_below(dice, 4) * PAGE_SIZE;
        break;
    case SYSCALL_MACHINE_IO_RANGE:
        a[2] = wild ? 0x10000 + a[2] % 0x10000 : spare_ports + 0x100 + random_below(dice, 0x400);
        a[3] = random_below(dice, 8);
        break;
    case SYSCALL_MACHINE_INTERRUPT:
        a[2] = wild ? a[2] : random_below(dice, 300);
        break;
    case SYSCALL_MACHINE_MESSAGE_INTERRUPT:
        a[3] = wild ? a[3] | 0x1'0000 : random_below(dice, 4);
        break;
    case SYSCALL_MACHINE_DMA_SPACE:
    case SYSCALL_MACHINE_DEVICE_QUIET:
        a[call == SYSCALL_MACHINE_DMA_SPACE ? 2 : 1] = random_below(dice, 8);
        break;
    case SYSCALL_LOG_WRITE:
        a[1] = wild ? 257 + a[1] % 1000 : random_below(dice, 4);
        break;
    default:
        break;
    }
}

static bool dangerous(uint32_t call, const arguments_t a)
{
    for (unsigned i = 0; i < abi_calls[call].args; i++) {
        enum abi_arg_kind kind = abi_calls[call].arg[i].kind;
        if ((kind == ARG_HANDLE || kind == ARG_RAW_HANDLE) &&
            (world_holds(a[i]) || a[i] == arena.value))
            return true;
    }
    return false;
}

// ---- what comes back

static void keep_results(uint32_t call, const struct raw_result *result)
{
    static const struct {
        uint32_t call, types[2];
    } makers[] = {
        {SYSCALL_ACCOUNT_CREATE, {OBJECT_ACCOUNT}},
        {SYSCALL_PROCESS_CREATE, {OBJECT_PROCESS, OBJECT_ASPACE}},
        {SYSCALL_THREAD_CREATE, {OBJECT_THREAD}},
        {SYSCALL_VMO_CREATE, {OBJECT_VMO}},
        {SYSCALL_VMO_SLICE, {OBJECT_VMO}},
        {SYSCALL_CHANNEL_CREATE, {OBJECT_CHANNEL, OBJECT_CHANNEL}},
        {SYSCALL_PORT_CREATE, {OBJECT_PORT}},
        {SYSCALL_EVENT_CREATE, {OBJECT_EVENT}},
        {SYSCALL_TIMER_CREATE, {OBJECT_TIMER}},
        {SYSCALL_PIN_CREATE, {OBJECT_PIN}},
        {SYSCALL_MACHINE_DEVICE_MEMORY, {OBJECT_VMO}},
        {SYSCALL_MACHINE_IO_RANGE, {OBJECT_IORANGE}},
        {SYSCALL_MACHINE_INTERRUPT, {OBJECT_INTERRUPT}},
        {SYSCALL_MACHINE_MESSAGE_INTERRUPT, {OBJECT_INTERRUPT}},
        {SYSCALL_MACHINE_DMA_SPACE, {OBJECT_DMASPACE}},
        {SYSCALL_HANDLE_DUPLICATE, {OBJECT_MAPPING}}, // of whatever type
    };
    for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
        for (unsigned j = 0; makers[i].call == call && j < 2; j++)
            if (makers[i].types[j] != 0)
                put(makers[i].types[j], result->value[j]);
    uint64_t message = 0;
    if (call == SYSCALL_CHANNEL_RECEIVE || call == SYSCALL_CHANNEL_CALL)
        message = result->value[0];
    if (call == SYSCALL_PORT_RECEIVE || call == SYSCALL_CHANNEL_REPLY_RECEIVE)
        message = result->value[2];
    if (call == SYSCALL_CHANNEL_RECEIVE)
        last_token = result->value[1];
    if (call == SYSCALL_PORT_RECEIVE || call == SYSCALL_CHANNEL_REPLY_RECEIVE)
        last_token = result->value[3];
    // Maybe rewritten by now: then they stay in the table until the process ends.
    for (uint32_t i = 0; i < MSG_HANDLES(message) && i < ABI_MESSAGE_HANDLES; i++)
        if (!world_holds(message_buffer()->handles[i]))
            put(any_type(), message_buffer()->handles[i]);
}

// false: this call was not made.
static bool strike(void)
{
    uint32_t call = (uint32_t)random_below(dice, SYSCALL_COUNT);
    if (abi_calls[call].noreturn || (call == SYSCALL_LOG_WRITE && random_below(dice, 4) != 0))
        return false;
    arguments_t a = {};
    for (unsigned i = 0; i < abi_calls[call].args; i++)
        a[i] = an_argument(call, i);
    tame(call, a);
    if (dangerous(call, a))
        return false;
    struct raw_result result = count(call, a);
    if (result.status == STATUS_OK)
        keep_results(call, &result);
    if (result.status == STATUS_BAD_HANDLE || call == SYSCALL_HANDLE_CLOSE)
        for (unsigned i = 0; i < abi_calls[call].args; i++)
            forget(a[i]);
    return true;
}

// ---- rounds

// A few of each kind to begin with; copies of what the attacker has for life.
static void round_begin(void)
{
    account_t made;
    must(account_create(start.account, ROUND_PAGES, ROUND_OBJECTS, 0, 0, 0, &made),
         "account_create");
    // Without TRANSFER: a handle guessed in a message must not take it away.
    must(handle_duplicate((handle_t){made.value}, RIGHTS_ACCOUNT & ~(uint32_t)RIGHT_TRANSFER,
                          (handle_t *)&arena),
         "handle_duplicate");
    handle_close((handle_t){made.value});
    const struct {
        uint32_t type;
        uint64_t handle;
        uint32_t rights;
    } gifts[] = {
        {OBJECT_ACCOUNT, arena.value, RIGHT_CHARGE | RIGHT_INSPECT | RIGHT_WAIT | RIGHT_DUPLICATE},
        {OBJECT_MACHINE, start.machine.value, RIGHTS_MACHINE & ~(uint32_t)RIGHT_TRANSFER},
        {OBJECT_LOG, start.log.value, RIGHTS_LOG & ~(uint32_t)RIGHT_TRANSFER},
        {OBJECT_CHANNEL, world.echo.value, RIGHT_SEND | RIGHT_INSPECT | RIGHT_DUPLICATE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(gifts); i++)
        for (unsigned copies = 0; copies < 4; copies++) {
            handle_t copy;
            must(handle_duplicate((handle_t){gifts[i].handle}, gifts[i].rights, &copy),
                 "handle_duplicate");
            put(gifts[i].type, copy.value);
        }
}

static void round_end(uint64_t round, struct abi_inspect *before)
{
    uint32_t signals;
    must(object_destroy((handle_t){arena.value}), "object_destroy");
    must(
        object_wait((handle_t){arena.value}, SIGNAL_TERMINATED, now_ns() + 10 * NS_PER_S, &signals),
        "the end of a round's account");
    handle_close((handle_t){arena.value});
    for (uint32_t type = 0; type < OBJECT_COUNT; type++)
        for (uint32_t i = 0; i < POOL; i++) {
            if (pool[type][i] != 0)
                (void)handle_close((handle_t){pool[type][i]});
            pool[type][i] = 0;
        }
    for (uint64_t device = 0; device < 8; device++) {
        uint64_t pages = 1;
        while (pages != 0)
            must(machine_device_quiet(start.machine, device, &pages), "machine_device_quiet");
    }
    (void)thread_sleep(now_ns() + NS_PER_MS);
    struct abi_inspect after;
    inspect(start.account.value, &after);
    // A handle to an object of our own can be guessed in a message, and go away with it.
    if (after.account.objects_used < before->account.objects_used)
        *before = after;
    if (after.account.objects_used != before->account.objects_used ||
        after.account.objects_children != before->account.objects_children ||
        after.account.pages_children != before->account.pages_children ||
        after.account.pages_used > before->account.pages_used + 16 ||
        after.account.quarantined_pages != 0)
        failed("storm: after round %lu objects %lu (before %lu), below %lu (%lu), pages %lu (%lu), "
               "below %lu (%lu), quarantined %lu",
               round, after.account.objects_used, before->account.objects_used,
               after.account.objects_children, before->account.objects_children,
               after.account.pages_used, before->account.pages_used, after.account.pages_children,
               before->account.pages_children, after.account.quarantined_pages);
}

void storm_phase(struct random *random, uint64_t calls)
{
    dice = random;
    struct abi_inspect before;
    (void)thread_sleep(now_ns() + NS_PER_MS);
    inspect(start.account.value, &before);
    uint64_t rounds = (calls + ROUND_CALLS - 1) / ROUND_CALLS;
    for (uint64_t round = 0; round < rounds && failures < 40; round++) {
        round_begin();
        pest(PEST_CANCEL | PEST_SCRIBBLE);
        for (uint64_t made = 0; made < ROUND_CALLS;)
            made += strike();
        pest(PEST_NONE);
        round_end(round, &before);
    }
}
