// SPDX-License-Identifier: MIT
//
// Shares of CPUs: how they are agreed upon, and how they run out and come back. See budget.h.
#include "budget.h"

#include <lib/string.h>

#include "account.h"
#include "cpu.h"
#include "frame.h"
#include "handlers.h"
#include "process.h"
#include "syscall.h"
#include "thread.h"

static_assert(BUDGETS_PER_PAGE * BUDGET_PAGES_MAX == CPUS_MAX);

// What comes between two exhaustions is bounded: a thread is put aside at most once in a period for
// each time that it came to run or was woken, and each time its budget pays for it.
constexpr int64_t THROTTLE_NS = 1'000;

// So many threads come back at a time.
constexpr unsigned RETURN_BATCH = 4;

struct budget *budget_at(const struct account *account, uint32_t cpu)
{
    // Pairs with the store in new_page.
    uint8_t *page = atomic_load_explicit(&account->budgets[cpu / BUDGETS_PER_PAGE],
                                         ORDER("weak budget page", memory_order_acquire));
    return page ? (struct budget *)(void *)(page + cpu % BUDGETS_PER_PAGE * BUDGET_BYTES) : nullptr;
}

// ---- periods, on the budget's CPU

static void spend(struct budget *budget, uint64_t ns)
{
    budget->left_ns -= (int64_t)ns;
    budget->period_used_ns += ns;
}

// So many periods begin, one after the other.
static void periods_begin(struct budget *budget, uint64_t periods)
{
    uint64_t used = budget->period_used_ns;
    if (used > budget->period_ns)
        used = budget->period_ns;
    if (used > counter_read(&budget->high_ns))
        counter_set(&budget->high_ns, used);
    budget->period_used_ns = 0;
    budget->next_ns += periods * budget->period_ns;
    constexpr uint64_t MOST = 1u << 30; // more than a debt of centuries takes
    int64_t allotment = (int64_t)budget->allotment_ns;
    budget->left_ns += (int64_t)(periods < MOST ? periods : MOST) * allotment;
    if (budget->left_ns > allotment)
        budget->left_ns = allotment;
}

static void come_to(struct budget *budget, uint64_t now)
{
    if (now >= budget->next_ns)
        periods_begin(budget, (now - budget->next_ns) / budget->period_ns + 1);
}

void budget_charge(struct budget *budget, uint64_t from, uint64_t to)
{
    counter_add(&budget->used_ns, to - from);
    come_to(budget, from);
    uint64_t next = budget->next_ns;
    if (to >= next) { // what is used before a period begins is not of its allotment
        spend(budget, next - from);
        periods_begin(budget, 1);
        uint64_t whole = (to - next) / budget->period_ns;
        from = next + whole * budget->period_ns;
        spend(budget, from - next);
        periods_begin(budget, whole); // none: what has just begun stays as it is
    }
    spend(budget, to - from);
}

bool budget_lets_run(struct budget *budget, uint64_t now)
{
    come_to(budget, now);
    return budget->left_ns > 0 || SEEDED_BUG("C2");
}

uint64_t budget_end(const struct budget *budget, uint64_t now)
{
    return now + (budget->left_ns > 0 ? (uint64_t)budget->left_ns : 0);
}

// ---- whose it is

struct budget *budget_of_account(const struct cpu *cpu, const struct account *account)
{
    for (; account; account = account->parent) { // at most ABI_ACCOUNT_DEPTH
        struct budget *budget = budget_at(account, cpu->number);
        if (budget && budget->active)
            return budget;
    }
    return nullptr;
}

struct budget *budget_of_thread(struct cpu *cpu, struct thread *thread)
{
    if (thread->budget_epoch != cpu->budget_epoch) {
        thread->budget = budget_of_account(cpu, thread->object.account);
        thread->budget_epoch = cpu->budget_epoch;
    }
    return thread->budget;
}

// A pin's account may be another one at any moment: it moves up with its quarantine.
struct budget *budget_of_object(struct cpu *cpu, const struct object *object)
{
    return object->type == OBJECT_PIN ? nullptr : budget_of_account(cpu, object->account);
}

// What was found before may not be what is found now.
static void set_active(struct cpu *cpu, struct budget *budget, bool active)
{
    budget->active = active;
    cpu->active_budgets += active ? 1 : -1u;
    cpu->budget_epoch += CPUS_MAX; // another CPU's is never the same
}

// ---- threads that are put aside

