// SPDX-License-Identifier: MIT
//
// The attack by system calls: counts what each call answers, drives the phases, and compares
// with the table.
#include "attack.h"

constexpr uint32_t OK_WANTED = 100;
constexpr uint32_t COMPLAINTS_MAX = 20;

static uint32_t seen[SYSCALL_COUNT][STATUS_COUNT];
static uint64_t total;

void count_seen(uint32_t call, status_t status)
{
    seen[call][status]++;
    total++;
}

uint32_t times_seen(uint32_t call, status_t status)
{
    return seen[call][status];
}

struct raw_result count(uint32_t call, const arguments_t a)
{
    struct raw_result result = raw_syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
    bool listed = result.status == STATUS_OK ||
                  (result.status < STATUS_COUNT && (abi_calls[call].errors >> result.status & 1));
    if (listed) {
        count_seen(call, result.status);
        return result;
    }
    static uint32_t complaints;
    if (complaints++ < COMPLAINTS_MAX) {
        pest(PEST_NONE);
        failed("%s(0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx) answers %s, which it does not list",
               abi_calls[call].name, a[0], a[1], a[2], a[3], a[4], a[5],
               status_name(result.status));
    }
    return result;
}

// ---- what cannot be reached, and why

enum where : uint8_t { EVERYWHERE, WITH_PORTS, WITHOUT_PORTS };

struct exception {
    uint32_t call;
    status_t status; // OK: it can never succeed
    enum where where;
    const char *reason;
};

static const struct exception *excused(uint32_t call, status_t status)
{
    static const struct exception exceptions[] = {
        {SYSCALL_MACHINE_POWER, STATUS_OK, EVERYWHERE,
         "it would end the attack; it ends the program"},
        {SYSCALL_MACHINE_POWER, STATUS_NOT_SUPPORTED, EVERYWHERE, "both machines can"},
        {SYSCALL_MACHINE_POWER, STATUS_GONE, EVERYWHERE, "the machine cannot be destroyed"},
        {SYSCALL_MACHINE_INFO, STATUS_GONE, EVERYWHERE, "the machine cannot be destroyed"},
        {SYSCALL_MACHINE_CPU, STATUS_GONE, EVERYWHERE, "the machine cannot be destroyed"},
        {SYSCALL_MACHINE_DEVICE_QUIET, STATUS_GONE, EVERYWHERE, "the machine cannot be destroyed"},
        {SYSCALL_LOG_WRITE, STATUS_GONE, EVERYWHERE, "the log cannot be destroyed"},
        {SYSCALL_LOG_READ, STATUS_GONE, EVERYWHERE, "the log cannot be destroyed"},
        {SYSCALL_PROCESS_CREATE, STATUS_NO_RESOURCE, EVERYWHERE,
         "more address-space numbers than objects, or none needed"},
        {SYSCALL_PIN_CREATE, STATUS_NOT_SUPPORTED, EVERYWHERE,
         "a handle to device memory never carries PIN"},
        {SYSCALL_MACHINE_MESSAGE_INTERRUPT, STATUS_NOT_SUPPORTED, EVERYWHERE,
         "both machines' controllers take messages"},
        {SYSCALL_IO_READ, STATUS_OK, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_READ, STATUS_INVALID, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_READ, STATUS_NO_RIGHT, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_READ, STATUS_GONE, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_WRITE, STATUS_OK, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_WRITE, STATUS_INVALID, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_WRITE, STATUS_NO_RIGHT, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_IO_WRITE, STATUS_GONE, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_OK, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_INVALID, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_BAD_STATE, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_OVERLAP, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_NO_OBJECTS, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_NO_HANDLES, WITHOUT_PORTS, "no I/O ports here"},
        {SYSCALL_MACHINE_IO_RANGE, STATUS_NOT_SUPPORTED, WITH_PORTS, "this machine has them"},
    };
    enum where not_here = machine_has_ports ? WITHOUT_PORTS : WITH_PORTS;
    for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++)
        if (exceptions[i].call == call && exceptions[i].status == status &&
            exceptions[i].where != not_here)
            return &exceptions[i];
    return nullptr;
}

