// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c tests/unit/kernel_state.c
//
// Each call that can run out of something, in situations that make it need much, with each place
// where it can (RUNS_OUT) running out in turn: it must answer an error that its table lists, and the
// whole state must be as before (kernel_state.h). Each situation is tried twice, the second time with
// a full handle table, which has to grow. Each error of the table that says that something ran out
// must have been answered (A2, A3).
#include <abi_table.h>
#include <string.h>

#include "kernel_state.h"
#include "kernel_world.h"
#include "pages.h"

constexpr uint64_t AT = 0x5000'0000, DEVICE = 7, LARGE = 1100 * PAGE_SIZE;
constexpr uint64_t SHORTAGES = 1u << STATUS_NO_PAGES | 1u << STATUS_NO_OBJECTS |
                               1u << STATUS_NO_HANDLES | 1u << STATUS_NO_RESOURCE |
                               1u << STATUS_FULL;

static struct actor *user;
static uint64_t machine, event, foreign; // an account of another process's

// The call that a situation is about, and what it answers when nothing runs out.
static struct {
    uint64_t number, arguments[6];
    status_t answers;
} about;

static void set_about(status_t answers, uint64_t number, const uint64_t arguments[6])
{
    about.number = number;
    about.answers = answers;
    memcpy(about.arguments, arguments, sizeof about.arguments);
}
#define ABOUT(answers, name, ...) \
    set_about(STATUS_##answers, SYSCALL_##name, ARGUMENTS(__VA_ARGS__))

// ---- trying each place

// Kept by all tests of this program.
static struct results {
    unsigned situations;
    struct tried {
        uint64_t statuses;
        unsigned places, failures;
        char of[200]; // what ran out, each once
    } tried[SYSCALL_COUNT];
} *results;
static unsigned situation_count;

[[gnu::constructor]] static void make_results(void)
{
    results = pages_new_shared(sizeof *results);
}

static uint64_t new_event(void)
{
    return MUST(user, EVENT_CREATE, user->account);
}

// As few address-space numbers as are needed: one that a failed call kept would be missed.
static void begin(uint32_t processes)
{
    world_begin((struct world_options){.asids = 3 + processes, .contiguous_bytes = 2 << 20});
    user = spawn(MUST(world.boss, ACCOUNT_CREATE, world.root_account, 6000, 300, 64), 10);
    uint64_t account = new_account(3000, 100);
    (void)spawn(account, 10);
    foreign = grant(user, world.boss, account);
    machine = grant(user, world.boss, world.machine);
    event = new_event();
}

static void fill_table(void)
{
    const struct process *process = user->process;
    while (process->handles_used + process->handles_reserved <
           process->handle_pages * HANDLES_PER_PAGE)
        MUST(user, HANDLE_DUPLICATE, event, 0);
}

static void note(const char *what, status_t status)
{
    struct tried *seen = &results->tried[about.number];
    seen->failures++;
    seen->statuses |= 1ull << status;
    if (strstr(seen->of, what))
        return;
    strcat(seen->of, seen->of[0] ? ", " : "");
    strcat(seen->of, what);
}

static void expect_listed(unsigned nth, status_t status)
{
    const struct abi_call *call = &abi_calls[about.number];
    if (status >= STATUS_COUNT || !(call->errors >> status & 1))
        test_fail(__FILE__, __LINE__, "%s without %s (place %u) answered %s", call->name,
                  shortage_happened(), nth,
                  status < STATUS_COUNT ? abi_status_names[status] : "BLOCKED");
}

static void expect_unchanged(unsigned nth, const struct state *before)
{
    static struct state after;
    char said[1000];
    state_take(&after);
    if (state_differs(before, &after, said, sizeof said))
        test_fail(__FILE__, __LINE__, "%s without %s (place %u) changed the state: %s",
                  abi_calls[about.number].name, shortage_happened(), nth, said);
}

static void try_each_place(void)
{
    static struct state before;
    struct outcome out;
    unsigned nth = 1;
    for (;; nth++) {
        state_take(&before);
        shortage_at(nth);
        out = call_number(user, about.number, about.arguments);
        if (!shortage_happened())
            break;
        expect_listed(nth, out.status);
        note(shortage_happened(), out.status);
        expect_unchanged(nth, &before);
        world_check();
    }
    shortage_at(0);
    if (nth - 1 > results->tried[about.number].places)
        results->tried[about.number].places = nth - 1;
    expect_status(out.status, about.answers, "with all that it needs", __FILE__, __LINE__);
}

static void run_situation(void (*prepare)(void), uint32_t processes, bool full)
{
    begin(processes);
    prepare();
    if (full)
        fill_table();
    try_each_place();
    settle();
    world_end_after_quarantine(DEVICE);
    results->situations++;
}

// What comes before the call, which is named last with ABOUT. Some need room for one more process.
#define SITUATION_WITH(name, processes)                 \
    static void name(void);                             \
    TEST(name)                                          \
    {                                                   \
        run_situation(name, processes, false);          \
    }                                                   \
    TEST(name##_with_a_full_table)                      \
    {                                                   \
        run_situation(name, processes, true);           \
    }                                                   \
    [[gnu::constructor]] static void count_##name(void) \
    {                                                   \
        situation_count += 2;                           \
    }                                                   \
    static void name(void)
#define SITUATION(name) SITUATION_WITH(name, 0)

// ---- situations

SITUATION(duplicating)
{
    ABOUT(OK, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
}

SITUATION(waiting)
{
    ABOUT(BLOCKED, OBJECT_WAIT, event, 1, ABI_DEADLINE_NEVER);
}

SITUATION(an_account)
{
    ABOUT(OK, ACCOUNT_CREATE, user->account, 10, 5);
}

static uint64_t new_child(void)
{
    return MUST(user, ACCOUNT_CREATE, user->account, 10, 5);
}

SITUATION(an_account_grows)
{
    ABOUT(OK, ACCOUNT_RESIZE, user->account, new_child(), 3, 2);
}

SITUATION(an_account_shrinks)
{
    ABOUT(OK, ACCOUNT_RESIZE, user->account, new_child(), (uint64_t)-3, (uint64_t)-2);
}

SITUATION(an_account_does_both)
{
    ABOUT(OK, ACCOUNT_RESIZE, user->account, new_child(), (uint64_t)-3, 2);
}

SITUATION(an_account_with_contiguous_memory)
{
    ABOUT(OK, ACCOUNT_CREATE, user->account, 10, 5, 27);
}

static uint64_t new_child_with_blocks(void)
{
    return MUST(user, ACCOUNT_CREATE, user->account, 10, 5, 27);
}

SITUATION(an_account_takes_contiguous_memory)
{
    ABOUT(OK, ACCOUNT_RESIZE, user->account, new_child_with_blocks(), (uint64_t)-3, 2, 5);
}

SITUATION(an_account_returns_contiguous_memory)
{
    ABOUT(OK, ACCOUNT_RESIZE, user->account, new_child_with_blocks(), 3, 2, (uint64_t)-26);
}

SITUATION(a_contiguous_vmo)
{
    ABOUT(OK, VMO_CREATE, user->account, 13 * PAGE_SIZE, VMO_CONTIGUOUS);
}

static uint64_t new_child_with_share(void)
{
    uint64_t account = grant(world.boss, user, user->account), child = new_child();
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, 0, 10'000'000, 10'000'000);
    advance(10'000'000);
    return child;
}

SITUATION(a_share_of_a_cpu)
{
    ABOUT(OK, ACCOUNT_BUDGET, user->account, new_child_with_share(), 0, 1'000'000, 10'000'000);
}

SITUATION(a_share_grows)
{
    uint64_t child = new_child_with_share();
    MUST(user, ACCOUNT_BUDGET, user->account, child, 0, 1'000'000, 10'000'000);
    ABOUT(OK, ACCOUNT_BUDGET, user->account, child, 0, 2'000'000, 10'000'000);
}

SITUATION_WITH(a_process, 1)
{
    ABOUT(OK, PROCESS_CREATE, user->account, 0);
}

SITUATION_WITH(a_process_with_exceptions, 1)
{
    ABOUT(OK, PROCESS_CREATE, foreign, new_channel(user, 2, 64, 1, 2).end1);
}

SITUATION(a_thread)
{
    ABOUT(OK, THREAD_CREATE, user->own_process, 5, AT);
}

static uint64_t new_process(void)
{
    return MUST(user, PROCESS_CREATE, foreign, new_channel(user, 2, 64, 1, 2).end1);
}

SITUATION_WITH(a_first_thread, 1)
{
    ABOUT(OK, THREAD_CREATE, new_process(), 5, AT);
}

SITUATION_WITH(a_gift, 1)
{
    ABOUT(OK, THREAD_START, MUST(user, THREAD_CREATE, new_process(), 5, AT), 0x1000, 0, 0, event);
}

SITUATION(a_small_vmo)
{
    ABOUT(OK, VMO_CREATE, user->account, 3 * PAGE_SIZE, 0);
}

SITUATION(a_large_vmo)
{
    ABOUT(OK, VMO_CREATE, foreign, LARGE, 0);
}

SITUATION(a_slice)
{
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, 3 * PAGE_SIZE, 0);
    ABOUT(OK, VMO_SLICE, foreign, vmo, PAGE_SIZE, PAGE_SIZE, RIGHT_MAP);
}

SITUATION(a_mapping)
{
    uint64_t vmo = MUST(user, VMO_CREATE, user->account, 3 * PAGE_SIZE, 0);
    ABOUT(OK, VM_MAP, user->own_aspace, vmo, 0, 0x7f00'0000'0000, 2 * PAGE_SIZE, PROT_READ);
}

SITUATION(a_large_mapping_of_another_account)
{
    uint64_t vmo = MUST(user, VMO_CREATE, foreign, LARGE, 0);
    ABOUT(OK, VM_MAP, user->own_aspace, vmo, 0, AT, LARGE, PROT_READ);
}

SITUATION(a_mapping_through_a_slice)
{
    uint64_t vmo = MUST(user, VMO_CREATE, foreign, LARGE, 0);
    uint64_t slice = MUST(user, VMO_SLICE, user->account, vmo, PAGE_SIZE, PAGE_SIZE, RIGHTS_VMO);
    ABOUT(OK, VM_MAP, user->own_aspace, slice, 0, AT, PAGE_SIZE, PROT_READ);
}

SITUATION(a_channel)
{
    ABOUT(OK, CHANNEL_CREATE, user->account, foreign, ABI_CHANNEL_SHAPE(40, 256, 2, 8),
          OVERFLOW_BLOCK);
}

static struct ends new_ends(uint64_t overflow)
{
    struct outcome out = CALL(user, CHANNEL_CREATE, user->account, user->account,
                              ABI_CHANNEL_SHAPE(1, 64, 2, 1), overflow);
    EXPECT_STATUS(out.status, OK);
    return (struct ends){out.value[0], out.value[1]};
}

static void put_two_handles(void)
{
    set_handles(user, 2, (uint64_t[]){new_event(), new_event()});
}

SITUATION(sending)
{
    struct ends ends = new_ends(OVERFLOW_REJECT);
    put_two_handles();
    ABOUT(OK, CHANNEL_SEND, ends.end0, MSG(8, 2), 0);
}

SITUATION(sending_to_a_full_queue)
{
    struct ends ends = new_ends(OVERFLOW_BLOCK);
    MUST(user, CHANNEL_SEND, ends.end0, MSG(8, 0), 0);
    put_two_handles();
    ABOUT(BLOCKED, CHANNEL_SEND, ends.end0, MSG(8, 2), ABI_DEADLINE_NEVER);
}

SITUATION(receiving_handles)
{
    struct ends ends = new_ends(OVERFLOW_REJECT);
    put_two_handles();
    MUST(user, CHANNEL_SEND, ends.end0, MSG(8, 2), 0);
    ABOUT(OK, CHANNEL_RECEIVE, ends.end1, 0);
}

SITUATION(receiving_nothing)
{
    ABOUT(BLOCKED, CHANNEL_RECEIVE, new_ends(OVERFLOW_REJECT).end1, ABI_DEADLINE_NEVER);
}

SITUATION(calling)
{
    struct ends ends = new_ends(OVERFLOW_REJECT);
    put_two_handles();
    ABOUT(BLOCKED, CHANNEL_CALL, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(8, 2), 2),
          ABI_DEADLINE_NEVER);
}

