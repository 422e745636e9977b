// SPDX-License-Identifier: MIT
//
// Root: the neighbour's throughput under each attack, beside what it is while the tenant does nothing.
//
//   window=MS    how long each is watched (60)
//   only=N       that attack alone
//
// All CPUs are always busy: what nobody wants has a thread of the lowest priority on each, since the
// emulator's virtual time is what all CPUs together execute, and one that rests would lend its time to
// the others.
#include "tenant.h"

const char *const program_name = "tenant";

constexpr uint64_t PERIOD_NS = 10 * NS_PER_MS;
constexpr uint64_t TENANT_NS = 25 * PERIOD_NS / 100, NEIGHBOUR_NS = 20 * PERIOD_NS / 100;
constexpr uint64_t DESK_NS = 2 * PERIOD_NS / 100;
constexpr uint64_t LEAST_PERCENT = 90;
constexpr unsigned IDLE_WINDOWS = 3;

struct board *board;
static vmo_t board_vmo;
static uint64_t cpus, window_ns;
static struct child server, client, desk;
static channel_t desk_end;

void board_map(vmo_t vmo)
{
    void *address;
    must(memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &address), "mapping the board");
    board = address;
}

void receive_handles(uint64_t *handles, uint32_t count)
{
    uint64_t message, token;
    must(channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &message, &token), "channel_receive");
    if (MSG_HANDLES(message) != count)
        give_up("%u handles came", MSG_HANDLES(message));
    memcpy(handles, message_buffer()->handles, count * sizeof(*handles));
}

static void send_handles(const struct child *child, const uint64_t *handles, uint32_t count)
{
    memcpy(message_buffer()->handles, handles, count * sizeof(*handles));
    must(channel_send(child->bootstrap, MSG(0, count), 0), "channel_send");
}

// ---- the neighbour

static void start_part(struct child *child, const char *name, enum part part, uint64_t budget_ns)
{
    const struct child_spec spec = {.name = name,
                                    .pages = 600,
                                    .objects = 200,
                                    .priority = NEIGHBOUR_PRIORITY,
                                    .budget_ns = budget_ns,
                                    .period_ns = PERIOD_NS,
                                    .words = {part, cpus}};
    must(child_create(child, &spec), "starting the neighbour");
}

static uint64_t board_copy(void)
{
    handle_t copy;
    must(handle_duplicate((handle_t){board_vmo.value}, RIGHTS_VMO, &copy), "handle_duplicate");
    return copy.value;
}

static void start_neighbour(void)
{
    start_part(&server, "server", PART_SERVER, NEIGHBOUR_NS);
    start_part(&client, "client", PART_CLIENT, NEIGHBOUR_NS);
    start_part(&desk, "desk", PART_DESK, DESK_NS);
    uint64_t servers[CPUS_MOST + 1] = {board_copy()}, clients[CPUS_MOST + 1] = {board_copy()};
    channel_t end0, end1;
    for (uint64_t i = 0; i < cpus; i++) {
        must(channel_create(client.account, server.account, ABI_CHANNEL_SHAPE(4, 256, 0, 4),
                            OVERFLOW_REJECT, &end0, &end1),
             "channel_create");
        clients[i + 1] = end0.value;
        servers[i + 1] = end1.value;
    }
    send_handles(&server, servers, (uint32_t)cpus + 1);
    send_handles(&client, clients, (uint32_t)cpus + 1);
    must(channel_create(desk.account, desk.account, ABI_CHANNEL_SHAPE(8, 512, 0, 4),
                        OVERFLOW_REJECT, &desk_end, &end1),
         "channel_create");
    const uint64_t at_desk[] = {board_copy(), end1.value};
    send_handles(&desk, at_desk, 2);
}

static uint64_t trips(void)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < cpus; i++)
        sum += board->clients[i].trips;
    return sum;
}

static uint64_t wrong(void)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < cpus; i++)
        sum += board->clients[i].wrong;
    return sum;
}

// ---- the tenant

struct seen {
    uint64_t trips, time_ns, tenant_ns, most_ns;
};

static void note_share(const struct child *tenant, struct seen *seen)
{
    uint64_t bytes;
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        struct abi_account_cpu share;
        must(account_cpu(tenant->account, cpu, &bytes), "account_cpu");
        memcpy(&share, message_buffer()->data, sizeof(share));
        seen->tenant_ns += share.used_ns;
        if (share.high_ns > seen->most_ns)
            seen->most_ns = share.high_ns;
    }
}

