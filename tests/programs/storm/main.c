// SPDX-License-Identifier: MIT
//
// A storm of interrupts of a real device, over a line and by messages: its driver acknowledges and
// does nothing about the cause. Another driver waits for another device meanwhile: how late is it?
// The first thread is the world, whose devices raise interrupts when they like: more urgent than
// all. For virtual time (deterministic instruction counting).
#include "devices.h"

const char *const program_name = "storm";

constexpr unsigned ROUNDS = 200, FEW_ROUNDS = 20;
constexpr uint64_t STORMS = 20,
                   URGENT = 30; // priorities: of the driver that storms; of a more urgent one
constexpr uint64_t PER_SECOND_MAX = 1'000'000, BURST_MAX = 65'536;

struct limit {
    uint64_t per_second, burst;
};

void child_main(void)
{
}

// ---- the device that storms

static struct {
    const struct device *device;
    _Atomic bool on, over;
    _Atomic uint64_t acknowledged;
} storm;

static void take_one(const struct device *device)
{
    uint32_t signals;
    uint64_t count;
    must(object_wait((handle_t){device->interrupt.value}, SIGNAL_INTERRUPT, ABI_DEADLINE_NEVER,
                     &signals),
         "object_wait");
    must(interrupt_acknowledge(device->interrupt, &count), "interrupt_acknowledge");
    storm.acknowledged++;
}

static void storming_driver(void *argument)
{
    (void)argument;
    while (storm.on) {
        storm.device->raise();
        take_one(storm.device);
    }
    // A level that is up still comes once more, at the latest when it is let in.
    storm.device->quiet();
    storm.over = true;
}

static struct abi_inspect inspect_interrupt(const struct device *device)
{
    struct abi_inspect found;
    inspect(device->interrupt.value, &found);
    return found;
}

// ---- the other driver

struct latency {
    uint64_t median_ns, most_ns;
};

static void sort(uint64_t *values, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && values[j - 1] > values[j]; j--) {
            uint64_t swapped = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swapped;
        }
}

static struct {
    const struct device *device;
    uint64_t raised_ns;
    _Atomic uint64_t late_ns; // 0: it has not come to it yet
    _Atomic bool stop;
} other;

static void other_driver(void *argument)
{
    (void)argument;
    uint32_t signals;
    uint64_t count;
    while (!other.stop) {
        must(object_wait((handle_t){other.device->interrupt.value}, SIGNAL_INTERRUPT,
                         ABI_DEADLINE_NEVER, &signals),
             "object_wait");
        if (other.late_ns == 0) // QEMU's adapter sends a second one of its own later
            other.late_ns = now_ns() - other.raised_ns;
        other.device->quiet();
        must(interrupt_acknowledge(other.device->interrupt, &count), "interrupt_acknowledge");
    }
}

static void raise_and_wait(const struct device *device)
{
    other.late_ns = 0;
    other.raised_ns = now_ns();
    device->raise();
    while (other.late_ns == 0)
        (void)thread_sleep(now_ns() + 300'000);
}

// From a device's raise to the first instruction of its driver, at times that have nothing to do with the
// storm's.
static struct latency measure(const struct device *device, uint64_t priority, unsigned rounds)
{
    static uint64_t late_ns[ROUNDS];
    static struct random random = {.state = 1};
    thread_t thread;
    other.device = device;
    other.stop = false;
    must(thread_spawn(other_driver, nullptr, priority, &thread), "thread_spawn");
    for (unsigned i = 0; i < rounds; i++) {
        (void)thread_sleep(now_ns() + 100'000 + random_below(&random, 500'000));
        other.stop = i == rounds - 1;
        raise_and_wait(device);
        late_ns[i] = other.late_ns;
    }
    (void)thread_sleep(now_ns() + 10 * NS_PER_MS); // it ends
    sort(late_ns, rounds);
    return (struct latency){late_ns[rounds / 2], late_ns[rounds - 1]};
}

static struct latency measure_beside(const struct device *storming, const struct device *device,
                                     uint64_t priority, unsigned rounds)
{
    thread_t thread;
    storm.device = storming;
    storm.on = true;
    storm.over = false;
    must(thread_spawn(storming_driver, nullptr, STORMS, &thread), "thread_spawn");
    struct latency latency = measure(device, priority, rounds);
    storm.on = false;
    while (!storm.over)
        (void)thread_sleep(now_ns() + NS_PER_MS);
    return latency;
}

// ---- what must hold

static void drain(const struct device *device)
{
    uint32_t signals;
    uint64_t count;
    while (object_wait((handle_t){device->interrupt.value}, SIGNAL_INTERRUPT,
                       now_ns() + 20 * NS_PER_MS, &signals) == STATUS_OK)
        if (interrupt_acknowledge(device->interrupt, &count) == STATUS_OK)
            storm.acknowledged++;
}

