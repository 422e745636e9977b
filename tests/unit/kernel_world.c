// SPDX-License-Identifier: MIT
//
// Booting, actors and their calls. See kernel_world.h.
#include "kernel_world.h"

#include <entry/entry.h>
#include <hal/hal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "cpu.h"
#include "frame.h"
#include "machine.h"
#include "object.h"

struct world world;
const char *seeded_bug;

bool seeded_bug_is(const char *name)
{
    return seeded_bug && strcmp(seeded_bug, name) == 0;
}

// ---- shortages

static struct {
    unsigned nth; // place, from now on, where something runs out; 0: none
    const char *what;
} shortage;

bool runs_out(const char *what)
{
    if (shortage.nth == 0 || --shortage.nth > 0)
        return false;
    shortage.what = what;
    return true;
}

void shortage_at(unsigned nth)
{
    shortage.nth = nth;
    shortage.what = nullptr;
}

const char *shortage_happened(void)
{
    return shortage.what;
}

// ---- running functions on a CPU

static void (*to_run)(void);

static struct arch_context *run_and_exit(void)
{
    to_run();
    return sched_exit(cpu_self());
}

static void run_cpu(unsigned cpu);

// Held when the kernel's long operations have made so many more steps.
static struct actor *watcher;
static unsigned windows_left;

void on_cpu(unsigned cpu, void (*function)(void))
{
    if (host_place(cpu) == HOST_IDLE) {
        host_wake(cpu, function);
    } else {
        to_run = function;
        host_enter(cpu, run_and_exit);
    }
    run_cpu(cpu);
}

// ---- what a CPU does in user mode

bool is_dead(const struct actor *actor)
{
    return actor->thread->object.generation != actor->ref.generation ||
           thread_state(actor->thread) >= THREAD_EXITING;
}

static struct actor *actor_of(struct thread *thread)
{
    for (unsigned i = 0; i < world.actor_count; i++)
        if (world.actors[i].thread == thread &&
            world.actors[i].ref.generation == thread->object.generation)
            return &world.actors[i];
    // One that the test started by a system call; it takes the place of a dead one.
    struct actor *actor = nullptr;
    for (unsigned i = 0; i < world.actor_count && !actor; i++)
        if (is_dead(&world.actors[i]))
            actor = &world.actors[i];
    if (!actor && world.actor_count == ACTORS_MAX)
        abort();
    if (!actor)
        actor = &world.actors[world.actor_count++];
    *actor = (struct actor){.thread = thread,
                            .ref = object_reference(&thread->object),
                            .process = thread->process,
                            .cpu = thread->home->number};
    return actor;
}

void (*world_on_call)(const struct actor *actor), (*world_on_outcome)(const struct actor *actor);

static struct abi_fault current_fault;

static struct arch_context *enter_fault(void)
{
    return entry_fault(&current_fault);
}

static void load_call(struct actor *actor)
{
    struct arch_context *context = actor->thread->context;
    context->number = actor->number;
    memcpy(context->argument, actor->argument, sizeof context->argument);
    actor->go = false;
    actor->calling = true;
    if (world_on_call)
        world_on_call(actor);
}

static void take_outcome(struct actor *actor)
{
    const struct arch_context *context = actor->thread->context;
    actor->calling = false;
    actor->out.status = (status_t)context->status;
    memcpy(actor->out.value, context->result, sizeof actor->out.value);
    if (world_on_outcome)
        world_on_outcome(actor);
}

static uint64_t fpu_pattern;

// false: its trap comes first.
static bool use_fpu(unsigned cpu)
{
    if (host_fpu_fill(&cpus[cpu]->arch, fpu_pattern += 1000))
        return true;
    host_enter(cpu, entry_fpu);
    return false;
}