SITUATION(calling_a_full_queue)
{
    struct ends ends = new_ends(OVERFLOW_BLOCK);
    MUST(user, CHANNEL_SEND, ends.end0, MSG(8, 0), 0);
    put_two_handles();
    ABOUT(BLOCKED, CHANNEL_CALL, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(8, 2), 2),
          ABI_DEADLINE_NEVER);
}

SITUATION(a_port)
{
    ABOUT(OK, PORT_CREATE, user->account);
}

SITUATION(a_binding)
{
    ABOUT(OK, PORT_BIND, MUST(user, PORT_CREATE, user->account), event, 1, 1);
}

static struct ends new_bound_end(uint64_t *port)
{
    struct ends ends = new_ends(OVERFLOW_REJECT);
    *port = MUST(user, PORT_CREATE, user->account);
    MUST(user, PORT_BIND, *port, ends.end1, 1, SIGNAL_READABLE);
    return ends;
}

SITUATION(a_port_tells_of_nothing)
{
    uint64_t port;
    (void)new_bound_end(&port);
    ABOUT(BLOCKED, PORT_RECEIVE, port, ABI_DEADLINE_NEVER);
}

SITUATION(a_port_brings_handles)
{
    uint64_t port;
    struct ends ends = new_bound_end(&port);
    put_two_handles();
    MUST(user, CHANNEL_SEND, ends.end0, MSG(8, 2), 0);
    ABOUT(OK, PORT_RECEIVE, port, 0);
}

