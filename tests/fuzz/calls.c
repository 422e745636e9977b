// SPDX-License-Identifier: MIT
// build: tests/fuzz/kernel_fuzz.c tests/fuzz/kernel_pages.c tests/unit/kernel_alone.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_draw.c
//
// Sequences of system calls: threads of two processes on two CPUs in the real kernel on the
// simulated machine. They have an object of each kind, and some of each other's. Each record of the
// input is one step: a call, an access to memory, a fault, an interrupt, time that passes. The ABI's
// table says what its bytes mean (kernel_draw.h).
//
// Each answer must be one that the table lists. What fails at once leaves all accounts as they
// were. No token of a call is given twice. At the end every invariant must hold, and nothing may be
// left when all accounts are destroyed.
#include "cpu.h"
#include "kernel_draw.h"
#include "kernel_fuzz.h"

constexpr size_t RECORD = 24;
constexpr unsigned STEPS_MAX = 40, TOKENS_MAX = STEPS_MAX;

// The first byte of a record says what the step is: below which number.
enum what : uint8_t { ADVANCE = 8, INTERRUPT = 12, FAULT = 14, ACCESS = 24, CALLING = 64 };

static struct input record; // of the step under way
static bool noted[ACTORS_MAX];

static struct token {
    const struct object *channel;
    uint64_t id, token; // of the channel; of the call
} tokens[TOKENS_MAX];
static unsigned token_count;

static uint64_t below(uint64_t limit)
{
    return input_below(&record, limit);
}

static uint64_t any(void)
{
    return input_number(&record, 8);
}

// ---- the world

// An object of each kind that one can make alone.
static void equip(struct actor *actor)
{
    (void)MUST(actor, EVENT_CREATE, actor->account);
    uint64_t port = MUST(actor, PORT_CREATE, actor->account);
    uint64_t timer = MUST(actor, TIMER_CREATE, actor->account);
    MUST(actor, PORT_BIND, port, timer, 1, SIGNAL_FIRED);
    uint64_t vmo = MUST(actor, VMO_CREATE, actor->account, 4 * PAGE_SIZE, 0);
    MUST(actor, VM_MAP, actor->own_aspace, vmo, 0, 0x4000'0000, 2 * PAGE_SIZE,
         PROT_READ | PROT_WRITE);
    (void)MUST(actor, ACCOUNT_CREATE, actor->account, 4, 4);
}

void fuzz_begin(void)
{
    draw_from(below, any);
    kernel_begin();
    struct actor *one = spawn(new_account(56, 70), 10);
    struct actor *two = spawn_on(1, new_account(56, 70), 10);
    spawn_thread(one, 12);
    equip(one);
    equip(two);
    (void)grant(two, one, draw_handle(one, OBJECT_VMO));
    (void)grant(one, world.boss, world.machine);
    (void)MUST(one, MACHINE_DMA_SPACE, draw_handle(one, OBJECT_MACHINE), one->account, DRAW_DEVICE);
    (void)grant(two, world.boss, world.log);
    struct ends ends = new_channel(one, 2, 64, 2, 2);
    (void)grant(two, one, ends.end1);
    MUST(one, HANDLE_CLOSE, ends.end1);
    kernel_ready();
}

// ---- what must hold

static void expect_new_token(const struct actor *actor)
{
    uint64_t token = draw_token(actor);
    if (token == 0 || actor->number != SYSCALL_CHANNEL_RECEIVE || token_count == TOKENS_MAX)
        return;
    const struct object *channel = object_behind(actor, actor->argument[0]);
    if (!channel)
        return;
    for (unsigned i = 0; i < token_count; i++)
        FUZZ_EXPECT(tokens[i].channel != channel || tokens[i].id != channel->id ||
                    tokens[i].token != token);
    tokens[token_count++] = (struct token){channel, channel->id, token};
}

static void check_answer(const struct actor *actor)
{
    if (!draw_is_listed(actor->number, actor->out.status))
        fuzz_fail(__FILE__, __LINE__, "call %llu answered %llu, which its table does not list",
                  (unsigned long long)actor->number, (unsigned long long)actor->out.status);
    expect_new_token(actor);
    draw_note(actor);
}

// Those that had to wait and have their answer by now.
static void note_ended(void)
{
    for (unsigned i = 1; i < world.actor_count; i++) {
        if (noted[i] || !has_ended(&world.actors[i]) || world.actors[i].number == SYSCALL_COUNT)
            continue;
        check_answer(&world.actors[i]);
        noted[i] = true;
    }
}