// Decides the next entry of a CPU in user mode. false: the test goes on, the thread is held.
static bool next_entry(unsigned cpu)
{
    if (host_interrupt_pending(cpu)) {
        host_enter(cpu, entry_interrupt);
        return true;
    }
    struct actor *actor = actor_of(cpus[cpu]->current);
    actor->parked = false;
    if (actor->calling)
        take_outcome(actor);
    if (actor->uses_fpu && !use_fpu(cpu))
        return true;
    if (actor->held)
        return false;
    if (actor->go && actor->fault) {
        actor->go = actor->fault = false;
        actor->calling = true;
        current_fault = actor->fault_report;
        host_enter(cpu, enter_fault);
        return true;
    }
    if (actor->go) {
        load_call(actor);
    } else {
        actor->parked = true;
        actor->thread->context->number = SYSCALL_THREAD_SLEEP;
        actor->thread->context->argument[0] = ABI_DEADLINE_NEVER;
    }
    host_enter(cpu, entry_syscall);
    return true;
}

// ---- a CPU that stops in the middle of an entry

static struct {
    void *function;
    unsigned nth; // of its beginnings from now on; 0: none
    void (*what)(void);
    bool now; // `what` is under way
} stop;

static bool stops_here(void *function)
{
    return !stop.now && (!stop.function || function == stop.function) && stop.nth > 0 &&
           cpu_self()->number == 0 && --stop.nth == 0;
}

void meanwhile(void *function, unsigned nth, void (*what)(void))
{
    stop.function = function;
    stop.nth = nth;
    stop.what = what;
    host_on_function = nth > 0 ? stops_here : nullptr;
    host_interleave(nth > 0 ? UINT32_MAX : 0, 1); // who spins lets the others go on
}

bool meanwhile_happened(void)
{
    return !stop.what;
}

// Until the CPU idles with nothing to do, or a held thread is in user mode, or it has to wait for the
// one that is stopped.
static void run_cpu(unsigned cpu)
{
    for (;;) {
        host_run(cpu);
        if (host_place(cpu) == HOST_KERNEL) {
            if (stop.now)
                return;
            if (stop.what && stop.nth == 0) {
                stop.now = true;
                stop.what();
                stop.now = false;
                stop.what = nullptr;
            } else { // locks are fair: it may be another's turn
                for (unsigned i = 0; i < world.cpus; i++)
                    if (i != cpu && host_place(i) == HOST_KERNEL)
                        host_run(i);
            }
        } else if (host_place(cpu) == HOST_USER) {
            if (!next_entry(cpu))
                return;
        } else if (host_interrupt_pending(cpu)) {
            host_wake(cpu, entry_kernel_interrupt);
        } else {
            return;
        }
    }
}

void settle(void)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (unsigned cpu = 0; cpu < world.cpus; cpu++) {
            if (host_place(cpu) == HOST_OFF || (host_place(cpu) == HOST_KERNEL && stop.now))
                continue;
            for (unsigned i = 0; i < world.actor_count && windows_left == 0; i++)
                world.actors[i].held &= world.actors[i].cpu != cpu;
            if (host_place(cpu) == HOST_IDLE) {
                if (!host_interrupt_pending(cpu))
                    continue;
                host_wake(cpu, entry_kernel_interrupt);
            } else if (host_place(cpu) == HOST_USER && !next_entry(cpu)) {
                continue;
            }
            run_cpu(cpu);
            moved = true;
        }
    }
}

void advance(uint64_t ns)
{
    host_ticks += ns;
    settle();
}

// ---- calls

static struct actor *waking;

static void cancel_sleep(const struct actor *actor)
{
    if (!thread_win(actor->thread))
        abort();
    thread_end_wait(actor->thread, STATUS_CANCELLED);
}

static void wake_parked(void)
{
    cancel_sleep(waking);
}

static void must_be_parked(const struct actor *actor)
{
    if (is_dead(actor) || actor->calling || !actor->parked)
        test_fail(__FILE__, __LINE__, "actor %ld cannot make a call: %s",
                  (long)(actor - world.actors),
                  is_dead(actor)   ? "it is dead"
                  : actor->calling ? "it waits in another"
                                   : "it is not parked");
}

