// SPDX-License-Identifier: MIT
//
// Looks for the plans (tests/programs/found/plan.h) in which the kernel is busy longest without looking
// for interrupts: on the simulated machine, where the kernel's basic blocks are counted from the
// beginning of an entry, or a window for interrupts, to its end, or the next.
//
//   climb [PLANS [SEED]]
//
// For each operation the plan is kept in which one of its steps was longest; one of them is changed a
// little, and tried. At the end each is made as short as it can be, and the ten longest are printed as
// lines of plans.inc; the same seed finds the same. What is counted is not instructions: those are measured in QEMU (`make entries`).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "found/plan.h"
#include "kernel_world.h"

constexpr unsigned KINDS = 64, SHOWN = 10;
constexpr uint64_t PLANS = 12'000;
constexpr size_t BYTES_A_BLOCK = 64; // of memory that is cleared or copied

struct plan {
    struct plan_step steps[PLAN_STEPS_MAX];
    unsigned count;
};

static struct best {
    struct plan plan;
    uint64_t cost;
} bests[KINDS + 1]; // by operation; the last: the end of a plan's account

static uint64_t state;
static struct actor *actors[PLAN_WORKERS + 1];

static uint64_t below(uint64_t limit)
{
    struct random random = {state};
    uint64_t value = random_below(&random, limit);
    state = random.state;
    return value;
}

// ---- counting

static uint64_t cost;                        // of the stretch under way
static uint64_t longest[PLAN_STEPS_MAX + 1]; // by step, of the plan under way
static unsigned step_now;

void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop);
void *__real_memset(void *to, int value, size_t bytes);
void *__wrap_memset(void *to, int value, size_t bytes);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void __real_host_run(unsigned cpu);
void __wrap_host_run(unsigned cpu);

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    (void)guard;
    cost++;
}

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
    (void)start, (void)stop;
}

void *__wrap_memset(void *to, int value, size_t bytes)
{
    cost += bytes / BYTES_A_BLOCK;
    return __real_memset(to, value, bytes);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    cost += bytes / BYTES_A_BLOCK;
    return __real_memcpy(to, from, bytes);
}

static void end_stretch(void)
{
    if (cost > longest[step_now])
        longest[step_now] = cost;
    cost = 0;
}

// From user mode, or idling, to the one or the other.
void __wrap_host_run(unsigned cpu)
{
    cost = 0;
    __real_host_run(cpu);
    end_stretch();
}

// ---- carrying a plan out

struct plan_result plan_syscall(unsigned who, uint64_t number, uint64_t a0, uint64_t a1,
                                uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct outcome out = call_number(actors[who], number, ARGUMENTS(a0, a1, a2, a3, a4, a5));
    struct plan_result result = {.status = out.status == STATUS_BLOCKED ? PLAN_WAITS : out.status};
    memcpy(result.value, out.value, sizeof result.value);
    return result;
}

bool plan_waits(unsigned worker)
{
    return actors[worker]->calling;
}

uint64_t *plan_buffer_handles(unsigned who)
{
    return actors[who]->thread->message->handles;
}

uint64_t plan_now_ns(void)
{
    return host_ticks;
}

void plan_sleep(uint64_t until_ns)
{
    advance(until_ns > host_ticks ? until_ns - host_ticks : 0);
}

uint64_t plan_worker_thread(unsigned worker)
{
    return actors[worker]->own_thread;
}

void plan_begins(unsigned step)
{
    step_now = step;
}

static unsigned kind_of(const struct plan *plan, unsigned step)
{
    return step == plan->count ? KINDS : plan->steps[step].op % plan_ops;
}

static void try(const struct plan *plan)
{
    memset(longest, 0, sizeof longest);
    plan_run(plan->steps, plan->count);
}

// Whether it was the longest of one of its operations.
static bool keep_if_longest(const struct plan *plan)
{
    bool kept = false;
    for (unsigned i = 0; i <= plan->count; i++) {
        struct best *best = &bests[kind_of(plan, i)];
        if (longest[i] <= best->cost)
            continue;
        *best = (struct best){*plan, longest[i]};
        kept = true;
    }
    return kept;
}

// ---- changing one