// What all accounts have and what they pay for, in one number.
static uint64_t accounts_now(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0, count = objects_ever(); i < count; i++) {
        const struct object *object = object_at(i);
        if (object->type != OBJECT_ACCOUNT || object->life == LIFE_FREE)
            continue;
        const struct account *account = (const struct account *)(const void *)object;
        const uint64_t figures[] = {account->pages.limit,    account->pages.used,
                                    account->pages.children, account->objects.limit,
                                    account->objects.used,   account->objects.children};
        for (unsigned k = 0; k < ARRAY_SIZE(figures); k++)
            sum = (sum ^ figures[k]) * 0x9e37'79b9'7f4a'7c15;
    }
    return sum;
}

// ---- steps

static void one_call(struct actor *actor)
{
    uint64_t arguments[6] = {}, number = below(SYSCALL_COUNT), sensible = below(4);
    draw_call(actor, number, sensible > 0, arguments);
    noted[actor - world.actors] = false;
    uint64_t before = accounts_now();
    status_t status = call_number(actor, number, arguments).status;
    // A reply that went out is not taken back when nothing is there to be received.
    if (!is_dead(actor) && status != STATUS_OK && status != STATUS_BLOCKED &&
        number != SYSCALL_CHANNEL_REPLY_RECEIVE)
        FUZZ_EXPECT(accounts_now() == before);
}

// As the actor's own code does: its translations stay in the TLB of its CPU.
static void access_memory(struct actor *actor)
{
    paddr_t physical;
    if (actor->thread->home->number != actor->cpu)
        return; // it was moved: it cannot be held
    hold(actor);
    for (uint64_t count = 1 + below(3); count > 0; count--)
        (void)host_access(actor->cpu, 0x4000'0000 + below(40) * PAGE_SIZE,
                          (enum host_access)below(2), &physical);
    settle();
}

// The actor that the record names, or the next one that can make a call; nullptr: there is none.
static struct actor *choose_actor(uint64_t what)
{
    unsigned count = world.actor_count - 1, first = (unsigned)below(count);
    for (unsigned i = 0; i < count; i++) {
        struct actor *actor = &world.actors[1 + (first + i) % count];
        if (!is_dead(actor) && (!actor->calling || (i == 0 && what < CALLING)))
            return actor;
    }
    return nullptr;
}

static void one_step(void)
{
    uint64_t what = below(256);
    struct actor *actor = choose_actor(what);
    if (!actor || what < ADVANCE) {
        advance(below(4000));
    } else if (what < INTERRUPT) {
        host_line_pulse(HOST_LINE_FIRST + (uint32_t)below(16));
        settle();
    } else if (actor->calling) {
        if (is_live(world.boss, actor->thread_handle))
            (void)CALL(world.boss, THREAD_CANCEL, actor->thread_handle);
    } else if (what < FAULT) {
        noted[actor - world.actors] = true; // no call
        raise_fault(actor, FAULT_READ, 0);
    } else if (what < ACCESS) {
        access_memory(actor);
    } else {
        one_call(actor);
    }
    note_ended();
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes};
    kernel_restore();
    token_count = 0;
    for (unsigned i = 0; i < ACTORS_MAX; i++)
        noted[i] = true;
    for (unsigned step = 0; step < STEPS_MAX && input_record(&input, RECORD, &record); step++)
        one_step();
    kernel_end();
}

// ---- changing: calls that belong together are put in together

enum : uint8_t { PASS_TIME = 0xf0, PULSE, TOUCH, OTHER = 0xff }; // OTHER: two actors in turn