// ---- two CPUs at once

void plan_call(struct actor *actor, uint64_t number, const uint64_t arguments[6])
{
    must_be_parked(actor);
    actor->number = number;
    memcpy(actor->argument, arguments, sizeof actor->argument);
    actor->go = true;
}

// Wakes those of this CPU that have something to do.
static void wake_planned(void)
{
    for (unsigned i = 0; i < world.actor_count; i++) {
        struct actor *actor = &world.actors[i];
        if (actor->go && actor->cpu == cpu_self()->number)
            cancel_sleep(actor);
    }
}

// Gives a CPU its next entry, if it needs one. false: it idles, with nothing to do.
static bool can_run(unsigned cpu)
{
    switch (host_place(cpu)) {
    case HOST_KERNEL:
        return true;
    case HOST_USER:
        (void)next_entry(cpu);
        return true;
    case HOST_IDLE:
        if (!host_interrupt_pending(cpu))
            return false;
        host_wake(cpu, entry_kernel_interrupt);
        return true;
    case HOST_OFF:
        break;
    }
    return false;
}

void run_planned(struct random *random)
{
    static const uint32_t periods[] = {3, 10, 30, 100, 300};
    host_interleave(periods[random_below(random, ARRAY_SIZE(periods))], random_next(random));
    for (unsigned cpu = 0; cpu < world.cpus; cpu++) {
        if (host_place(cpu) != HOST_IDLE)
            abort();
        host_wake(cpu, wake_planned);
    }
    bool started[HOST_CPUS] = {};
    for (unsigned still = 0, turn = 0; still < world.cpus; turn++) {
        if (turn > 5'000'000)
            test_fail(__FILE__, __LINE__, "two CPUs go on for ever");
        unsigned cpu = (unsigned)random_below(random, world.cpus);
        still = started[cpu] ? still : 0;
        if (started[cpu] && !can_run(cpu)) {
            still = 0;
            for (unsigned other = 0; other < world.cpus; other++)
                still += started[other] && host_place(other) == HOST_IDLE && !can_run(other);
            continue;
        }
        started[cpu] = true;
        still = 0;
        host_run(cpu);
    }
    host_interleave(0, 0);
}

static void go(struct actor *actor)
{
    must_be_parked(actor);
    waking = actor;
    actor->go = true;
    on_cpu(actor->cpu, wake_parked);
    for (unsigned i = 0; i < world.actor_count; i++)
        if (world.actors[i].held && cpus[world.actors[i].cpu]->current == world.actors[i].thread)
            return; // another one was to be held in the middle of this
    settle();
}

struct outcome call_number(struct actor *actor, uint64_t number, const uint64_t arguments[6])
{
    actor->number = number;
    memcpy(actor->argument, arguments, sizeof actor->argument);
    go(actor);
    if (actor->go && !is_dead(actor)) {
        world_check();
        test_fail(__FILE__, __LINE__, "actor %ld never ran", (long)(actor - world.actors));
    }
    return actor->calling ? (struct outcome){.status = STATUS_BLOCKED} : actor->out;
}

void raise_fault(struct actor *actor, enum abi_fault_cause cause, uint64_t address)
{
    actor->fault = true;
    actor->fault_report = (struct abi_fault){.cause = cause, .address = address};
    go(actor);
}

void hold(struct actor *actor)
{
    must_be_parked(actor);
    waking = actor;
    actor->held = true;
    on_cpu(actor->cpu, wake_parked);
    if (cpus[actor->cpu]->current != actor->thread)
        test_fail(__FILE__, __LINE__, "the held actor does not run: another one has priority");
}

void fill_fpu(struct actor *actor)
{
    EXPECT(actor->held && cpus[actor->cpu]->current == actor->thread);
    if (use_fpu(actor->cpu))
        return;
    run_cpu(actor->cpu);
    EXPECT(cpus[actor->cpu]->current == actor->thread && use_fpu(actor->cpu));
}

