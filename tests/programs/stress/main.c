// SPDX-License-Identifier: MIT
//
// Root: see stress.h. On the command line: seed=, calls= and replaced=, how many system calls and
// replaced pages there must be at least.
#include "stress.h"

const char *const program_name = "stress";

constexpr uint64_t BOARD_ADDRESS = 0x7000'0000, BOARD_BYTES = 2 * PAGE_SIZE;
static_assert(sizeof(struct board) <= BOARD_BYTES);
constexpr uint64_t TICK_NS = 10 * NS_PER_MS;
constexpr uint64_t STILL_NS = 60 * NS_PER_S; // of the host's time, which may have a lot to do

struct board *board;
vmo_t board_vmo;

// ---- workers

constexpr unsigned WORKERS_MOST = 32;
static struct worker workers[WORKERS_MOST];
static void (*functions[WORKERS_MOST])(struct worker *);
static uint32_t worker_count;

static void begin_worker(void *argument)
{
    struct worker *worker = argument;
    while (!worker->ready)
        (void)thread_yield();
    functions[worker - workers](worker);
}

void sure(status_t status, const char *what)
{
    if (status == STATUS_OK)
        return;
    if (!board->ending && child_start.words[0] != PART_VICTIM) {
        WRONG("%s: %s", what, status_name(status));
        give_up("%s: %s", what, status_name(status));
    }
    for (;;)
        (void)thread_sleep(ABI_DEADLINE_NEVER);
}

struct worker *worker_start(void (*function)(struct worker *), const char *name, uint32_t number,
                            uint64_t priority, uint32_t cpu)
{
    static struct beat nobody_s;
    if (worker_count == WORKERS_MOST)
        give_up("too many workers");
    struct worker *worker = &workers[worker_count];
    functions[worker_count++] = function;
    worker->number = number;
    worker->beat = &nobody_s;
    uint32_t slot = 0;
    if (name[0] != 0) {
        slot = __c11_atomic_fetch_add(&board->beats_used, 1, __ATOMIC_RELAXED);
        if (slot >= BEATS)
            give_up("too many beats");
        worker->beat = &board->beats[slot];
    }
    worker->dice.state = board->seed * 1000 + slot + child_start.words[1] * 77 + number;
    sure(thread_spawn(begin_worker, worker, priority, &worker->self), "thread_spawn");
    sure(thread_set_cpu(worker->self, cpu), "thread_set_cpu");
    worker->ready = true;
    if (name[0] != 0)
        format_text(worker->beat->name, NAME_BYTES, "%s %u", name, number);
    return worker;
}

void worker_turn(struct worker *worker, uint64_t system_calls)
{
    worker->beat->count = worker->beat->count + 1;
    tally(SYSTEM_CALLS, system_calls);
}

void move_somewhere(struct worker *worker, thread_t thread)
{
    status_t status = thread_set_cpu(thread, random_below(&worker->dice, board->cpus));
    if (status != STATUS_OK && status != STATUS_BAD_STATE && status != STATUS_GONE)
        WRONG("thread_set_cpu: %s", status_name(status));
    tally(MOVES, 1);
    tally(SYSTEM_CALLS, 1);
}

void board_map(vmo_t vmo)
{
    must(vm_map(start.aspace, vmo, 0, BOARD_ADDRESS, BOARD_BYTES, PROT_READ | PROT_WRITE),
         "mapping the board");
    board = (struct board *)BOARD_ADDRESS;
}

// ---- watching

static port_t faults;
static _Atomic uint32_t edges; // of runs: odd while one runs

