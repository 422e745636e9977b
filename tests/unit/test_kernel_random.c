// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Long random sequences of system calls, drawn from the ABI's own table: mostly valid handles of
// the right type, sensible arguments, and some of any kind. Each result must be one that the table
// lists for its call; the whole system is checked every few calls, and everything must be back
// at the end. SEED=n repeats a run.
#include <abi_table.h>

#include "kernel_world.h"

constexpr unsigned STEPS = 150'000;
constexpr unsigned CHECK_EVERY = 40;
constexpr unsigned ACTORS = 5;
constexpr uint64_t DEVICE = 7; // the only one: its quarantine ends with the test

static struct random rng;
static uint64_t seen[SYSCALL_COUNT][STATUS_COUNT + 1];

static uint64_t one_of(const uint64_t *values, size_t count)
{
    return values[random_below(&rng, count)];
}
#define ONE_OF(...) \
    one_of((const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

// A live handle of the actor's of this type, or of any; 0: there is none.
static uint64_t pick_handle(const struct actor *actor, enum abi_object type)
{
    uint64_t found = 0;
    unsigned count = 0;
    for (uint32_t slot = 0; slot < actor->process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry =
            &actor->process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
        if ((entry->tag & 3) != HANDLE_LIVE ||
            (type != OBJECT_NONE && (entry->word >> 24 & 0xff) != type))
            continue;
        if (random_below(&rng, ++count) == 0)
            found = entry->tag >> 2 << 32 | slot;
    }
    return found;
}

static uint64_t draw_handle(const struct actor *actor, const struct abi_arg *arg)
{
    if (arg->optional && random_below(&rng, 2))
        return 0;
    switch (random_below(&rng, 20)) {
    case 0:
        return random_next(&rng);
    case 1:
        return pick_handle(actor, OBJECT_NONE);
    case 2:
        return pick_handle(actor, (enum abi_object)arg->object) ^ 1ull << random_below(&rng, 64);
    default:
        return pick_handle(actor, (enum abi_object)arg->object);
    }
}

static uint64_t draw(const struct actor *actor, uint64_t call, unsigned index)
{
    const struct abi_arg *arg = &abi_calls[call].arg[index];
    if (arg->kind != ARG_HANDLE && arg->kind != ARG_RAW_HANDLE && random_below(&rng, 25) == 0)
        return random_next(&rng) >> random_below(&rng, 64);
    switch (arg->kind) {
    case ARG_HANDLE:
        return draw_handle(actor, arg);
    case ARG_RAW_HANDLE:
        return random_below(&rng, 10) ? pick_handle(actor, OBJECT_NONE) : random_next(&rng);
    case ARG_DEADLINE:
        return random_below(&rng, 4) ? host_ticks + random_below(&rng, 3000)
                                     : ONE_OF(0, ABI_DEADLINE_NEVER);
    case ARG_RIGHTS:
        return random_below(&rng, 2) ? RIGHTS_ALL & random_next(&rng)
                                     : ONE_OF(RIGHTS_EVENT, RIGHTS_VMO, RIGHTS_CHANNEL, 0);
    case ARG_SIGNALS:
        return ONE_OF(1, 3, 0xffff, SIGNAL_READABLE, SIGNAL_READABLE | SIGNAL_PEER_CLOSED,
                      SIGNAL_TERMINATED, SIGNAL_FIRED, 0);
    case ARG_VADDR:
        return 0x4000'0000 + random_below(&rng, 40) * PAGE_SIZE;
    case ARG_PROT:
        return ONE_OF(PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXECUTE, 7);
    case ARG_MSGINFO:
        return MSG(random_below(&rng, 80), random_below(&rng, 3)) |
               (random_below(&rng, 3) ? 0 : (uint64_t)1 << MSG_REPLY_HANDLES_SHIFT);
    case ARG_CHANNEL_SHAPE:
        return ABI_CHANNEL_SHAPE(1 + random_below(&rng, 4), 64, 2, random_below(&rng, 4));
    case ARG_TOKEN:
        return random_below(&rng, 4) ? actor->out.value[random_below(&rng, 2) ? 1 : 3]
                                     : random_below(&rng, 4) << 32 | random_below(&rng, 4);
    case ARG_PADDR:
        return 0xd000'0000 + random_below(&rng, 8) * PAGE_SIZE;
    case ARG_I64:
    case ARG_U64:
        return ONE_OF(0, 1, 2, 5, 16, 40, 0x1000, 0x2000, 0x5000, 0x14000, DEVICE);
    case ARG_VMO_FLAGS:
    case ARG_OVERFLOW:
        return random_below(&rng, 8) == 0;
    case ARG_DIRECTION:
    case ARG_SYNC_SIDE:
    case ARG_TRIGGER:
    case ARG_MEMORY_KIND:
    case ARG_POWER_ACTION:
        return random_below(&rng, 4);
    case ARG_NONE:
        break;
    }
    return 0;
}

// The calls that hardly ever succeed with arguments drawn one by one.
static struct {
    uint64_t end, token; // of the last call that the actor took
    bool waits;          // its outcome is not counted yet
} notes[ACTORS_MAX];

static void make_sensible(const struct actor *actor, uint64_t number, uint64_t arguments[6])
{
    switch (number) {
    case SYSCALL_VMO_CREATE:
        arguments[1] = ONE_OF(1, 3, 20, 70) * PAGE_SIZE;
        arguments[2] = 0;
        break;
    case SYSCALL_VM_MAP:
        arguments[2] = 0;
        arguments[4] = ONE_OF(1, 1, 3, 20) * PAGE_SIZE;
        arguments[5] = PROT_READ;
        break;
    case SYSCALL_VM_UNMAP:
        if (actor->process->aspace) {
            struct tree_node *node =
                tree_find_at_least(&actor->process->aspace->mappings, arguments[1]);
            arguments[1] = node ? node->key : arguments[1];
        }
        break;
    case SYSCALL_PIN_CREATE:
        arguments[3] = 0;
        arguments[4] = PAGE_SIZE;
        arguments[5] = DMA_BOTH;
        break;
    case SYSCALL_PIN_ADDRESSES:
        arguments[1] = 0;
        break;
    case SYSCALL_PIN_SYNC:
        arguments[1] = arguments[2] = 16;
        arguments[3] = SYNC_CPU;
        break;
    case SYSCALL_CHANNEL_CALL:
        arguments[1] = MSG(8, 0);
        arguments[2] = ABI_DEADLINE_NEVER;
        break;
    case SYSCALL_CHANNEL_REPLY:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        arguments[0] = notes[actor - world.actors].end;
        arguments[1] = notes[actor - world.actors].token;
        arguments[2] = MSG(8, 0);
        break;
    default:
        break;
    }
}

static void count_outcome(struct actor *actor)
{
    const struct outcome *out = &actor->out;
    notes[actor - world.actors].waits = false;
    seen[actor->number][out->status]++;
    if (out->status != STATUS_OK && !(abi_calls[actor->number].errors >> out->status & 1))
        test_fail(__FILE__, __LINE__, "%s answered %s, which its table does not list",
                  abi_calls[actor->number].name, abi_status_names[out->status]);
    if (actor->number == SYSCALL_CHANNEL_RECEIVE && out->status == STATUS_OK &&
        out->value[0] & MSG_CALL) {
        notes[actor - world.actors].end = actor->argument[0];
        notes[actor - world.actors].token = out->value[1];
    }
}

static void respawn(void)
{
    unsigned alive = 0;
    for (unsigned i = 1; i < world.actor_count; i++)
        alive += !is_dead(&world.actors[i]);
    for (; alive < ACTORS; alive++) {
        // In an account that exists, or in a new one.
        uint64_t account = pick_handle(world.boss, OBJECT_ACCOUNT);
        const struct account *chosen = account_behind(world.boss, account);
        if (account == world.root_account || !is_live(world.boss, account) || chosen->closed ||
            chosen->pages.limit - chosen->pages.used - chosen->pages.children < 60 ||
            chosen->objects.limit - chosen->objects.used - chosen->objects.children < 20) {
            if (world.root->objects.limit - world.root->objects.children < 300)
                return;
            account = new_account(250, 90);
        }
        struct actor *born = spawn(account, (uint8_t)(5 + random_below(&rng, 5)));
        (void)grant(born, world.boss, world.machine);
        (void)grant(born, world.boss, world.log);
        struct actor *other = &world.actors[1 + random_below(&rng, world.actor_count - 1)];
        uint64_t end = is_dead(other) ? 0 : pick_handle(other, OBJECT_CHANNEL);
        if (other != born && end && is_live(other, end))
            (void)grant(born, other, end);
    }
}

// Ends accounts that have nobody left, so that the root account never runs out.
static void sweep(void)
{
    struct actor *boss = world.boss;
    uint64_t account = pick_handle(boss, OBJECT_ACCOUNT);
    if (account != world.root_account && is_live(boss, account))
        (void)CALL(boss, OBJECT_DESTROY, account);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t handle = pick_handle(boss, OBJECT_NONE);
        const struct object *object = object_behind(boss, handle);
        if (!is_live(boss, handle) ||
            (object->type == OBJECT_ACCOUNT && object->state == ACCOUNT_DEAD))
            MUST(boss, HANDLE_CLOSE, handle);
    }
    MUST(boss, MACHINE_DEVICE_QUIET, world.machine, DEVICE);
}

static void one_call(struct actor *actor)
{
    uint64_t number = random_below(&rng, SYSCALL_COUNT);
    // Those that end something are rarer.
    if ((abi_calls[number].noreturn || number == SYSCALL_OBJECT_DESTROY) && random_below(&rng, 8))
        return;
    uint64_t arguments[6] = {};
    for (unsigned i = 0; i < abi_calls[number].args; i++)
        arguments[i] = draw(actor, number, i);
    if (number == SYSCALL_MACHINE_DMA_SPACE)
        arguments[2] = DEVICE;
    if (actor->process->handles_used > 100)
        number = SYSCALL_HANDLE_CLOSE, arguments[0] = pick_handle(actor, OBJECT_NONE);
    else if (random_below(&rng, 10) < 7)
        make_sensible(actor, number, arguments);
    uint64_t handles[] = {pick_handle(actor, OBJECT_NONE), pick_handle(actor, OBJECT_EVENT)};
    set_handles(actor, 2, handles);
    struct outcome out = call_number(actor, number, arguments);
    if (is_dead(actor))
        return;
    if (out.status == STATUS_BLOCKED)
        notes[actor - world.actors].waits = true;
    else
        count_outcome(actor);
}

static void one_step(unsigned step)
{
    struct actor *actor = &world.actors[1 + random_below(&rng, world.actor_count - 1)];
    for (unsigned i = 1; i < world.actor_count; i++)
        if (notes[i].waits && has_ended(&world.actors[i]))
            count_outcome(&world.actors[i]);
    if (is_dead(actor)) {
        notes[actor - world.actors].waits = false;
        respawn();
    } else if (actor->calling) {
        if (random_below(&rng, 4) == 0)
            advance(random_below(&rng, 4000));
        else if (random_below(&rng, 8) == 0 && actor->thread_handle)
            (void)CALL(world.boss, THREAD_CANCEL, actor->thread_handle);
    } else if (random_below(&rng, 60) == 0) {
        raise_fault(actor, FAULT_READ, 0);
    } else {
        one_call(actor);
    }
    if (random_below(&rng, 30) == 0) {
        host_line_pulse(HOST_LINE_FIRST + (uint32_t)random_below(&rng, 40));
        settle();
    }
    if (step % 400 == 399)
        sweep();
    if (step % CHECK_EVERY == 0)
        world_check();
}

TEST(long_random_sequences)
{
    rng.state = test_seed();
    world_begin((struct world_options){.ram_bytes = 16 << 20, .asids = 4000});
    respawn();
    unsigned steps = test_amount(STEPS, 40);
    for (unsigned step = 0; step < steps; step++)
        one_step(step);
    world_end_after_quarantine(DEVICE);
    unsigned calls = 0, results = 0;
    for (unsigned n = 0; n < SYSCALL_COUNT; n++) {
        bool ok = seen[n][STATUS_OK] > 0;
        calls += ok;
        for (unsigned s = 0; s <= STATUS_COUNT; s++)
            results += seen[n][s] > 0;
    }
    test_note("%u steps; %u of %u calls succeeded at least once; %u pairs of call and result",
              steps, calls, (unsigned)SYSCALL_COUNT, results);
}
