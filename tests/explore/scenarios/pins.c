// SPDX-License-Identifier: MIT
//
// Pins: made while the memory goes, released while they are closed, in quarantine while their
// driver and its account die and the device is reset, and the frames that are used again only then.
#include "harness.h"

constexpr uint64_t AT = 0x5000'0000, DEVICE = 0x18;

static struct actor *driver, *manager, *third;
static uint64_t machine, vmo, space, pin;

static void a_driver(unsigned cpus)
{
    begin_world(cpus);
    uint64_t account = new_account(300, 150);
    manager = spawn_on(0, account, 10);
    driver = spawn_on(1, account, 10);
    third = cpus > 2 ? spawn_thread_on(2, driver, 10) : nullptr;
    machine = grant(manager, world.boss, world.machine);
    uint64_t mint = grant(driver, world.boss, world.machine);
    space = MUST(driver, MACHINE_DMA_SPACE, mint, driver->account, DEVICE);
    vmo = MUST(driver, VMO_CREATE, driver->account, PAGE_SIZE, 0);
    MUST(driver, HANDLE_CLOSE, mint);
}

static void a_pin(unsigned cpus)
{
    a_driver(cpus);
    pin = MUST(driver, PIN_CREATE, space, driver->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
}

static void all_run(void)
{
    runs(manager);
    runs(driver);
    if (third)
        runs(third);
}

static void pin_against_destroy(void)
{
    a_driver(2);
    uint64_t shared = grant(manager, driver, vmo);
    STEP(driver, PIN_CREATE, space, driver->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    STEP(manager, OBJECT_DESTROY, shared);
    all_run();
}
static void pinned_or_gone(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK || status_of(driver, 0) == STATUS_GONE);
}
SCENARIO(pin_against_destroy, .canary = "O2", .setup = pin_against_destroy,
         .finish = pinned_or_gone);

static void pin_against_unmap_and_close(void)
{
    a_driver(3);
    MUST(driver, VM_MAP, driver->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    STEP(driver, PIN_CREATE, space, driver->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    STEP(third, VM_UNMAP, driver->own_aspace, AT);
    STEP(third, HANDLE_CLOSE, vmo);
    all_run();
}
SCENARIO(pin_against_unmap_and_close, .canary = "O3 close", .setup = pin_against_unmap_and_close,
         .finer = "GONE instead of BAD_HANDLE");

static void release_against_close(void)
{
    a_pin(3);
    STEP(driver, PIN_RELEASE, pin);
    STEP(driver, HANDLE_CLOSE, vmo);
    STEP(third, HANDLE_CLOSE, pin);
    all_run();
}
// Released first, it is; closed first, it goes into quarantine.
static void released_or_quarantined(void)
{
    status_t status = status_of(driver, 0);
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_BAD_HANDLE || status == STATUS_GONE);
    seen(status);
}
SCENARIO(release_against_close, .canary = "O2", .setup = release_against_close,
         .finish = released_or_quarantined, .finer = "GONE instead of BAD_HANDLE");

static void addresses_against_release(void)
{
    a_pin(3);
    STEP(driver, PIN_ADDRESSES, pin, 0);
    STEP(driver, PIN_SYNC, pin, 0, PAGE_SIZE, SYNC_CPU);
    STEP(third, PIN_RELEASE, pin);
    STEP(third, HANDLE_CLOSE, vmo);
    all_run();
}
static void known_or_gone(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK || status_of(driver, 1) == STATUS_GONE);
}
SCENARIO(addresses_against_release, .canary = "O2", .setup = addresses_against_release,
         .finish = known_or_gone);

// The frame is free when the device is quiet, and not before: it may be the manager's next page.
static void quiet_against_close(void)
{
    a_pin(2);
    STEP(driver, HANDLE_CLOSE, pin);
    STEP(driver, HANDLE_CLOSE, vmo);
    STEP(manager, MACHINE_DEVICE_QUIET, machine, DEVICE);
    STEP(manager, VMO_CREATE, manager->account, PAGE_SIZE, 0);
    all_run();
}
static void quiet_once(void)
{
    EXPLORE_CHECK(value_of(manager, 0, 0) <= 1 && status_of(manager, 1) == STATUS_OK);
    seen(value_of(manager, 0, 0));
}
SCENARIO(quiet_against_close, .canary = "M4", .setup = quiet_against_close, .finish = quiet_once);

static void two_quiets_against_close(void)
{
    a_pin(3);
    uint64_t second = grant(driver, manager, machine);
    STEP(driver, HANDLE_CLOSE, pin);
    STEP(manager, MACHINE_DEVICE_QUIET, machine, DEVICE);
    STEP(third, MACHINE_DEVICE_QUIET, second, DEVICE);
    all_run();
}
static void quiet_at_most_once(void)
{
    EXPLORE_CHECK(value_of(manager, 0, 0) + value_of(third, 0, 0) <= 1);
}
SCENARIO(two_quiets_against_close, .canary = "M7 quiet", .setup = two_quiets_against_close,
         .finish = quiet_at_most_once);

static uint64_t doomed;

// The driver pays with an account of its own, which ends under it.
static void a_pin_of_another_account(unsigned cpus)
{
    a_driver(cpus);
    doomed = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 20, 10);
    uint64_t payer = grant(driver, world.boss, doomed);
    pin = MUST(driver, PIN_CREATE, space, payer, vmo, 0, PAGE_SIZE, DMA_BOTH);
    doomed = grant(manager, world.boss, doomed);
}

