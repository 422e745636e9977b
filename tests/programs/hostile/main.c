// SPDX-License-Identifier: MIT
//
// The supervisor. Each phase is an attack from an account of its own; when that is gone, the
// supervisor's own account must be as before, to the unit.
#include "hostile.h"

const char *const program_name = "hostile";

static uint64_t seed;

static const struct child_spec attackers[] = {
    {.name = "guess", .pages = 2048, .objects = 512, .priority = 20, .words = {MODE_GUESS}},
    {.name = "fill",
     .pages = 4096,
     .contiguous = 64,
     .objects = 2048,
     .priority = 20,
     .machine_rights = RIGHTS_MACHINE & ~(uint32_t)RIGHT_MANAGE,
     .words = {MODE_FILL}},
    {.name = "calls",
     .pages = 8192,
     .contiguous = 64,
     .objects = 2048,
     .priority = 30,
     .machine_rights = RIGHTS_MACHINE,
     .text_rights = RIGHTS_VMO,
     .budget_ns = 9 * NS_PER_MS,
     .period_ns = 10 * NS_PER_MS,
     .words = {MODE_CALLS}},
};

// Waits for an attacker's end. Its own check count is its exit code.
static void attend(const struct child *child, const char *name)
{
    uint32_t signals;
    uint64_t message, token;
    for (;;) {
        status_t status = object_wait((handle_t){child->process.value}, SIGNAL_TERMINATED,
                                      now_ns() + 5 * NS_PER_MS, &signals);
        if (status == STATUS_OK)
            break;
        status = channel_receive(child->exceptions, 0, &message, &token);
        if (status != STATUS_OK)
            continue;
        struct abi_fault fault;
        memcpy(&fault, message_buffer()->data, sizeof(fault));
        give_up("%s crashed: cause %u, address 0x%lx, pc {{pc:0x%lx:%s}}", name, fault.cause,
                fault.address, fault.pc, program_name);
    }
    struct abi_inspect ended;
    inspect(child->process.value, &ended);
    failures += (uint32_t)ended.process.exit_code;
}

// Pins of a dead driver stay until its device is known to be quiet: none of ours ever moved.
static void quiet_devices(void)
{
    for (uint64_t device = 0; device < 8; device++) {
        uint64_t pages = 1;
        while (pages != 0)
            must(machine_device_quiet(start.machine, device, &pages), "machine_device_quiet");
    }
    (void)thread_sleep(now_ns() + NS_PER_MS);
}

static void attack(const struct child_spec *template, uint64_t round, uint64_t calls)
{
    struct child child;
    struct child_spec spec = *template;
    spec.words[1] = seed + round;
    spec.words[2] = calls;
    spec.words[3] = round;
    must(child_create(&child, &spec), "starting an attacker");
    attend(&child, spec.name);
    child_end(&child);
    quiet_devices();
}

static void compare(const char *what, const struct figures *before)
{
    struct figures after;
    figures_take(&after);
    if (figures_equal(before, &after)) {
        say("ok figures after %s: all as before", what);
        return;
    }
    failed("figures after %s differ", what);
    figures_say("before", before);
    figures_say("after", &after);
}

// Below the watcher, so that what is measured there is the kernel's doing, not ours.
constexpr uint64_t SUPERVISOR_PRIORITY = 45;

static uint64_t calls, only; // only: a bit for each phase, 1 crashes, 2 sweep, 4... attackers

static void supervise(void *argument)
{
    (void)argument;
    if (only & 1)
        crash_phase();
    if (only & 2)
        sweep_phase();
    for (uint32_t i = 0; i < ARRAY_SIZE(attackers); i++)
        if (only & 4u << i) {
            attack(&attackers[i], 0, calls);
            attack(&attackers[i], 1, calls / 10);
        }
}

// Made before the figures are taken, since its stack stays; it begins with `begin`.
static event_t begin;
static thread_t supervisor;

static void supervisor_main(void *argument)
{
    uint32_t signals;
    must(object_wait((handle_t){begin.value}, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
    supervise(argument);
    must(event_signal(begin, 2), "event_signal");
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}

// What grows when it is used first: the handle table, page tables, stacks.
static void warm_up(void)
{
    must(event_create(start.account, &begin), "event_create");
    must(thread_spawn(supervisor_main, nullptr, SUPERVISOR_PRIORITY, &supervisor), "thread_spawn");
    struct child child;
    must(child_create(&child, &attackers[0]), "starting a child");
    child_end(&child);
    quiet_devices();
}

void root_main(void)
{
    uint32_t signals;
    seed = command_line_number("seed", 1);
    calls = command_line_number("calls", 100'000);
    only = command_line_number("only", 0xff);
    say("seed=%lu calls=%lu", seed, calls);
    warm_up();
    struct figures before;
    figures_take(&before);
    watch_start();
    must(event_signal(begin, 1), "event_signal");
    must(object_wait((handle_t){begin.value}, 2, ABI_DEADLINE_NEVER, &signals), "object_wait");
    watch_stop();
    quiet_devices();
    compare("all of it", &before);
}

void child_main(void)
{
    switch ((enum mode)child_start.words[0]) {
    case MODE_CRASH:
        crash_child();
        break;
    case MODE_SWEEP:
        sweep_child();
        break;
    case MODE_GUESS:
        guess_child();
        break;
    case MODE_FILL:
        fill_child();
        break;
    case MODE_CALLS:
        calls_child();
        break;
    case MODE_WATCH:
        watch_child();
        break;
    }
}
