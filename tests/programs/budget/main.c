// SPDX-License-Identifier: MIT
//
// Shares of CPUs as programs have them: an account of many threads that never rest gets the part of
// its CPU that it has, to the microsecond, whatever its priority, and what runs below it the rest.
// For virtual time (deterministic instruction counting).
#include <kit/kit.h>

const char *const program_name = "budget";

constexpr uint64_t LOW = 10, HIGH = 40;
constexpr uint64_t WATCHED_NS = 200 * NS_PER_MS;

enum mode : uint64_t { MODE_SPIN, MODE_YIELD, MODE_SLEEP };

// ---- children: words[0] is the mode, words[1] how many threads

static void busy(void *argument)
{
    (void)argument;
    for (volatile uint64_t n = 0;; n = n + 1) {
        if (child_start.words[0] == MODE_YIELD)
            thread_yield();
        if (child_start.words[0] == MODE_SLEEP && n % 2000 == 0)
            (void)thread_sleep(now_ns() + 20'000);
    }
}

void child_main(void)
{
    thread_t thread;
    for (uint64_t i = 1; i < child_start.words[1]; i++)
        must(thread_spawn(busy, nullptr, HIGH, &thread), "thread_spawn");
    busy(nullptr);
}

// ---- the watcher

static uint64_t ran_ns(const struct child *child)
{
    struct abi_inspect found;
    inspect(child->process.value, &found);
    return found.process.cpu_ns;
}

static struct abi_account_cpu share_of(const struct child *child)
{
    uint64_t bytes;
    struct abi_account_cpu share;
    must(account_cpu(child->account, 0, &bytes), "account_cpu");
    memcpy(&share, message_buffer()->data, sizeof(share));
    return share;
}

static struct child rest;

// At both ends of the time that is watched a budget may be used or not, beside the tolerance.
static void watch(const char *what, enum mode mode, uint64_t threads, uint64_t budget_ns,
                  uint64_t period_ns, uint64_t tolerance_ns)
{
    const struct child_spec spec = {.name = "limited",
                                    .pages = 2048,
                                    .objects = 600,
                                    .priority = HIGH,
                                    .no_exceptions = true, // it has room for fewer threads
                                    .budget_ns = budget_ns,
                                    .period_ns = period_ns,
                                    .words = {mode, threads}};
    struct child limited;
    must(child_create(&limited, &spec), "starting what is limited");
    // Its threads begin on its budget, too.
    (void)thread_sleep(now_ns() + 3 * period_ns + threads * 200'000 * (period_ns / budget_ns));
    uint64_t ran = ran_ns(&limited), below = ran_ns(&rest), began = now_ns();
    (void)thread_sleep(began + WATCHED_NS);
    uint64_t time = now_ns() - began;
    ran = ran_ns(&limited) - ran;
    below = ran_ns(&rest) - below;
    const struct abi_account_cpu share = share_of(&limited);
    uint64_t fair = time * budget_ns / period_ns;
    bool right = ran <= fair + tolerance_ns + budget_ns && ran + tolerance_ns + budget_ns >= fair &&
                 below >= (time - fair) / 100 * 97 && share.throttles > 0;
    uint64_t now = now_ns();
    child_end(&limited);
    uint64_t took = now_ns() - now;
    if (!right)
        failed("%s: of %lu ns it got %lu, not %lu; what is below it %lu", what, time, ran, fair,
               below);
    else
        say("ok %s: %lu of %lu us, fair were %lu; below it %lu; %lu throttled, most %lu us; ended "
            "in %lu us",
            what, ran / 1000, time / 1000, fair / 1000, below / 1000, share.throttles,
            share.high_ns / 1000, took / 1000);
}

void root_main(void)
{
    const struct child_spec spec = {
        .name = "rest", .pages = 256, .objects = 64, .priority = LOW, .words = {MODE_SPIN, 1}};
    must(child_create(&rest, &spec), "starting the rest");
    struct figures before, after;
    watch("a fifth", MODE_SPIN, 1, 2 * NS_PER_MS, 10 * NS_PER_MS, 100'000);
    figures_take(&before); // what grows when it is used first has grown
    watch("a fifth of long periods", MODE_SPIN, 1, 20 * NS_PER_MS, 100 * NS_PER_MS, 100'000);
    watch("a fifth of short periods", MODE_SPIN, 1, NS_PER_MS / 5, NS_PER_MS, 400'000);
    watch("a twentieth, the least", MODE_SPIN, 1, ABI_BUDGET_MIN_NS, NS_PER_MS, 600'000);
    watch("a fifth for 100 threads", MODE_SPIN, 100, 2 * NS_PER_MS, 10 * NS_PER_MS, 4'000'000);
    watch("a fifth for 20 threads", MODE_SPIN, 20, 2 * NS_PER_MS, 10 * NS_PER_MS, 2'000'000);
    watch("a fifth, yielding", MODE_YIELD, 20, 2 * NS_PER_MS, 10 * NS_PER_MS, 2'000'000);
    watch("a fifth, going to sleep and waking", MODE_SLEEP, 20, 2 * NS_PER_MS, 10 * NS_PER_MS,
          2'000'000);
    figures_take(&after);
    if (!figures_equal(&before, &after)) {
        failed("figures differ");
        figures_say("before", &before);
        figures_say("after", &after);
    }
    child_end(&rest);
}