// The reply, which is made once whatever the receive lacks, is one that fails.
SITUATION(a_port_brings_handles_after_a_reply)
{
    uint64_t port;
    struct ends ends = new_bound_end(&port);
    put_two_handles();
    MUST(user, CHANNEL_SEND, ends.end0, MSG(8, 2), 0);
    ABOUT(OK, CHANNEL_REPLY_RECEIVE, ends.end1, 77, MSG(0, 0), port, 0);
}

SITUATION(a_port_tells_of_nothing_after_a_reply)
{
    uint64_t port;
    struct ends ends = new_bound_end(&port);
    ABOUT(BLOCKED, CHANNEL_REPLY_RECEIVE, ends.end1, 77, MSG(0, 0), port, ABI_DEADLINE_NEVER);
}

SITUATION(an_event)
{
    ABOUT(OK, EVENT_CREATE, user->account);
}

SITUATION(a_timer)
{
    ABOUT(OK, TIMER_CREATE, foreign);
}

SITUATION(registers)
{
    ABOUT(OK, MACHINE_DEVICE_MEMORY, machine, user->account, 0xd000'0000, 2 * PAGE_SIZE,
          MEMORY_DEVICE);
}

SITUATION(ports_of_a_device)
{
    ABOUT(OK, MACHINE_IO_RANGE, machine, user->account, 0x100, 8);
}