// The machine tells that there was a storm.
static bool told(port_t port)
{
    uint64_t key, message, token;
    uint32_t signals;
    return port_receive(port, 0, &key, &signals, &message, &token) == STATUS_OK &&
           signals == SIGNAL_STORM;
}

static void must_be_late_at_most(const struct device *storming, const char *what, uint64_t late_ns,
                                 uint64_t idle_ns)
{
    if (late_ns > 2 * idle_ns)
        failed("%s: %s is %lu ns late, %lu without a storm", storming->name, what, late_ns,
               idle_ns);
}

static void try_storm(const struct device *storming, const struct device *device,
                      struct limit limit, port_t port)
{
    struct latency idle = measure(device, URGENT, ROUNDS);
    if (told(port))
        failed("%s: a storm is told of, and there was none", storming->name);
    must(interrupt_limit(storming->interrupt, limit.per_second, limit.burst), "interrupt_limit");
    drain(storming);
    storm.acknowledged = 0;
    uint64_t before = inspect_interrupt(storming).interrupt.count, began_ns = now_ns();
    struct latency urgent = measure_beside(storming, device, URGENT, ROUNDS);
    struct latency equal = measure_beside(storming, device, STORMS, ROUNDS);
    uint64_t took_ns = now_ns() - began_ns;
    drain(storming);
    const struct abi_inspect found = inspect_interrupt(storming);
    uint64_t taken = found.interrupt.count - before, storms = found.interrupt.storms;
    // The one that is too many is taken, too; and one is assumed of a device that forgets.
    uint64_t most = took_ns / (NS_PER_S / limit.per_second) + limit.burst +
                    (storming->forgets ? 2 : 1) * storms;
    say("over a %s: other driver, median and latest of %u: idle %lu, %lu ns; more urgent %lu, %lu; "
        "equal %lu, %lu",
        storming->name, ROUNDS, idle.median_ns, idle.most_ns, urgent.median_ns, urgent.most_ns,
        equal.median_ns, equal.most_ns);
    say("over a %s: %lu interrupts in %lu us, put aside %lu times", storming->name, taken,
        took_ns / 1000, storms);
    must_be_late_at_most(storming, "the median", urgent.median_ns, idle.median_ns);
    must_be_late_at_most(storming, "the latest", urgent.most_ns, idle.most_ns);
    must_be_late_at_most(storming, "the median at the same priority", equal.median_ns,
                         idle.median_ns);
    if (taken > most || storms < 10)
        failed("%s: %lu interrupts, at most %lu were allowed", storming->name, taken, most);
    if (taken != storm.acknowledged)
        failed("%s: %lu were counted, %lu acknowledged", storming->name, taken, storm.acknowledged);
    if (!told(port))
        failed("%s: nobody was told of the storm", storming->name);
    (void)thread_sleep(now_ns() + 100 * NS_PER_MS);
    struct latency again = measure(storming, URGENT, ROUNDS);
    say("over a %s: afterwards its own driver %lu, %lu ns", storming->name, again.median_ns,
        again.most_ns);
    must_be_late_at_most(storming, "the device itself, afterwards,", again.median_ns,
                         idle.median_ns);
    must(interrupt_limit(storming->interrupt, PER_SECOND_MAX, BURST_MAX), "interrupt_limit");
}

// Without a limit that bites it is otherwise, or this test would see nothing.
static void try_without_limit(const struct device *storming, const struct device *device)
{
    struct latency idle = measure(device, STORMS, FEW_ROUNDS);
    struct latency equal = measure_beside(storming, device, STORMS, FEW_ROUNDS);
    drain(storming);
    say("over a %s without a limit: equal %lu, %lu", storming->name, equal.median_ns,
        equal.most_ns);
    if (equal.median_ns <= 2 * idle.median_ns)
        failed("%s: no storm", storming->name);
}

void root_main(void)
{
    struct device line, message, capability;
    port_t port;
    line_open(&line);
    message_open(&message);
    capability_open(&capability);
    must(port_create(start.account, &port), "port_create");
    must(port_bind(port, (handle_t){start.machine.value}, 1, SIGNAL_STORM), "port_bind");
    try_storm(&line, &message, (struct limit){20'000, 200}, port);
    try_without_limit(&line, &message);
    // The adapter itself holds messages back.
    (void)told(port);
    try_storm(&message, &line, (struct limit){5'000, 50}, port);
    (void)told(port);
    try_storm(&capability, &line, (struct limit){20'000, 200}, port);
}