static void count_window(void)
{
    if (windows_left > 0 && --windows_left == 0)
        cancel_sleep(watcher);
}

void hold_after(struct actor *actor, unsigned steps)
{
    watcher = actor;
    watcher->held = steps > 0;
    windows_left = steps > 0 ? steps + 1 : 0; // there is one before each step
    host_on_window = steps > 0 ? count_window : nullptr;
}

unsigned steps_left(void)
{
    return windows_left;
}

static void enter_call(struct actor *actor, uint64_t number, const uint64_t arguments[6])
{
    EXPECT(actor->held && cpus[actor->cpu]->current == actor->thread);
    actor->number = number;
    memcpy(actor->argument, arguments, sizeof actor->argument);
    load_call(actor);
    host_enter(actor->cpu, entry_syscall);
}

struct outcome go_on(struct actor *actor)
{
    host_run(actor->cpu);
    if (host_place(actor->cpu) == HOST_USER && cpus[actor->cpu]->current == actor->thread) {
        take_outcome(actor);
        return actor->out;
    }
    return (struct outcome){.status = STATUS_BLOCKED};
}

struct outcome held_call(struct actor *actor, uint64_t number, const uint64_t arguments[6])
{
    enter_call(actor, number, arguments);
    return go_on(actor);
}

static struct {
    const void *function;
    unsigned cpu;
} awaited;

static bool is_awaited(void *function)
{
    if (function != awaited.function || cpu_self()->number != awaited.cpu)
        return false;
    host_on_function = nullptr;
    return true;
}

static void run_to(struct actor *actor, const void *function)
{
    awaited.function = function;
    awaited.cpu = actor->cpu;
    host_on_function = is_awaited;
    host_run(actor->cpu);
    EXPECT(host_place(actor->cpu) == HOST_KERNEL);
}

void stopped_call(struct actor *actor, const void *function, uint64_t number,
                  const uint64_t arguments[6])
{
    enter_call(actor, number, arguments);
    run_to(actor, function);
}

void stopped_interrupt(struct actor *actor, const void *function)
{
    EXPECT(actor->held && cpus[actor->cpu]->current == actor->thread);
    EXPECT(host_interrupt_pending(actor->cpu));
    host_enter(actor->cpu, entry_interrupt);
    run_to(actor, function);
}

void expect_status(status_t got, status_t wanted, const char *what, const char *file, int line)
{
    if (got != wanted)
        test_fail(file, line, "%s: %s, not %s", what,
                  got < STATUS_COUNT ? abi_status_names[got] : "BLOCKED",
                  wanted < STATUS_COUNT ? abi_status_names[wanted] : "BLOCKED");
}

uint64_t must_call(struct actor *actor, uint64_t number, const uint64_t arguments[6],
                   const char *file, int line)
{
    struct outcome out = call_number(actor, number, arguments);
    expect_status(out.status, STATUS_OK, "the call", file, line);
    return out.value[0];
}

bool has_ended(const struct actor *actor)
{
    return !actor->calling && !is_dead(actor);
}

struct outcome ended(struct actor *actor)
{
    EXPECT(has_ended(actor));
    return actor->out;
}

// ---- making actors

static struct {
    unsigned cpu;
    struct process *process; // nullptr: a new one
    struct account *account;
    uint8_t priority;
    struct thread *thread;
    status_t status;
} birth;

static void give_birth(void)
{
    static const char name[16] = "actor";
    birth.status = STATUS_OK;
    if (!birth.process) {
        birth.status =
            process_create(object_reference(&birth.account->object), name, &birth.process);
        if (birth.status == STATUS_OK) {
            object_publish(&birth.process->aspace->object);
            object_publish(&birth.process->object);
        }
    }
    if (birth.status != STATUS_OK)
        return;
    uint64_t buffer = ABI_INIT_MESSAGE_BUFFER + birth.process->thread_count * 2 * PAGE_SIZE;
    struct object_ref ref;
    birth.status =
        thread_create(object_reference(&birth.process->object), birth.priority, buffer, &ref);
    if (birth.status != STATUS_OK)
        return;
    birth.thread = thread_of(ref.object);
    arch_context_init(birth.thread->context, 0x1000, 0, 0, 0);
    birth.thread->started = true;
    thread_request(birth.thread, REQUEST_START);
}

