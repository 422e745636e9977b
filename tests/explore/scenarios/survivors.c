// SPDX-License-Identifier: MIT
//
// What survivors see of an account that ends on another CPU while they use what it pays for: a call, a
// reply, a message that waits for room, a pin. (tests/unit/test_kernel_survivors.c has the whole of a
// request, on one CPU.)
#include "dma.h"
#include "frame.h"
#include "harness.h"

static struct actor *ender, *user, *third;
static uint64_t account, gift, machine;
static struct ends ends;

// The account pays for both ends of a channel, and for nothing else.
static void payer_of_a_channel(uint64_t overflow)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    third = spawn_thread_on(1, user, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    account = grant(ender, world.boss, made);
    uint64_t payer = grant(user, world.boss, made);
    struct outcome out =
        CALL(user, CHANNEL_CREATE, payer, payer, ABI_CHANNEL_SHAPE(1, 64, 1, 1), overflow);
    EXPECT_STATUS(out.status, OK);
    ends = (struct ends){out.value[0], out.value[1]};
    gift = MUST(user, EVENT_CREATE, user->account);
    STEP(ender, OBJECT_DESTROY, account);
}

static bool is_end(status_t status) // of a channel
{
    return status == STATUS_GONE || status == STATUS_PEER_CLOSED;
}

static void expect_the_end(void)
{
    EXPLORE_CHECK(status_of(ender, 0) == STATUS_OK);
    EXPLORE_CHECK(object_behind(ender, account)->state == ACCOUNT_DEAD);
}

// ---- the payer of a channel, beside a call through it

static void payer_against_call(void)
{
    payer_of_a_channel(OVERFLOW_REJECT);
    set_handles(user, 1, &gift);
    STEP(user, CHANNEL_CALL, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(8, 1), 1), ABI_DEADLINE_NEVER);
    runs(ender);
    runs(user);
}
static void called_for_nothing(void)
{
    expect_the_end();
    EXPLORE_CHECK(is_end(status_of(user, 0)));
    // Its handle is back, and the room for the reply's.
    EXPLORE_CHECK(is_live(user, gift) && user->process->handles_reserved == 0);
    seen(status_of(user, 0));
}
// IPC-23, IPC-41
SCENARIO(payer_against_call, .canary = "O2", .setup = payer_against_call,
         .finish = called_for_nothing,
         .finer = "the account ends one end after the other: PEER_CLOSED in between");

// ---- beside the reply

static void payer_against_reply(void)
{
    payer_of_a_channel(OVERFLOW_REJECT);
    EXPECT_CALL(BLOCKED, user, CHANNEL_CALL, ends.end0, MSG_WITH_REPLY_HANDLES(MSG(8, 0), 1),
                ABI_DEADLINE_NEVER);
    uint64_t token = CALL(third, CHANNEL_RECEIVE, ends.end1, 0).value[1];
    set_handles(third, 1, &gift);
    STEP(third, CHANNEL_REPLY, ends.end1, token, MSG(4, 1));
    runs(ender);
    runs(third);
}
static void answered_or_told(void)
{
    status_t replied = status_of(third, 0), woken = woken_with(user);
    expect_the_end();
    // The caller has the answer if, and only if, the server was told so.
    EXPLORE_CHECK((replied == STATUS_OK) == (woken == STATUS_OK));
    EXPLORE_CHECK(woken == STATUS_OK || is_end(woken));
    EXPLORE_CHECK(replied == STATUS_OK || replied == STATUS_GONE || replied == STATUS_CANCELLED);
    EXPLORE_CHECK(is_live(user, woken == STATUS_OK ? handle_of(user, 0) : gift));
    EXPLORE_CHECK(user->process->handles_reserved == 0);
    seen(10 * replied + woken);
}
// IPC-38, IPC-41
SCENARIO(payer_against_reply, .canary = "O3", .setup = payer_against_reply,
         .finish = answered_or_told);

// ---- beside a sender that waits for room, which there is just then

static void payer_against_a_waiting_sender(void)
{
    payer_of_a_channel(OVERFLOW_BLOCK);
    MUST(user, CHANNEL_SEND, ends.end0, MSG(4, 0), 0);
    set_handles(user, 1, &gift);
    EXPECT_CALL(BLOCKED, user, CHANNEL_SEND, ends.end0, MSG(8, 1), ABI_DEADLINE_NEVER);
    STEP(third, CHANNEL_RECEIVE, ends.end1, 0);
    runs(ender);
    runs(third);
}
static void sent_or_told(void)
{
    status_t received = status_of(third, 0), woken = woken_with(user);
    expect_the_end();
    EXPLORE_CHECK(received == STATUS_OK || is_end(received));
    EXPLORE_CHECK(woken == STATUS_OK || is_end(woken));
    EXPLORE_CHECK(woken != STATUS_OK || received == STATUS_OK); // there was room
    // Sent, it went with the queue; else it is back under its old value.
    EXPLORE_CHECK((woken == STATUS_OK) != is_live(user, gift));
    seen(10 * received + woken);
}
// IPC-23, IPC-32
SCENARIO(payer_against_a_waiting_sender, .canary = "I4 sender",
         .setup = payer_against_a_waiting_sender, .finish = sent_or_told);

// ---- the owner of memory, beside a pin that pays for it

static void owner_against_pin(void)
{
    begin_world(2);
    uint64_t own = new_account(400, 200);
    ender = spawn_on(0, own, 10);
    user = spawn_on(1, own, 10);
    uint64_t made = MUST(world.boss, ACCOUNT_CREATE, world.root_account, 40, 20);
    account = grant(ender, world.boss, made);
    uint64_t memory = MUST(user, VMO_CREATE, grant(user, world.boss, made), PAGE_SIZE, 0);
    machine = grant(user, world.boss, world.machine);
    uint64_t space = MUST(user, MACHINE_DMA_SPACE, machine, user->account, 7);
    STEP(ender, OBJECT_DESTROY, account);
    STEP(user, PIN_CREATE, space, user->account, memory, 0, PAGE_SIZE, DMA_BOTH);
    runs(ender);
    runs(user);
}
static void pinned_or_gone(void)
{
    status_t status = status_of(user, 0);
    expect_the_end();
    EXPLORE_CHECK(status == STATUS_OK || status == STATUS_GONE);
    if (status == STATUS_OK) {
        const struct pin *pin = (struct pin *)(void *)object_behind(user, value_of(user, 0, 0));
        const struct frame *frame = frame_of(vmo_page(pin->vmo, 0));
        EXPLORE_CHECK(frame->state == FRAME_USER && frame->pins == 1);
    }
    seen(status);
}
// MEM-16, MEM-17
SCENARIO(owner_against_pin, .canary = "M4", .setup = owner_against_pin, .finish = pinned_or_gone);