// The beginning of the first period in which something will be left; UINT64_MAX: never.
static uint64_t more_ns(const struct budget *budget)
{
    if (budget->allotment_ns == 0)
        return UINT64_MAX;
    uint64_t periods = (uint64_t)-budget->left_ns / budget->allotment_ns;
    return budget->next_ns + periods * budget->period_ns;
}

// Sets the deadline for those that are on the list.
static void await(struct cpu *cpu, struct budget *budget, uint64_t now)
{
    deadline_clear(&budget->deadline);
    if (list_empty(&budget->throttled))
        return;
    deadline_set(&budget->deadline, cpu,
                 budget->active && budget->left_ns <= 0 ? more_ns(budget) : now);
}

void budget_throttle(struct cpu *cpu, struct budget *budget, struct thread *thread, uint64_t now)
{
    thread_set_state(thread, THREAD_THROTTLED);
    bool first = list_empty(&budget->throttled);
    list_push_back(&budget->throttled, &thread->runnable.node);
    counter_add(&budget->throttles, 1);
    budget->left_ns -= THROTTLE_NS;
    if (!first)
        return;
    budget->throttled_since_ns = now;
    if (!SEEDED_BUG("S2 throttled"))
        await(cpu, budget, now);
}

// What is no more is left alone, once nobody is on its list: not active and not posted, it has no share.
static void let_go(struct budget *budget) NO_THREAD_SAFETY
{
    struct account *account = budget->account;
    lock_acquire(&account->ledger);
    if (!budget->posted)
        budget->in_use = false;
    lock_release(&account->ledger);
    operation_resume(&account->object); // its end may wait for that
}

static void list_looked_at(struct cpu *cpu, struct budget *budget, uint64_t now)
{
    await(cpu, budget, now);
    if (!budget->active && list_empty(&budget->throttled))
        let_go(budget);
}

void budget_expired(struct cpu *cpu, struct budget *budget)
{
    uint64_t now = time_now_ns();
    come_to(budget, now);
    bool some = !list_empty(&budget->throttled);
    for (unsigned i = 0; i < RETURN_BATCH && (!budget->active || budget->left_ns > 0); i++) {
        struct list_node *node = list_pop_front(&budget->throttled);
        if (!node)
            break;
        struct thread *thread = CONTAINER_OF(node, struct thread, runnable.node);
        thread_set_state(thread, THREAD_READY);
        sched_enqueue(cpu, &thread->runnable, false);
    }
    if (some && list_empty(&budget->throttled))
        counter_add(&budget->throttled_ns, now - budget->throttled_since_ns);
    list_looked_at(cpu, budget, now);
}

// ---- new terms

static void adapt(struct cpu *cpu, struct budget *budget, uint64_t allotment_ns, uint64_t period_ns,
                  uint64_t now)
{
    if (!budget->active) {
        set_active(cpu, budget, true);
        budget->left_ns = 0;
        budget->period_used_ns = 0;
        budget->next_ns = now + period_ns;
    } else {
        come_to(budget, now);
        if (allotment_ns < budget->allotment_ns)
            budget->left_ns -= (int64_t)(budget->allotment_ns - allotment_ns);
        if (budget->next_ns > now + period_ns)
            budget->next_ns = now + period_ns;
    }
    budget->allotment_ns = allotment_ns;
    budget->period_ns = period_ns;
}

// What it owes is owed by the one that its account draws on from now on.
static void end(struct cpu *cpu, struct budget *budget, uint64_t now)
{
    if (!budget->active)
        return;
    come_to(budget, now);
    set_active(cpu, budget, false);
    struct budget *above = budget_of_account(cpu, budget->account->parent);
    if (!above || budget->left_ns >= 0)
        return;
    come_to(above, now);
    above->left_ns += budget->left_ns;
}

void budget_take(struct cpu *cpu, struct budget *budget) NO_THREAD_SAFETY
{
    uint64_t now = sched_charge(cpu); // so far by the old terms
    struct account *account = budget->account;
    lock_acquire(&account->ledger);
    budget->posted = false;
    bool held = budget->share > 0;
    uint64_t period_ns = budget->wanted_period_ns;
    uint64_t allotment_ns = (budget->share - budget->children) * period_ns / BUDGET_WHOLE;
    lock_release(&account->ledger);
    if (held)
        adapt(cpu, budget, allotment_ns, period_ns, now);
    else
        end(cpu, budget, now);
    sched_budget_changed(cpu);
    list_looked_at(cpu, budget, now);
}

// ---- terms: under the ledger of whom they bind