static void quiet_against_account(void)
{
    a_pin_of_another_account(3);
    uint64_t second = grant(driver, manager, machine);
    STEP(manager, OBJECT_DESTROY, doomed);
    STEP(third, MACHINE_DEVICE_QUIET, second, DEVICE);
    all_run();
}
static void the_account_is_dead(void)
{
    const struct object *object = object_behind(manager, doomed);
    EXPLORE_CHECK(object && object->state == ACCOUNT_DEAD);
}
static void the_account_ended(void)
{
    the_account_is_dead();
    seen(value_of(third, 0, 0));
}
SCENARIO(quiet_against_account, .canary = "A3", .setup = quiet_against_account,
         .finish = the_account_ended);

static void release_against_account(void)
{
    a_pin_of_another_account(2);
    STEP(manager, OBJECT_DESTROY, doomed);
    STEP(driver, PIN_RELEASE, pin);
    STEP(driver, HANDLE_CLOSE, vmo);
    all_run();
}
static void ended_either_way(void)
{
    const struct object *object = object_behind(manager, doomed);
    EXPLORE_CHECK(object && object->state == ACCOUNT_DEAD);
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK || status_of(driver, 0) == STATUS_GONE);
}
SCENARIO(release_against_account, .canary = "A3", .setup = release_against_account,
         .finish = ended_either_way);

static void pin_against_account(void)
{
    a_pin_of_another_account(2);
    uint64_t payer = grant(driver, manager, doomed);
    STEP(manager, OBJECT_DESTROY, doomed);
    STEP(driver, PIN_CREATE, space, payer, vmo, 0, PAGE_SIZE, DMA_BOTH);
    all_run();
}
static void ended_with_or_without(void)
{
    const struct object *object = object_behind(manager, doomed);
    EXPLORE_CHECK(object && object->state == ACCOUNT_DEAD);
    seen(status_of(driver, 0));
}
SCENARIO(pin_against_account, .canary = "A3 adopt", .setup = pin_against_account,
         .finish = ended_with_or_without);

static void pin_against_killed_driver(void)
{
    a_pin(2);
    uint64_t process = grant(manager, driver, driver->own_process);
    STEP(manager, OBJECT_DESTROY, process);
    STEP(manager, MACHINE_DEVICE_QUIET, machine, DEVICE);
    STEP(driver, PIN_CREATE, space, driver->account, vmo, 0, PAGE_SIZE, DMA_TO_DEVICE);
    all_run();
}
static void the_driver_is_dead(void)
{
    EXPLORE_CHECK(is_dead(driver));
    seen(value_of(manager, 1, 0));
}
SCENARIO(pin_against_killed_driver, .canary = "machine: lost IPI",
         .setup = pin_against_killed_driver, .finish = the_driver_is_dead);

// ---- ledgers

// The device is quiet, and what it reached leaves the quarantine, while something else of the same
// account ends.
static void quiet_against_another_end(void)
{
    a_pin(2);
    uint64_t event = MUST(driver, EVENT_CREATE, driver->account);
    MUST(driver, HANDLE_CLOSE, pin);
    STEP(manager, MACHINE_DEVICE_QUIET, machine, DEVICE);
    STEP(driver, HANDLE_CLOSE, event);
    all_run();
}
static void quiet_and_closed(void)
{
    EXPLORE_CHECK(value_of(manager, 0, 0) == 1 && status_of(driver, 0) == STATUS_OK);
}
SCENARIO(quiet_against_another_end, .canary = "A2", .setup = quiet_against_another_end,
         .finish = quiet_and_closed);

// What is in quarantine moves up, out of an account of which something else ends, and into one that
// pays for something new.
static void a_pin_of_a_child(void)
{
    a_driver(2);
    uint64_t child = MUST(driver, ACCOUNT_CREATE, driver->account, 20, 10);
    pin = MUST(driver, PIN_CREATE, space, child, vmo, 0, PAGE_SIZE, DMA_BOTH);
    doomed = grant(manager, driver, child);
    STEP(manager, OBJECT_DESTROY, doomed);
}

static void quarantine_moves_out(void)
{
    a_pin_of_a_child();
    uint64_t event = MUST(driver, EVENT_CREATE, grant(driver, manager, doomed));
    MUST(driver, HANDLE_CLOSE, pin);
    STEP(driver, HANDLE_CLOSE, event);
    all_run();
}
static void quarantine_moves_in(void)
{
    a_pin_of_a_child();
    STEP(driver, EVENT_CREATE, driver->account);
    all_run();
}
static void ended_and_done(void)
{
    the_account_is_dead();
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK);
}
SCENARIO(quarantine_moves_out, .canary = "A3", .setup = quarantine_moves_out,
         .finish = ended_and_done);
SCENARIO(quarantine_moves_in, .canary = "A3", .setup = quarantine_moves_in,
         .finish = ended_and_done);

// Nobody asks a pin's account for a share to charge while it changes: on CPU 1, where some account has one,
// the pin ends, once more since its account ends on CPU 0, which takes it up.
static void quarantine_moves_past_shares(void)
{
    a_pin_of_another_account(2);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, new_account(2, 1), 1, 1'000'000,
         10'000'000);
    STEP(manager, OBJECT_DESTROY, doomed);
    STEP(driver, HANDLE_CLOSE, pin);
    all_run();
}
SCENARIO(quarantine_moves_past_shares, .canary = "A3", .setup = quarantine_moves_past_shares,
         .finish = ended_and_done);

static void two_releases(void)
{
    a_pin(3);
    uint64_t second = MUST(driver, PIN_CREATE, space, driver->account, vmo, 0, PAGE_SIZE, DMA_BOTH);
    STEP(driver, PIN_RELEASE, pin);
    STEP(third, PIN_RELEASE, second);
    all_run();
}
static void both_released(void)
{
    EXPLORE_CHECK(status_of(driver, 0) == STATUS_OK && status_of(third, 0) == STATUS_OK);
}
SCENARIO(two_releases, .canary = "A2", .setup = two_releases, .finish = both_released);