static const uint8_t chains[][8] = {
    {SYSCALL_VMO_CREATE, SYSCALL_VM_MAP, TOUCH, SYSCALL_VM_PROTECT, TOUCH, SYSCALL_VM_UNMAP},
    {SYSCALL_VMO_CREATE, SYSCALL_VM_MAP, TOUCH, SYSCALL_OBJECT_DESTROY},
    {SYSCALL_VMO_CREATE, SYSCALL_CHANNEL_SEND, OTHER, SYSCALL_CHANNEL_RECEIVE, SYSCALL_VM_MAP},
    {SYSCALL_MACHINE_DMA_SPACE, SYSCALL_PIN_CREATE, SYSCALL_PIN_ADDRESSES, SYSCALL_PIN_SYNC,
     SYSCALL_PIN_RELEASE},
    {SYSCALL_VMO_CREATE, SYSCALL_PIN_CREATE, SYSCALL_OBJECT_DESTROY, SYSCALL_MACHINE_DEVICE_QUIET},
    {SYSCALL_ACCOUNT_CREATE, SYSCALL_ACCOUNT_RESIZE, SYSCALL_ACCOUNT_RESIZE},
    {SYSCALL_ACCOUNT_CREATE, SYSCALL_EVENT_CREATE, SYSCALL_OBJECT_DESTROY},
    {SYSCALL_PROCESS_CREATE, SYSCALL_VM_MAP, SYSCALL_THREAD_CREATE, SYSCALL_THREAD_START,
     SYSCALL_OBJECT_WAIT, SYSCALL_OBJECT_DESTROY},
    {SYSCALL_THREAD_CREATE, SYSCALL_THREAD_START, SYSCALL_THREAD_SET_CPU,
     SYSCALL_THREAD_SET_PRIORITY, SYSCALL_THREAD_CANCEL},
    {SYSCALL_CHANNEL_CALL, OTHER, SYSCALL_CHANNEL_RECEIVE, SYSCALL_CHANNEL_REPLY, OTHER,
     SYSCALL_CHANNEL_CALL, OTHER, SYSCALL_CHANNEL_RECEIVE},
    {SYSCALL_CHANNEL_CALL, OTHER, SYSCALL_CHANNEL_RECEIVE, SYSCALL_CHANNEL_REPLY_RECEIVE},
    {SYSCALL_CHANNEL_SEND, SYSCALL_CHANNEL_SEND, SYSCALL_CHANNEL_SEND, OTHER,
     SYSCALL_CHANNEL_RECEIVE},
    {SYSCALL_CHANNEL_CREATE, SYSCALL_PORT_BIND, SYSCALL_CHANNEL_SEND, SYSCALL_PORT_RECEIVE},
    {SYSCALL_PORT_CREATE, SYSCALL_EVENT_CREATE, SYSCALL_PORT_BIND, SYSCALL_EVENT_SIGNAL,
     SYSCALL_PORT_RECEIVE, SYSCALL_EVENT_CLEAR, SYSCALL_PORT_UNBIND},
    {SYSCALL_EVENT_CREATE, SYSCALL_OBJECT_WAIT, OTHER, SYSCALL_EVENT_SIGNAL},
    {SYSCALL_TIMER_CREATE, SYSCALL_TIMER_SET, PASS_TIME, SYSCALL_PORT_RECEIVE,
     SYSCALL_TIMER_CANCEL},
    {SYSCALL_TIMER_SET, SYSCALL_THREAD_SLEEP, PASS_TIME},
    {SYSCALL_MACHINE_INTERRUPT, SYSCALL_PORT_BIND, PULSE, SYSCALL_PORT_RECEIVE,
     SYSCALL_INTERRUPT_ACKNOWLEDGE, PULSE},
    {SYSCALL_MACHINE_INTERRUPT, SYSCALL_INTERRUPT_LIMIT, PULSE, PULSE, PASS_TIME},
    {SYSCALL_MACHINE_MESSAGE_INTERRUPT, SYSCALL_MACHINE_MESSAGE_INTERRUPT, SYSCALL_OBJECT_DESTROY},
    {SYSCALL_MACHINE_IO_RANGE, SYSCALL_IO_WRITE, SYSCALL_IO_READ},
    {SYSCALL_MACHINE_DEVICE_MEMORY, SYSCALL_VM_MAP, TOUCH},
    {SYSCALL_HANDLE_DUPLICATE, SYSCALL_CHANNEL_SEND, OTHER, SYSCALL_CHANNEL_RECEIVE,
     SYSCALL_HANDLE_CLOSE},
};

static void write_step(uint8_t *at, uint8_t what, uint8_t actor, struct dice *dice)
{
    for (size_t i = 0; i < RECORD; i++)
        at[i] = (uint8_t)dice_next(dice);
    at[0] = what == PASS_TIME ? 0 : what == PULSE ? ADVANCE : what == TOUCH ? FAULT : CALLING;
    at[1] = actor;
    at[2] = what;
    at[3] |= 1; // sensible
}

// Puts one of the chains in, as much of it as there is room for; how many records there are then.
static size_t put_chain(uint8_t *data, size_t count, size_t most, struct dice *dice)
{
    const uint8_t *chain = chains[dice_below(dice, ARRAY_SIZE(chains))];
    uint8_t actor = (uint8_t)dice_below(dice, 3), other = (uint8_t)dice_below(dice, 3);
    size_t at = dice_below(dice, count + 1);
    for (unsigned i = 0; i < sizeof chains[0] && (i == 0 || chain[i]) && count < most; i++) {
        if (chain[i] == OTHER) {
            uint8_t before = actor;
            actor = other;
            other = before;
            continue;
        }
        write_step(insert_record(data, count++, at++, RECORD), chain[i], actor, dice);
    }
    return count;
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (dice_below(dice, 3) > 0)
        return mutate_records(data, bytes, room, RECORD, dice);
    size_t count = bytes / RECORD, most = room / RECORD;
    // A full one loses a piece of its end first.
    if (count == most)
        count -= dice_below(dice, count / 2 + 1);
    return put_chain(data, count, most, dice) * RECORD;
}