static struct actor *bear(void)
{
    on_cpu(birth.cpu, give_birth);
    expect_status(birth.status, STATUS_OK, "making an actor", __FILE__, __LINE__);
    return actor_of(birth.thread);
}

// ---- handles from nowhere

static struct {
    struct process *process;
    struct object *object;
    uint32_t rights;
    uint64_t handle;
} gift;

static void install(void)
{
    status_t status = handles_reserve(gift.process, 1);
    expect_status(status, STATUS_OK, "room for a handle", __FILE__, __LINE__);
    gift.handle = handle_install_reserved(gift.process, object_reference(gift.object),
                                          gift.object->type, gift.rights);
}

static uint64_t give(struct actor *to, struct object *object, uint32_t rights)
{
    gift.process = to->process;
    gift.object = object;
    gift.rights = rights;
    on_cpu(to->cpu, install);
    return gift.handle;
}

static const struct handle_entry *entry_of(const struct actor *actor, uint64_t handle)
{
    uint32_t slot = (uint32_t)handle;
    if (slot >= HANDLES_MAX || !actor->process->pages[slot / HANDLES_PER_PAGE])
        return nullptr;
    return &actor->process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
}

const struct handle_entry *handle_entry_of(const struct actor *actor, uint64_t handle)
{
    const struct handle_entry *entry = entry_of(actor, handle);
    bool is = entry && entry->tag >> 2 == handle >> 32 && (entry->tag & 3) != HANDLE_FREE;
    return is ? entry : nullptr;
}