// Rounded down, as what it allots is: five fifths fit, and are not more than there is.
static uint64_t share_of(uint64_t budget_ns, uint64_t period_ns)
{
    return period_ns == 0 ? 0 : budget_ns * BUDGET_WHOLE / period_ns;
}

// The inverse, rounded up: a part of a nanosecond was lost.
static uint64_t budget_of(uint64_t share, uint64_t period_ns)
{
    return (share * period_ns + BUDGET_WHOLE - 1) / BUDGET_WHOLE;
}

static bool terms_valid(uint64_t budget_ns, uint64_t period_ns)
{
    if (period_ns == 0)
        return budget_ns == 0;
    return period_ns >= ABI_BUDGET_PERIOD_MIN_NS && period_ns <= ABI_BUDGET_PERIOD_MAX_NS &&
           budget_ns >= ABI_BUDGET_MIN_NS && budget_ns <= period_ns;
}

// The CPU is to look at them. Whether the caller is the one who posts it.
static bool terms_changed(struct budget *budget)
{
    bool posts = !budget->posted;
    budget->posted = true;
    budget->in_use = true;
    return posts;
}

static void post(struct budget *budget, uint32_t cpu)
{
    inbox_post(cpus[cpu], &budget->post);
}

// Takes a part of the parent's share, or gives one back, which cannot fail.
static status_t promise(struct account *parent, uint32_t cpu, uint64_t from, uint64_t to)
    NO_THREAD_SAFETY
{
    struct budget *budget = budget_at(parent, cpu);
    bool root = &parent->object == account_root();
    status_t status = STATUS_OK;
    bool posts = false;
    lock_acquire(&parent->ledger);
    uint64_t share = root ? BUDGET_WHOLE : budget ? budget->share : 0;
    uint64_t nothing = 0;
    uint64_t *children = root ? &cpus[cpu]->promised : budget ? &budget->children : &nothing;
    if (to >= from && parent->closed)
        status = STATUS_BAD_STATE;
    else if (to > from && (to - from > share - *children || RUNS_OUT("share")) && !SEEDED_BUG("C1"))
        status = STATUS_NO_RESOURCE;
    if (status == STATUS_OK && to != from) {
        *children += to - from;
        CHECK(C1, *children <= share);
        posts = budget && terms_changed(budget);
    }
    lock_release(&parent->ledger);
    if (posts)
        post(budget, cpu);
    return status;
}

// Errors: NO_RESOURCE (children hold more).
static status_t set_terms(struct budget *budget, uint32_t cpu, uint64_t share, uint64_t period_ns)
    NO_THREAD_SAFETY
{
    struct account *account = budget->account;
    bool posts = false;
    lock_acquire(&account->ledger);
    bool enough = budget->children <= share;
    if (enough) {
        CHECK(C1, budget->children <= share);
        budget->share = share;
        budget->wanted_period_ns = (uint32_t)period_ns;
        posts = terms_changed(budget);
    }
    lock_release(&account->ledger);
    if (posts)
        post(budget, cpu);
    return enough ? STATUS_OK : STATUS_NO_RESOURCE;
}

// The page that holds the budget of a CPU and of its neighbours, paid by the account, which is locked.
static status_t new_page(struct account *account, uint32_t cpu) NO_THREAD_SAFETY
{
    status_t status = account_charge(account, 1, 0);
    if (status != STATUS_OK)
        return status;
    uint8_t *page = arch_ram(frame_allocate(FRAME_KERNEL, &account->object));
    for (unsigned i = 0; i < BUDGETS_PER_PAGE; i++) {
        struct budget *budget = (struct budget *)(void *)(page + i * BUDGET_BYTES);
        budget->post.kind = POST_BUDGET;
        budget->deadline.kind = DEADLINE_BUDGET;
        budget->account = account;
        list_init(&budget->throttled);
    }
    account->budget_pages++; // looked at once the account is closed, which it cannot be now
    // Who finds the page finds what is in it.
    atomic_store_explicit(&account->budgets[cpu / BUDGETS_PER_PAGE], page,
                          ORDER("weak new budget page", memory_order_release));
    return STATUS_OK;
}