static struct seen watch(uint64_t attack)
{
    const struct child_spec spec = {.name = "tenant",
                                    .pages = 4000,
                                    .objects = 1500,
                                    .priority = TENANT_PRIORITY,
                                    .no_exceptions = true, // it has more threads than slots
                                    .budget_ns = TENANT_NS,
                                    .period_ns = PERIOD_NS,
                                    .words = {PART_TENANT, cpus, attack}};
    struct child tenant;
    handle_t end;
    must(child_create(&tenant, &spec), "starting the tenant");
    must(handle_duplicate((handle_t){desk_end.value}, RIGHT_SEND | RIGHT_TRANSFER, &end),
         "handle_duplicate");
    send_handles(&tenant, &end.value, 1);
    (void)thread_sleep(now_ns() + 3 * PERIOD_NS);
    struct seen before = {}, seen = {};
    note_share(&tenant, &before);
    uint64_t began_ns = now_ns();
    seen.trips = trips();
    (void)thread_sleep(began_ns + window_ns);
    seen.trips = trips() - seen.trips;
    seen.time_ns = now_ns() - began_ns;
    note_share(&tenant, &seen);
    seen.tenant_ns -= before.tenant_ns;
    struct abi_inspect process;
    inspect(tenant.process.value, &process);
    if (process.signals & SIGNAL_TERMINATED)
        failed("%s: the tenant has given up", attack_name(attack));
    child_end(&tenant);
    return seen;
}

static void compare(const char *name, const struct figures *before)
{
    struct figures after;
    (void)thread_sleep(now_ns() + 2 * PERIOD_NS); // the desk has closed what the tenant sent
    figures_take(&after);
    if (figures_equal(before, &after))
        return;
    failed("%s: something is left behind", name);
    figures_say("before", before);
    figures_say("after", &after);
}

static void busy(void *argument)
{
    (void)argument;
    for (volatile uint32_t n = 0;; n = n + 1)
        if (n % 300 == 0)
            relax();
}

static void keep_busy(void)
{
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        thread_t thread;
        must(thread_spawn(busy, nullptr, 1, &thread), "thread_spawn");
        must(thread_set_cpu(thread, cpu), "thread_set_cpu");
        handle_close((handle_t){thread.value});
    }
}

void root_main(void)
{
    uint64_t bytes, only = command_line_number("only", 0);
    window_ns = command_line_number("window", 60) * NS_PER_MS;
    must(machine_info(start.machine, &bytes), "machine_info");
    cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    must(vmo_create(start.account, PAGE_SIZE, 0, &board_vmo), "vmo_create");
    board_map(board_vmo);
    start_neighbour();
    keep_busy();
    (void)thread_sleep(now_ns() + 5 * PERIOD_NS);
    (void)watch(0); // what grows when it is used first
    struct figures before;
    (void)thread_sleep(now_ns() + 2 * PERIOD_NS);
    figures_take(&before);
    struct seen idle = {};
    for (unsigned i = 0; i < IDLE_WINDOWS; i++) {
        const struct seen seen = watch(0);
        say("row %-16s %8lu round trips in %lu ms", attack_name(0), seen.trips,
            seen.time_ns / NS_PER_MS);
        idle.trips += seen.trips;
        idle.time_ns += seen.time_ns;
    }
    for (uint32_t i = 1; i < attack_count(); i++) {
        if (only != 0 && i != only)
            continue;
        const struct seen seen = watch(i);
        uint64_t per_mille =
            seen.trips * 1000 * (idle.time_ns / 1000) / (idle.trips * (seen.time_ns / 1000));
        say("row %-16s %8lu round trips, %lu.%lu %%; the tenant had %lu.%lu %% of the CPUs, at "
            "most %lu us in a period",
            attack_name(i), seen.trips, per_mille / 10, per_mille % 10,
            seen.tenant_ns * 100 / (cpus * seen.time_ns),
            seen.tenant_ns * 1000 / (cpus * seen.time_ns) % 10, seen.most_ns / 1000);
        if (per_mille < LEAST_PERCENT * 10)
            failed("%s: the neighbour has %lu.%lu %% of its throughput", attack_name(i),
                   per_mille / 10, per_mille % 10);
        compare(attack_name(i), &before);
    }
    if (wrong() != 0)
        failed("%lu answers were wrong", wrong());
}

void child_main(void)
{
    if (child_start.words[0] == PART_TENANT)
        tenant_main();
    neighbour_main((enum part)child_start.words[0]);
}
