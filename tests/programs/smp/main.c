// SPDX-License-Identifier: MIT
//
// What lies below the kernel's protocols, on every pair of CPUs: two threads of one process wake
// each other (interrupts between CPUs), sleep (each CPU's own timer), and read a page that is
// replaced under them (no CPU translates through a mapping that is gone).
#include <kit/kit.h>

const char *const program_name = "smp";

constexpr uint64_t PRIORITY = 30;
constexpr uint32_t ROUNDS = 20, PAGES_REPLACED = 10;
constexpr uint64_t NAP_NS = NS_PER_MS;
constexpr uint64_t PAGE_ADDRESS = 0x7000'0000;

enum signal : uint32_t { PING = 1, PONG = 2, GO = 4, DONE = 8, READ = 16, HAS_READ = 32 };

static event_t event;
static thread_t pinger, ponger;
static uint32_t early;

static void wait_and_clear(uint32_t signal)
{
    uint32_t signals;
    must(object_wait((handle_t){event.value}, signal, ABI_DEADLINE_NEVER, &signals), "object_wait");
    must(event_clear(event, signal, &signals), "event_clear");
}

static void raise(uint32_t signal)
{
    must(event_signal(event, signal), "event_signal");
}

static void nap(void)
{
    uint64_t until = now_ns() + NAP_NS;
    must(thread_sleep(until), "thread_sleep");
    if (now_ns() < until)
        __atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
}

static void ping(void *argument)
{
    (void)argument;
    for (;;) {
        wait_and_clear(GO);
        nap();
        for (uint32_t i = 0; i < ROUNDS; i++) {
            raise(PING);
            wait_and_clear(PONG);
        }
        raise(DONE);
    }
}

static uint64_t value_read;

static void pong(void *argument)
{
    (void)argument;
    uint32_t signals;
    for (uint32_t pings = 0;;) {
        must(object_wait((handle_t){event.value}, PING | READ, ABI_DEADLINE_NEVER, &signals),
             "object_wait");
        if ((signals & READ) != 0) {
            wait_and_clear(READ);
            __atomic_store_n(&value_read, *(volatile uint64_t *)PAGE_ADDRESS, __ATOMIC_RELAXED);
            raise(HAS_READ);
            continue;
        }
        wait_and_clear(PING);
        if (pings++ % ROUNDS == 0)
            nap();
        raise(PONG);
    }
}

static void place(thread_t thread, uint32_t cpu)
{
    must(thread_set_cpu(thread, cpu), "thread_set_cpu");
}

static struct abi_cpu_info figures_of(uint32_t cpu)
{
    uint64_t bytes;
    must(machine_cpu(start.machine, cpu, &bytes), "machine_cpu");
    struct abi_cpu_info info;
    memcpy(&info, message_buffer()->data, sizeof(info));
    return info;
}

// The reader holds the page's translation on its CPU and sleeps there; this thread is elsewhere.
static uint32_t replace_pages(void)
{
    uint32_t stale = 0;
    for (uint64_t i = 1; i <= PAGES_REPLACED; i++) {
        vmo_t vmo;
        must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
        must(vm_map(start.aspace, vmo, 0, PAGE_ADDRESS, PAGE_SIZE, PROT_READ | PROT_WRITE),
             "vm_map");
        handle_close((handle_t){vmo.value});
        *(volatile uint64_t *)PAGE_ADDRESS = i;
        raise(READ);
        wait_and_clear(HAS_READ);
        stale += __atomic_load_n(&value_read, __ATOMIC_RELAXED) != i;
        must(vm_unmap(start.aspace, PAGE_ADDRESS), "vm_unmap");
    }
    return stale;
}

static void report(uint32_t cpus, uint32_t stale)
{
    for (uint32_t i = 0; i < cpus; i++) {
        const struct abi_cpu_info info = figures_of(i);
        say("cpu %u id %lu switches %lu posts %lu flushes %lu", i, info.hardware_id, info.switches,
            info.posts, info.flushes);
        if (info.switches == 0 || (cpus > 1 && info.posts == 0))
            failed("CPU %u ran nothing, or was never posted to", i);
    }
    if (early != 0 || stale != 0)
        failed("%u of the naps ended early, %u readings were of a page that was gone", early,
               stale);
    else
        say("ok %u CPUs, %u pairs, %u wake-ups each way, %u pages replaced on each", cpus,
            cpus * cpus, ROUNDS, PAGES_REPLACED);
}

void root_main(void)
{
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    const uint32_t cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    must(event_create(start.account, &event), "event_create");
    must(thread_spawn(ping, nullptr, PRIORITY, &pinger), "thread_spawn");
    must(thread_spawn(pong, nullptr, PRIORITY, &ponger), "thread_spawn");
    uint32_t stale = 0;
    for (uint32_t a = 0; a < cpus; a++)
        for (uint32_t b = 0; b < cpus; b++) {
            place(pinger, a);
            place(ponger, b);
            raise(GO);
            wait_and_clear(DONE);
            if (a == 0)
                stale += replace_pages();
        }
    report(cpus, stale);
}

void child_main(void)
{
}