SITUATION(a_line)
{
    ABOUT(OK, MACHINE_INTERRUPT, machine, user->account, 10, TRIGGER_EDGE);
}

// The last line that takes messages: one that a failed call kept would be missed. The entry is on a
// page of the table that no other one is on.
SITUATION(a_message)
{
    for (uint32_t i = HOST_MESSAGE_FIRST; i < HOST_LINES - 1; i++)
        MUST(user, MACHINE_MESSAGE_INTERRUPT, machine, user->account, 0xd000'1000, i, DEVICE);
    ABOUT(OK, MACHINE_MESSAGE_INTERRUPT, machine, user->account, 0xd000'1000, 300, DEVICE);
}

SITUATION(a_dma_space)
{
    ABOUT(OK, MACHINE_DMA_SPACE, machine, user->account, DEVICE);
}

SITUATION(a_pin)
{
    uint64_t space = MUST(user, MACHINE_DMA_SPACE, machine, user->account, DEVICE);
    uint64_t vmo = MUST(user, VMO_CREATE, foreign, 20 * PAGE_SIZE, 0);
    ABOUT(OK, PIN_CREATE, space, user->account, vmo, PAGE_SIZE, 17 * PAGE_SIZE, DMA_BOTH);
}

// What a failed call took of the device's memory could not be minted any more.
TEST(a_vector_table_that_was_not_used_is_anybodys)
{
    begin(0);
    unsigned nth = 1;
    for (;; nth++) {
        shortage_at(nth);
        (void)CALL(user, MACHINE_MESSAGE_INTERRUPT, machine, user->account, 0xd000'1000, 0, DEVICE);
        if (!shortage_happened())
            break;
        MUST(user, HANDLE_CLOSE,
             MUST(user, MACHINE_DEVICE_MEMORY, machine, user->account, 0xd000'1000, PAGE_SIZE,
                  MEMORY_DEVICE));
    }
    shortage_at(0);
    EXPECT_EQUAL(nth, 6);
    EXPECT_CALL(OVERLAP, user, MACHINE_DEVICE_MEMORY, machine, user->account, 0xd000'1000,
                PAGE_SIZE, MEMORY_DEVICE);
    world_end();
}

// ---- the table

static void print_tried(uint64_t number)
{
    const struct tried *seen = &results->tried[number];
    char statuses[120] = "";
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (seen->statuses >> i & 1) {
            strcat(statuses, " ");
            strcat(statuses, abi_status_names[i]);
        }
    test_note("%-26s %2u places, %3u failures:%s (%s)", abi_calls[number].name, seen->places,
              seen->failures, statuses, seen->of);
}

// What runs last: each error that says that something ran out was answered.
TEST(each_shortage_was_answered)
{
    if (results->situations < situation_count) {
        test_note("not all situations were tried: there is nothing to say");
        return;
    }
    for (uint64_t number = 0; number < SYSCALL_COUNT; number++) {
        const struct tried *seen = &results->tried[number];
        uint64_t missing = abi_calls[number].errors & SHORTAGES & ~seen->statuses;
        if (missing)
            test_fail(__FILE__, __LINE__, "%s: nothing made it answer %s", abi_calls[number].name,
                      abi_status_names[__builtin_ctzll(missing)]);
        if (seen->places > 0)
            print_tried(number);
    }
}
