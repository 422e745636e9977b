// SPDX-License-Identifier: MIT
// build: tests/fuzz/kernel_fuzz.c tests/fuzz/kernel_pages.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_draw.c
//
// Sequences of system calls: threads of two processes on two CPUs, connected by a channel, in the
// real kernel on the simulated machine. Each record of the input is one step: a call, a fault, an
// interrupt, time that passes. The ABI's table says what its bytes mean (kernel_draw.h). Each
// answer must be one that the table lists; at the end every invariant must hold, and nothing may
// be left when all accounts are destroyed.
#include "kernel_draw.h"
#include "kernel_fuzz.h"

constexpr size_t RECORD = 24;
constexpr unsigned STEPS_MAX = 40;

static struct input record; // of the step under way
static bool noted[ACTORS_MAX];

static uint64_t below(uint64_t limit)
{
    return input_below(&record, limit);
}

static uint64_t any(void)
{
    return input_number(&record, 8);
}

void fuzz_begin(void)
{
    draw_from(below, any);
    kernel_begin();
    struct actor *one = spawn(new_account(48, 60), 10);
    struct actor *two = spawn_on(1, new_account(48, 60), 10);
    spawn_thread(one, 12);
    struct ends ends = new_channel(one, 2, 64, 2, 2);
    (void)grant(two, one, ends.end1);
    MUST(one, HANDLE_CLOSE, ends.end1);
    (void)grant(one, world.boss, world.machine);
    (void)grant(two, world.boss, world.log);
    kernel_ready();
}

static void check_answer(const struct actor *actor)
{
    if (!draw_is_listed(actor->number, actor->out.status))
        fuzz_fail(__FILE__, __LINE__, "call %llu answered %llu, which its table does not list",
                  (unsigned long long)actor->number, (unsigned long long)actor->out.status);
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

static void one_call(struct actor *actor)
{
    uint64_t arguments[6] = {}, number = below(SYSCALL_COUNT), sensible = below(4);
    draw_call(actor, number, sensible > 0, arguments);
    noted[actor - world.actors] = false;
    (void)call_number(actor, number, arguments);
}

static void one_step(void)
{
    uint64_t what = below(256);
    struct actor *actor = &world.actors[1 + below(world.actor_count - 1)];
    if (is_dead(actor))
        return;
    if (what < 8) {
        advance(below(4000));
    } else if (what < 12) {
        host_line_pulse(HOST_LINE_FIRST + (uint32_t)below(16));
        settle();
    } else if (actor->calling) {
        if (what < 64 && is_live(world.boss, actor->thread_handle))
            (void)CALL(world.boss, THREAD_CANCEL, actor->thread_handle);
    } else if (what < 16) {
        noted[actor - world.actors] = true; // no call
        raise_fault(actor, FAULT_READ, 0);
    } else {
        one_call(actor);
    }
    note_ended();
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes};
    kernel_restore();
    for (unsigned i = 0; i < ACTORS_MAX; i++)
        noted[i] = true;
    for (unsigned step = 0; step < STEPS_MAX && input_record(&input, RECORD, &record); step++)
        one_step();
    kernel_end();
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    return mutate_records(data, bytes, room, RECORD, dice);
}