struct object *object_behind(const struct actor *actor, uint64_t handle)
{
    const struct handle_entry *entry = handle_entry_of(actor, handle);
    return entry ? object_at((uint32_t)(entry->word & 0xff'ffff)) : nullptr;
}

bool is_live(const struct actor *actor, uint64_t handle)
{
    const struct object *object = object_behind(actor, handle);
    return object && object->life == LIFE_LIVE &&
           object->generation == entry_of(actor, handle)->object_generation;
}

struct account *account_behind(const struct actor *actor, uint64_t handle)
{
    return (struct account *)(void *)object_behind(actor, handle);
}

uint64_t grant_rights(struct actor *to, struct actor *from, uint64_t handle, uint32_t rights)
{
    EXPECT(is_live(from, handle));
    return give(to, object_behind(from, handle), rights);
}

uint64_t grant(struct actor *to, struct actor *from, uint64_t handle)
{
    return grant_rights(to, from, handle, (uint32_t)(entry_of(from, handle)->word >> 32));
}

static void introduce(struct actor *actor, struct account *account)
{
    struct process *process = actor->process;
    actor->account = give(actor, &account->object, RIGHTS_ACCOUNT);
    actor->own_process = give(actor, &process->object, RIGHTS_PROCESS);
    actor->own_aspace = give(actor, &process->aspace->object, RIGHTS_ASPACE);
    actor->own_thread = give(actor, &actor->thread->object, RIGHTS_THREAD);
}

struct actor *spawn_on(unsigned cpu, uint64_t account, uint8_t priority)
{
    birth.cpu = cpu;
    birth.process = nullptr;
    birth.account = account_behind(world.boss, account);
    birth.priority = priority;
    struct actor *actor = bear();
    actor->process_handle = give(world.boss, &actor->process->object, RIGHTS_PROCESS);
    actor->aspace_handle = give(world.boss, &actor->process->aspace->object, RIGHTS_ASPACE);
    actor->thread_handle = give(world.boss, &actor->thread->object, RIGHTS_THREAD);
    introduce(actor, birth.account);
    return actor;
}

struct actor *spawn(uint64_t account, uint8_t priority)
{
    return spawn_on(0, account, priority);
}

struct actor *spawn_thread(struct actor *of, uint8_t priority)
{
    return spawn_thread_on(of->cpu, of, priority);
}

struct actor *spawn_thread_on(unsigned cpu, struct actor *of, uint8_t priority)
{
    birth.cpu = cpu;
    birth.process = of->process;
    birth.priority = priority;
    struct actor *actor = bear();
    actor->process_handle = of->process_handle;
    actor->aspace_handle = of->aspace_handle;
    actor->thread_handle = give(world.boss, &actor->thread->object, RIGHTS_THREAD);
    actor->account = of->account;
    actor->own_process = of->own_process;
    actor->own_aspace = of->own_aspace;
    actor->own_thread = give(actor, &actor->thread->object, RIGHTS_THREAD);
    return actor;
}

uint64_t new_account(uint64_t pages, uint64_t objects)
{
    return MUST(world.boss, ACCOUNT_CREATE, world.root_account, pages, objects);
}

// ---- messages

void set_text(struct actor *actor, const char *text)
{
    memcpy(actor->thread->message->data, text, strlen(text) + 1);
}

const char *text_of(const struct actor *actor)
{
    return (const char *)actor->thread->message->data;
}

void set_handles(struct actor *actor, unsigned count, const uint64_t *handles)
{
    memcpy(actor->thread->message->handles, handles, count * sizeof *handles);
}

uint64_t handle_of(const struct actor *actor, unsigned index)
{
    return actor->thread->message->handles[index];
}

struct ends new_channel(struct actor *actor, uint64_t depth, uint64_t bytes, uint64_t handles,
                        uint64_t calls)
{
    struct outcome out = CALL(actor, CHANNEL_CREATE, actor->account, actor->account,
                              ABI_CHANNEL_SHAPE(depth, bytes, handles, calls), OVERFLOW_REJECT);
    EXPECT_STATUS(out.status, OK);
    return (struct ends){out.value[0], out.value[1]};
}

// ---- beginning and end

static struct boot_info boot;
static struct cpu world_cpus[HOST_CPUS];

static void start_world(void)
{
    world.root = kernel_setup(cpu_self(), &boot);
    birth.cpu = 0;
    birth.process = nullptr;
    birth.account = world.root;
    birth.priority = 40;
    give_birth();
}

static struct object *machine_object, *log_object;

static void make_singletons(void)
{
    if (account_charge(world.root, 0, 2) != STATUS_OK)
        abort();
    machine_object = object_new(world.root, OBJECT_MACHINE);
    object_publish(machine_object);
    machine_opened(machine_object);
    log_object = object_new(world.root, OBJECT_LOG);
    object_publish(log_object);
}

static void announce(void)
{
    cpu_announce(cpu_self());
}

static void remember(void)
{
    world.pages_used = world.root->pages.used - world.boss->process->handle_pages;
    world.objects_used = world.root->objects.used;
    world.frames_free = frames_free() + world.boss->process->handle_pages;
    world.objects_free = objects_free();
    world.contiguous = world.root->contiguous.limit;
}

void world_begin(struct world_options options)
{
    memset(&world, 0, sizeof world);
    memset(ghosts, 0, sizeof ghosts);
    size_t ram = options.ram_bytes ? options.ram_bytes : 64 << 20;
    world.cpus = options.cpus ? options.cpus : 1;
    host_reset(ram, options.asids == UINT32_MAX ? 0 : options.asids ? options.asids : 15);
    struct random dirt = {1};
    for (size_t i = 0; options.dirty && i < ram / sizeof(uint64_t); i++)
        ((uint64_t *)(void *)host_ram)[i] = random_next(&dirt);
    if (options.clock)
        hal.clock = options.clock;
    boot = (struct boot_info){.ram_count = 1, .firmware = FIRMWARE_ACPI, .cpu_count = world.cpus};
    boot.ram[0] = (struct boot_range){HOST_RAM_START, HOST_RAM_START + ram};
    // What a real machine has: the kernel's image at the bottom, and the bundle.
    boot.reserved_count = 1;
    boot.reserved[0] = (struct boot_range){HOST_RAM_START, HOST_RAM_START + 0x20000};
    boot.kernel = (struct boot_range){HOST_RAM_START, HOST_RAM_START + 0x10000};
    boot.bundle = (struct boot_range){HOST_RAM_START + 0x10000, HOST_RAM_START + 0x20000};
    (void)snprintf(boot.command_line, sizeof boot.command_line, "contiguous=%zu",
                   options.contiguous_bytes);
    for (unsigned i = 0; i < world.cpus; i++) {
        world_cpus[i] = (struct cpu){};
        cpu_init(&world_cpus[i], i);
        host_cpu_attach(i, &world_cpus[i].arch);
    }
    on_cpu(0, start_world);
    expect_status(birth.status, STATUS_OK, "making the first process", __FILE__, __LINE__);
    world.boss = actor_of(birth.thread);
    on_cpu(0, make_singletons);
    introduce(world.boss, world.root);
    world.root_account = world.boss->account;
    world.machine = give(world.boss, machine_object, RIGHTS_MACHINE);
    world.log = give(world.boss, log_object, RIGHTS_LOG);
    remember();
    for (unsigned i = 1; i < world.cpus; i++)
        on_cpu(i, announce);
}

// The boss keeps its first handles and closes all others.
static void close_everything(void)
{
    struct actor *boss = world.boss;
    for (uint32_t slot = 0; slot < boss->process->handle_pages * HANDLES_PER_PAGE; slot++) {
        const struct handle_entry *entry = entry_of(boss, slot);
        uint64_t handle = entry->tag >> 2 << 32 | slot;
        if ((entry->tag & 3) != HANDLE_LIVE || handle == boss->account ||
            handle == boss->own_process || handle == boss->own_aspace ||
            handle == boss->own_thread || handle == world.machine || handle == world.log)
            continue;
        EXPECT_CALL(OK, boss, HANDLE_CLOSE, handle);
    }
}

uint32_t objects_ever(void)
{
    uint32_t count = 0;
    while (count < objects_total() && object_at(count)->generation != 0)
        count++;
    return count;
}

static bool destroyed;

static void destroy_one_child(void)
{
    destroyed = false;
    for (uint32_t i = 0, count = objects_ever(); i < count && !destroyed; i++) {
        struct object *object = object_at(i);
        struct account *account = (struct account *)(void *)object;
        if (object->type == OBJECT_ACCOUNT && object->life == LIFE_LIVE &&
            account->parent == world.root && object->state == ACCOUNT_LIVE)
            destroyed = account_destroy(object_reference(object), 40);
    }
}

static void destroy_accounts(void)
{
    do {
        on_cpu(0, destroy_one_child);
        settle();
    } while (destroyed);
}

static void settle_and_check(void)
{
    settle();
    world_check();
}

static void end(void)
{
    destroy_accounts();
    close_everything();
    settle_and_check();
    const struct process *init = world.boss->process;
    CHECK(A3, world.root->pages.used - init->handle_pages == world.pages_used);
    CHECK(A3, world.root->pages.children == 0 && world.root->objects.children == 0);
    CHECK(A3, world.root->objects.used == world.objects_used);
    CHECK(A3, world.root->blocks_free == world.contiguous);
    CHECK(A3, frames_free() + init->handle_pages == world.frames_free);
    CHECK(A3, objects_free() == world.objects_free);
    world.actor_count = 1;
}

void world_end_after_quarantine(uint64_t device)
{
    settle_and_check();
    destroy_accounts();
    if (objects_free() < world.objects_free) // some are in quarantine
        world_check();
    ghost_quiet(device);
    while (MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, device) > 0) {}
    end();
}

void world_end(void)
{
    settle_and_check();
    end();
}