// A reader that found nothing there tries again; whatever else faults has a wrong idea.
static void answer_fault(channel_t end, uint64_t message, uint64_t token)
{
    const uint32_t run = edges;
    struct abi_fault fault;
    memcpy(&fault, message_buffer()->data, sizeof(fault));
    bool expected = (message & MSG_FAULT) != 0 && memory_fault_is_expected(fault.address);
    if (!expected)
        WRONG("crash: cause %u, address 0x%lx, pc {{pc:0x%lx:stress}}", fault.cause, fault.address,
              fault.pc);
    // Until the page is there, perhaps: it faults again and again otherwise.
    must(thread_sleep(now_ns() + NS_PER_MS / 20), "thread_sleep");
    const struct abi_fault_reply reply = {expected ? FAULT_RESUME : FAULT_KILL};
    memcpy(message_buffer()->data, &reply, sizeof(reply));
    status_t status = channel_reply(end, token, MSG(sizeof(reply), 0));
    // Where its run has ended meanwhile, nobody waits for the answer; the next one may have begun.
    if (status != STATUS_OK && run % 2 == 1 && edges == run)
        WRONG("answering a fault: %s", status_name(status));
    tally(FAULTS, 1);
    tally(SYSTEM_CALLS, 2);
}

static void look_at_beats(void)
{
    static uint64_t last[BEATS], since_ns[BEATS];
    uint64_t now = now_ns();
    for (uint32_t i = 0; i < board->beats_used; i++) {
        const struct beat *beat = &board->beats[i];
        uint64_t count = beat->count;
        if (count != last[i] || since_ns[i] == 0 || beat->name[0] == 0) {
            last[i] = count;
            since_ns[i] = now;
        } else if (now - since_ns[i] >= STILL_NS) {
            WRONG("lost wake-up: %s stands still after %lu turns", beat->name, count);
            since_ns[i] = now;
        }
    }
}

static bool enough(uint64_t calls, uint64_t replaced)
{
    return board->failed != 0 ||
           (board->figures[SYSTEM_CALLS] >= calls && board->figures[PAGES_REPLACED] >= replaced);
}

static void watch(uint64_t calls, uint64_t replaced)
{
    while (!enough(calls, replaced)) {
        look_at_beats();
        must(thread_sleep(now_ns() + TICK_NS), "thread_sleep");
    }
}

// Of the priority of the load: above it, readers that fault again and again would keep the thread
// that is to map the page from doing so.
static void answer_faults(struct worker *worker)
{
    uint64_t key, message, token;
    uint32_t signals;
    for (;;) {
        must(port_receive(faults, ABI_DEADLINE_NEVER, &key, &signals, &message, &token),
             "waiting for faults");
        if ((signals & SIGNAL_READABLE) != 0)
            answer_fault((channel_t){key}, message, token);
        worker_turn(worker, 0);
    }
}

// ---- the run

static const struct child_spec parts[] = {
    {.name = "memory 1", .words = {PART_MEMORY, 1}},
    {.name = "memory 2", .words = {PART_MEMORY, 2}},
    // Of more threads than the kit's exception channels have slots for. Nothing faults in them.
    {.name = "calls", .words = {PART_CALLS}, .no_exceptions = true},
    {.name = "wakes", .words = {PART_WAKES}, .no_exceptions = true},
};
static struct child children[ARRAY_SIZE(parts)];

static void start_part(uint32_t i)
{
    struct child_spec spec = parts[i];
    spec.pages = 2048;
    spec.objects = 512;
    spec.priority = 40;
    spec.extra = (handle_t){board_vmo.value};
    spec.extra_rights = RIGHTS_VMO;
    must(child_create(&children[i], &spec), "starting a part");
    if (spec.no_exceptions)
        return;
    must(port_bind(faults, (handle_t){children[i].exceptions.value}, children[i].exceptions.value,
                   SIGNAL_READABLE),
         "port_bind");
}

