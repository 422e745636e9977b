// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_draw.c
//
// Long random sequences of system calls, drawn from the ABI's own table (kernel_draw.h). Each
// result must be one that the table lists for its call; the whole system is checked every few
// calls, and everything must be back at the end. SEED=n repeats a run.
#include <abi_table.h>

#include "kernel_draw.h"

constexpr unsigned STEPS = 150'000;
constexpr unsigned CHECK_EVERY = 40;
constexpr unsigned ACTORS = 5;

static struct random rng;
static uint64_t seen[SYSCALL_COUNT][STATUS_COUNT + 1];

static uint64_t below(uint64_t limit)
{
    return random_below(&rng, limit);
}

static uint64_t any(void)
{
    return random_next(&rng);
}

static bool waits[ACTORS_MAX]; // its outcome is not counted yet

static void count_outcome(struct actor *actor)
{
    const struct outcome *out = &actor->out;
    waits[actor - world.actors] = false;
    seen[actor->number][out->status]++;
    if (!draw_is_listed(actor->number, out->status))
        test_fail(__FILE__, __LINE__, "%s answered %s, which its table does not list",
                  abi_calls[actor->number].name, abi_status_names[out->status]);
    draw_note(actor);
}

// What its new account gets of the contiguous memory, as far as the root account has such blocks.
static uint64_t chosen_blocks(void)
{
    uint64_t pages = random_below(&rng, 40);
    return pages <= world.root->blocks_free / 8 ? pages : 0;
}

static void respawn(void)
{
    unsigned alive = 0;
    for (unsigned i = 1; i < world.actor_count; i++)
        alive += !is_dead(&world.actors[i]);
    for (; alive < ACTORS; alive++) {
        // In an account that exists, or in a new one.
        uint64_t account = draw_handle(world.boss, OBJECT_ACCOUNT);
        const struct account *chosen = account_behind(world.boss, account);
        if (account == world.root_account || !is_live(world.boss, account) || chosen->closed ||
            chosen->pages.limit - chosen->pages.used - chosen->pages.children < 60 ||
            chosen->objects.limit - chosen->objects.used - chosen->objects.children < 20) {
            if (world.root->objects.limit - world.root->objects.children < 300)
                return;
            account =
                MUST(world.boss, ACCOUNT_CREATE, world.root_account, 250, 90, chosen_blocks());
        }
        struct actor *born = spawn(account, (uint8_t)(5 + random_below(&rng, 5)));
        (void)grant(born, world.boss, world.machine);
        (void)grant(born, world.boss, world.log);
        struct actor *other = &world.actors[1 + random_below(&rng, world.actor_count - 1)];
        uint64_t end = is_dead(other) ? 0 : draw_handle(other, OBJECT_CHANNEL);
        if (other != born && end && is_live(other, end))
            (void)grant(born, other, end);
    }
}

// Ends accounts that have nobody left, so that the root account never runs out.
static void sweep(void)
{
    struct actor *boss = world.boss;
    uint64_t account = draw_handle(boss, OBJECT_ACCOUNT);
    if (account != world.root_account && is_live(boss, account))
        (void)CALL(boss, OBJECT_DESTROY, account);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t handle = draw_handle(boss, OBJECT_NONE);
        const struct object *object = object_behind(boss, handle);
        if (!is_live(boss, handle) ||
            (object->type == OBJECT_ACCOUNT && object->state == ACCOUNT_DEAD))
            MUST(boss, HANDLE_CLOSE, handle);
    }
    MUST(boss, MACHINE_DEVICE_QUIET, world.machine, DRAW_DEVICE);
}

static void one_call(struct actor *actor)
{
    uint64_t number = random_below(&rng, SYSCALL_COUNT);
    // Those that end something are rarer.
    if ((abi_calls[number].noreturn || number == SYSCALL_OBJECT_DESTROY) && random_below(&rng, 8))
        return;
    uint64_t arguments[6] = {};
    draw_call(actor, number, random_below(&rng, 10) < 7, arguments);
    if (actor->process->handles_used > 100)
        number = SYSCALL_HANDLE_CLOSE, arguments[0] = draw_handle(actor, OBJECT_NONE);
    struct outcome out = call_number(actor, number, arguments);
    if (is_dead(actor))
        return;
    if (out.status == STATUS_BLOCKED)
        waits[actor - world.actors] = true;
    else
        count_outcome(actor);
}

static void one_step(unsigned step)
{
    struct actor *actor = &world.actors[1 + random_below(&rng, world.actor_count - 1)];
    for (unsigned i = 1; i < world.actor_count; i++)
        if (waits[i] && has_ended(&world.actors[i]))
            count_outcome(&world.actors[i]);
    if (is_dead(actor)) {
        waits[actor - world.actors] = false;
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
    draw_from(below, any);
    world_begin(
        (struct world_options){.ram_bytes = 16 << 20, .contiguous_bytes = 2 << 20, .asids = 4000});
    respawn();
    unsigned steps = test_amount(STEPS, 40);
    for (unsigned step = 0; step < steps; step++)
        one_step(step);
    world_end_after_quarantine(DRAW_DEVICE);
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