// The child is locked, so its share is changed by nobody else.
static status_t agree(struct account *parent, struct account *child, uint32_t cpu,
                      uint64_t budget_ns, uint64_t period_ns) NO_THREAD_SAFETY
{
    struct budget *budget = budget_at(child, cpu);
    uint64_t from = budget ? budget->share : 0, to = share_of(budget_ns, period_ns);
    if (!budget && to == 0)
        return STATUS_OK;
    status_t status;
    if (to < from) {
        status = set_terms(budget, cpu, to, period_ns);
        return status == STATUS_OK ? promise(parent, cpu, from, to) : status;
    }
    status = promise(parent, cpu, from, to);
    if (status != STATUS_OK)
        return status;
    if (!budget) {
        status = new_page(child, cpu);
        if (status != STATUS_OK) {
            (void)promise(parent, cpu, to, from);
            return status;
        }
        budget = budget_at(child, cpu);
    }
    return set_terms(budget, cpu, to, period_ns);
}

// ---- the end of an account

// The CPU lets go of what is given back here, and resumes this.
static enum step give_back(struct account *account, uint32_t cpu) NO_THREAD_SAFETY
{
    struct budget *budget = budget_at(account, cpu);
    if (!budget)
        return STEP_DONE;
    lock_acquire(&account->ledger);
    uint64_t share = budget->share;
    bool in_use = budget->in_use && !SEEDED_BUG("M1 budget");
    lock_release(&account->ledger);
    if (share == 0)
        return in_use ? STEP_WAIT : STEP_DONE;
    (void)set_terms(budget, cpu, 0, 0);
    (void)promise(account->parent, cpu, share, 0);
    return STEP_MORE;
}

// M1: no CPU has anything more to do with what is in a page that goes.
static void unused_check(const uint8_t *page)
{
    for (unsigned i = 0; page && i < BUDGETS_PER_PAGE; i++) {
        const struct budget *budget =
            (const struct budget *)(const void *)(page + i * BUDGET_BYTES);
        CHECK(M1, !budget->in_use && !budget->posted && list_empty(&budget->throttled));
    }
}

enum step budgets_teardown(struct account *account) NO_THREAD_SAFETY
{
    enum step step = STEP_DONE;
    for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++) {
        enum step one = give_back(account, cpu);
        if (one == STEP_MORE)
            return one;
        if (one == STEP_WAIT)
            step = one;
    }
    if (step != STEP_DONE)
        return step;
    for (unsigned i = 0; i < BUDGET_PAGES_MAX; i++) {
        lock_acquire(&account->ledger); // somebody may look at them
        uint8_t *page =
            atomic_exchange_explicit(&account->budgets[i], nullptr, memory_order_relaxed);
        unused_check(page);
        lock_release(&account->ledger);
        if (!page)
            continue;
        frame_free(arch_ram_address(page));
        account_uncharge(account, 1, 0);
    }
    return STEP_DONE;
}

// ---- system calls

status_t sys_account_budget(struct entry *entry, const struct handle_lookup *parent_handle,
                            const struct handle_lookup *handle, uint64_t cpu, uint64_t budget_ns,
                            uint64_t period_ns) NO_THREAD_SAFETY
{
    (void)entry;
    if (cpu >= cpu_count() || !terms_valid(budget_ns, period_ns))
        return STATUS_INVALID;
    status_t status = account_lock_child(parent_handle, handle);
    if (status != STATUS_OK)
        return status;
    struct account *child = (struct account *)(void *)handle->object;
    status = agree(child->parent, child, (uint32_t)cpu, budget_ns, period_ns);
    object_unlock(&child->object);
    return status;
}

status_t sys_account_cpu(struct entry *entry, const struct handle_lookup *handle, uint64_t cpu)
    NO_THREAD_SAFETY
{
    if (cpu >= cpu_count())
        return STATUS_INVALID;
    struct account *account = (struct account *)(void *)handle->object;
    struct abi_account_cpu info = {};
    if (!object_lock(&account->object, handle->generation))
        return STATUS_GONE;
    lock_acquire(&account->ledger);
    const struct budget *budget = budget_at(account, (uint32_t)cpu);
    if (budget) {
        uint64_t period_ns = budget->wanted_period_ns;
        info.period_ns = period_ns;
        info.budget_ns = budget_of(budget->share, period_ns);
        info.children_ns = budget_of(budget->children, period_ns);
        info.used_ns = counter_read(&budget->used_ns);
        info.high_ns = counter_read(&budget->high_ns);
        info.throttles = counter_read(&budget->throttles);
        info.throttled_ns = counter_read(&budget->throttled_ns);
    }
    lock_release(&account->ledger);
    object_unlock(&account->object);
    memcpy(entry->thread->message->data, &info, sizeof info);
    entry->result[0] = sizeof info;
    return STATUS_OK;
}
