// SPDX-License-Identifier: MIT
//
// A program for each kind of failure that the engine itself reports, and a twin of it that does
// nothing wrong. Kinds that need the kernel (panic, lost, stale, break) have planted bugs in
// tests/explore/scenarios/.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "explore.h"

static _Atomic int flag;
static _Atomic uint64_t word;
static int plain, lock_a, lock_b;

#define THREAD(name) static void name([[maybe_unused]] void *argument)

THREAD(writes_plainly)
{
    plain = 1;
    atomic_store_explicit(&flag, 1, memory_order_release);
}
THREAD(reads_plainly)
{
    if (atomic_load_explicit(&flag, memory_order_relaxed)) // does not acquire
        EXPLORE_CHECK(plain == 1);
}
THREAD(reads_rightly)
{
    if (atomic_load_explicit(&flag, memory_order_acquire))
        EXPLORE_CHECK(plain == 1);
}

THREAD(stores)
{
    atomic_store_explicit(&word, 1, memory_order_relaxed);
    atomic_store_explicit(&flag, 1, memory_order_relaxed);
}
THREAD(believes)
{
    if (atomic_load_explicit(&flag, memory_order_acquire))
        EXPLORE_CHECK(atomic_load_explicit(&word, memory_order_relaxed) == 1);
}
THREAD(stores_rightly)
{
    atomic_store_explicit(&word, 1, memory_order_relaxed);
    atomic_store_explicit(&flag, 1, memory_order_release);
}

THREAD(locks_ab)
{
    explore_lock(&lock_a);
    explore_lock(&lock_b);
    explore_unlock(&lock_b);
    explore_unlock(&lock_a);
}
THREAD(locks_ba)
{
    explore_lock(&lock_b);
    explore_lock(&lock_a);
    explore_unlock(&lock_a);
    explore_unlock(&lock_b);
}

THREAD(waits)
{
    while (!atomic_load_explicit(&flag, memory_order_acquire))
        explore_relax();
}
THREAD(forgets)
{
    atomic_store_explicit(&word, 1, memory_order_relaxed);
}

// It does something in each turn, so that it is not seen as waiting.
THREAD(never_ends)
{
    while (!atomic_load_explicit(&flag, memory_order_relaxed))
        atomic_fetch_add_explicit(&word, 1, memory_order_relaxed);
}

THREAD(half)
{
    atomic_store_explicit((_Atomic uint32_t *)(void *)&word, 1, memory_order_relaxed);
}
THREAD(whole)
{
    (void)atomic_load_explicit(&word, memory_order_relaxed);
}

static char *page;
THREAD(follows_nothing)
{
    if (atomic_load_explicit(&flag, memory_order_relaxed))
        *page = 1;
}
THREAD(follows_nothing_never)
{
    if (atomic_load_explicit(&flag, memory_order_relaxed) == 2)
        *page = 1;
}

static const struct test {
    const char *kind;
    void (*wrong[2])(void *), (*right[2])(void *);
} tests[] = {
    {"race", {writes_plainly, reads_plainly}, {writes_plainly, reads_rightly}},
    {"check", {stores, believes}, {stores_rightly, believes}},
    {"deadlock", {locks_ab, locks_ba}, {locks_ab, locks_ab}},
    {"deadlock", {waits, forgets}, {waits, stores}},
    {"livelock", {never_ends, whole}, {whole, stores}},
    {"mixed size", {half, whole}, {half, half}},
    {"crash", {stores, follows_nothing}, {stores, follows_nothing_never}},
};

static void (*const *functions)(void *);

static void setup(void)
{
    flag = 0;
    word = 0;
    plain = 0;
    explore_thread("a", functions[0], nullptr);
    explore_thread("b", functions[1], nullptr);
}

static struct explore_result result;

static void explore(void (*const *what)(void *), const char *schedule)
{
    static const struct explore_scenario scenario = {"failure", setup, nullptr};
    const struct explore_config how = {.schedule = schedule};
    functions = what;
    explore_run(&scenario, &how, &result);
}

static bool check(const struct test *test)
{
    explore(test->right, nullptr);
    bool quiet = result.complete && !result.failed;
    explore(test->wrong, nullptr);
    bool found = result.failed && strcmp(result.kind, test->kind) == 0;
    printf("%s %-10s %s%s\n", quiet && found ? "ok  " : "FAIL", test->kind,
           found ? result.message : result.kind, quiet ? "" : ", and where nothing is wrong");
    return quiet && found;
}

int main(void)
{
    unsigned failures = 0;
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++)
        failures += !check(&tests[i]);
    printf("%zu kinds of failure, %u not reported\n", sizeof tests / sizeof tests[0], failures);
    return failures > 0;
}