static void judge(uint32_t call, status_t status, uint32_t wanted)
{
    const struct exception *exception = excused(call, status);
    uint32_t times = seen[call][status];
    if (exception != nullptr && times > 0)
        failed("%s: %s was reached although: %s", abi_calls[call].name, status_name(status),
               exception->reason);
    if (exception != nullptr)
        say("not reached: %s %s: %s", abi_calls[call].name, status_name(status), exception->reason);
    else if (times < wanted)
        failed("%s: %s seen %u times, wanted %u", abi_calls[call].name, status_name(status), times,
               wanted);
}

static void print_row(uint32_t call)
{
    char line[220];
    size_t length = format_text(line, sizeof(line), "call %s OK=%u", abi_calls[call].name,
                                seen[call][STATUS_OK]);
    for (uint32_t status = 1; status < STATUS_COUNT; status++)
        if (seen[call][status] != 0 && length < sizeof(line))
            length += format_text(line + length, sizeof(line) - length, " %s=%u",
                                  abi_status_names[status], seen[call][status]);
    say("%s", line);
}

static void judge_all(void)
{
    for (uint32_t call = 0; call < SYSCALL_COUNT; call++) {
        print_row(call);
        judge(call, STATUS_OK, OK_WANTED);
        for (uint32_t status = 1; status < STATUS_COUNT; status++)
            if (abi_calls[call].errors >> status & 1)
                judge(call, (status_t)status, 1);
    }
}

// ---- the phases

static void successes_phase(void)
{
    for (uint32_t call = 0; call < SYSCALL_COUNT; call++)
        for (uint32_t i = 0; i < OK_WANTED; i++) {
            arguments_t a;
            if (!prepare(call, a))
                break;
            struct raw_result result = count(call, a);
            undo(call, a, &result);
        }
    exits_phase(OK_WANTED);
}

static void no_such_call(struct random *random)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t number = SYSCALL_COUNT + (random_next(random) >> random_below(random, 64));
        if (number < SYSCALL_COUNT)
            continue;
        status_t status = raw_syscall(number, 1, 2, 3, 4, 5, 6).status;
        if (status != STATUS_NO_SYSCALL)
            failed("call number 0x%lx answers %s", number, status_name(status));
    }
}

static event_t done;

static void attack_main(void *argument)
{
    (void)argument;
    struct random random = {child_start.words[1]};
    errors_phase();
    successes_phase();
    no_such_call(&random);
    storm_phase(&random, child_start.words[2]);
    if (child_start.words[3] == 0) // the second time is for the figures
        judge_all();
    if (failures == 0)
        say("ok calls: %lu system calls, each answer is one that its call lists", total);
    must(event_signal(done, 1), "event_signal");
}

// A handle guessed in a message must not take away what the attack stands on.
static void hold_fast(uint64_t *handle, uint32_t rights)
{
    handle_t fast;
    must(handle_duplicate((handle_t){*handle}, rights & ~(uint32_t)RIGHT_TRANSFER, &fast),
         "handle_duplicate");
    handle_close((handle_t){*handle});
    *handle = fast.value;
}

void calls_child(void)
{
    uint32_t signals;
    hold_fast(&start.account.value, RIGHT_CHARGE | RIGHT_INSPECT | RIGHT_DUPLICATE);
    hold_fast(&start.process.value, RIGHT_CHARGE | RIGHT_INSPECT | RIGHT_DUPLICATE);
    hold_fast(&start.aspace.value, RIGHT_MAP | RIGHT_INSPECT | RIGHT_DUPLICATE);
    hold_fast(&start.machine.value, RIGHTS_MACHINE);
    must(event_create(start.account, &done), "event_create");
    world_make();
    world_keep(done.value);
    must(thread_spawn(attack_main, nullptr, ATTACKER_PRIORITY, &world.main), "thread_spawn");
    world_keep(world.main.value);
    status_t status;
    do
        status = object_wait((handle_t){done.value}, 1, ABI_DEADLINE_NEVER, &signals);
    while (status != STATUS_OK);
}