static void run(uint64_t calls, uint64_t replaced)
{
    uint32_t own_beats = board->beats_used;
    for (uint32_t i = 0; i < LATEST_AT_REST_NS; i++)
        board->figures[i] = 0;
    edges++;
    for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++)
        start_part(i);
    victims_go();
    watch(calls, replaced);
    if (board->failed != 0)
        return; // what does not go on cannot be cleared away either
    victims_stop();
    board->ending = true;
    edges++;
    // In the middle of what they are at.
    for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!parts[i].no_exceptions) // else its last event stays, which root pays for
            must(port_unbind((handle_t){children[i].exceptions.value}), "port_unbind");
        child_end(&children[i]);
    }
    for (uint32_t i = own_beats; i < BEATS; i++)
        board->beats[i].name[0] = 0;
    board->beats_used = own_beats;
    board->ending = false;
    // What was in the victims' messages is put away in the background.
    must(thread_sleep(now_ns() + 100 * NS_PER_MS), "thread_sleep");
}

// The hunters may still be on their way out of their last calls.
static void compare(const struct figures *before)
{
    struct figures after;
    uint64_t until = now_ns() + 5 * NS_PER_S;
    do {
        must(thread_sleep(now_ns() + 5 * NS_PER_MS), "thread_sleep");
        figures_take(&after);
    } while (!figures_equal(before, &after) && now_ns() < until);
    if (figures_equal(before, &after))
        return;
    failed("the figures differ");
    figures_say("before", before);
    figures_say("after", &after);
}

static void say_figures(void)
{
    static const char *const names[FIGURES] = {
        [SYSTEM_CALLS] = "system calls",
        [CALLS_ANSWERED] = "calls answered",
        [MESSAGES_SENT] = "messages sent",
        [HANDLES_MOVED] = "handles moved",
        [PAGES_REPLACED] = "pages replaced",
        [PAGES_READ] = "pages read",
        [FAULTS] = "faults of readers",
        [WAKES] = "wake-ups",
        [TIMEOUTS] = "deadlines passed",
        [CANCELS] = "waits cancelled",
        [MOVES] = "threads moved",
        [THREADS_KILLED] = "threads killed",
        [PROCESSES_KILLED] = "processes killed",
        [DEAD_CALLERS] = "replies to the dead",
        [DEAD_SERVERS] = "calls to the dead",
        [LATEST_WAKE_NS] = "ns, the latest wake-up",
        [LATEST_AT_REST_NS] = "ns, the latest wake-up of a CPU at rest",
    };
    for (uint32_t i = 0; i < FIGURES; i++)
        say("%lu %s", board->figures[i], names[i]);
}

void root_main(void)
{
    uint64_t calls = command_line_number("calls", 1'000'000);
    uint64_t replaced = command_line_number("replaced", 100'000);
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    uint32_t cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    must(vmo_create(start.account, BOARD_BYTES, 0, &board_vmo), "vmo_create");
    board_map(board_vmo);
    board->cpus = cpus < CPUS_MOST ? cpus : CPUS_MOST;
    board->seed = command_line_number("seed", 1);
    must(port_create(start.account, &faults), "port_create");
    say("seed %lu, %lu CPUs", board->seed, board->cpus);
    worker_start(answer_faults, "", 0, LOAD_PRIORITY, 0);
    pairs_check();
    victims_start();
    struct figures before;
    if (board->failed == 0)
        run(calls / 100, replaced / 100); // handle tables and page tables grow at first
    figures_take(&before);
    if (board->failed == 0)
        run(calls, replaced);
    if (board->failed == 0)
        compare(&before);
    say_figures();
    uint32_t reported = failures;
    if (board->failed != 0 && reported == 0)
        failed("%u times, said above", board->failed);
    if (failures == 0)
        say("ok %lu CPUs, %lu system calls, %lu pages replaced, %lu processes killed; the accounts "
            "are as before",
            board->cpus, board->figures[SYSTEM_CALLS], board->figures[PAGES_REPLACED],
            board->figures[PROCESSES_KILLED]);
}

void child_main(void)
{
    board_map((vmo_t){child_start.extra.value});
    switch ((enum part)child_start.words[0]) {
    case PART_MEMORY:
        memory_main(child_start.words[1]);
        break;
    case PART_CALLS:
        calls_main();
        break;
    case PART_WAKES:
        wakes_main();
        break;
    case PART_VICTIM:
        victim_main();
        break;
    }
}