static struct plan_step any_step(void)
{
    static const uint8_t often[] = {0, 0, 0, 31, 39, 63};
    return (struct plan_step){(uint8_t)below(plan_ops), (uint8_t)below(64), (uint8_t)below(256),
                              often[below(ARRAY_SIZE(often))]};
}

static void change(struct plan *plan)
{
    unsigned at = (unsigned)below(plan->count + 1);
    struct plan_step *step = &plan->steps[at];
    switch (plan->count == 0 ? 0 : below(6)) {
    case 0:
    case 1:
    case 2:
        if (plan->count == PLAN_STEPS_MAX)
            break;
        memmove(step + 1, step, (plan->count++ - at) * sizeof *step);
        *step = any_step();
        break;
    case 3:
        if (at < plan->count)
            memmove(step, step + 1, (--plan->count - at) * sizeof *step);
        break;
    default: {
        if (at == plan->count)
            break;
        struct plan_step other = any_step();
        switch (below(3)) {
        case 0:
            step->object = other.object;
            break;
        case 1:
            step->amount = other.amount;
            break;
        default:
            step->times = other.times;
            break;
        }
        break;
    }
    }
}

// Leaves out what the longest stretch of this operation does not need.
static void shorten(unsigned kind)
{
    struct best *best = &bests[kind];
    for (unsigned i = best->plan.count; i-- > 0;) {
        struct plan shorter = best->plan;
        memmove(&shorter.steps[i], &shorter.steps[i + 1],
                (--shorter.count - i) * sizeof shorter.steps[0]);
        try(&shorter);
        for (unsigned k = 0; k <= shorter.count; k++)
            if (kind_of(&shorter, k) == kind && longest[k] >= best->cost) {
                *best = (struct best){shorter, longest[k]};
                break;
            }
    }
}

static const char *name_of(unsigned kind)
{
    return kind == KINDS ? "the end" : plan_op_names[kind];
}

static void print(unsigned kind)
{
    const struct plan *plan = &bests[kind].plan;
    printf("    // ");
    for (unsigned i = 0; i < plan->count; i++)
        printf("%s*%u, ", plan_op_names[plan->steps[i].op % plan_ops],
               plan->steps[i].times % 64 + 1u);
    printf("the end: %llu blocks\n    {\"%s\", %u, {", (unsigned long long)bests[kind].cost,
           name_of(kind), plan->count);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct plan_step *s = &plan->steps[i];
        printf("%s{%u, %u, %u, %u}", i > 0 ? ", " : "", s->op % plan_ops, s->object, s->amount,
               s->times);
    }
    printf("}},\n");
}

static void begin(void)
{
    world_begin((struct world_options){.ram_bytes = 256 << 20, .cpus = 1, .asids = 200});
    actors[0] = spawn(new_account(12000, 3600), 30);
    for (unsigned i = 1; i <= PLAN_WORKERS; i++)
        actors[i] = spawn_thread(actors[0], 31);
    plan_world = (struct plan_world){.account = actors[0]->account,
                                     .aspace = actors[0]->own_aspace,
                                     .machine = grant(actors[0], world.boss, world.machine),
                                     .log = grant(actors[0], world.boss, world.log)};
    host_on_window = end_stretch;
}

int main(int argc, char **argv)
{
    uint64_t plans = argc > 1 ? strtoull(argv[1], nullptr, 0) : PLANS, kept = 0;
    state = argc > 2 ? strtoull(argv[2], nullptr, 0) : 1;
    begin();
    for (uint64_t tried = 0; tried < plans; tried++) {
        struct plan plan = bests[below(KINDS + 1)].plan;
        for (uint64_t changes = 1 + below(4); changes > 0; changes--)
            change(&plan);
        try(&plan);
        kept += keep_if_longest(&plan);
    }
    fprintf(stderr, "%llu plans, %llu kept\n", (unsigned long long)plans, (unsigned long long)kept);
    for (unsigned kind = 0; kind <= KINDS; kind++)
        shorten(kind);
    for (unsigned shown = 0; shown < SHOWN; shown++) {
        unsigned most = 0;
        for (unsigned kind = 0; kind <= KINDS; kind++)
            if (bests[kind].cost > bests[most].cost)
                most = kind;
        if (bests[most].cost > 0)
            print(most);
        bests[most].cost = 0;
    }
}
