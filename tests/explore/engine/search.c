// SPDX-License-Identifier: MIT
//
// The tree of decisions, depth first. A node is an event: which thread went on, with which
// outcome. What is to be tried at a node besides, depend.c finds out.
//
// Or at random: threads have priorities, the highest of those that can goes on; at a few events,
// chosen before, the running one's drops below all others (Burckhardt et al., A Randomized
// Scheduler with Probabilistic Guarantees of Finding Bugs, 2010). Half of the loads read the
// newest store.
#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node path[EVENTS_MAX];
unsigned path_length, point_count;
uint32_t sleeping[THREADS];
bool replaying;
const struct step *guide;
unsigned guide_length;
static unsigned guided; // how far

unsigned search_event_count(void)
{
    return event_count;
}

unsigned search_point_count(void)
{
    return point_count;
}

// ---- chance

constexpr unsigned CHANGES_MAX = 16;
static uint64_t dice;
static unsigned priorities[THREADS], changes[CHANGES_MAX], longest;

static unsigned roll(unsigned below)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 16) % below;
}

static unsigned change_count(void)
{
    return config.depth > CHANGES_MAX ? CHANGES_MAX : config.depth;
}

static void roll_priorities(void)
{
    for (unsigned t = 0; t < thread_count; t++) {
        unsigned other = roll(t + 1);
        priorities[t] = priorities[other];
        priorities[other] = CHANGES_MAX + t;
    }
    if (event_count > longest)
        longest = event_count;
    for (unsigned i = 0; i < change_count(); i++)
        changes[i] = roll(longest ? longest : 64);
}

static unsigned highest(uint8_t available)
{
    for (unsigned i = 0; event_count > 0 && i < change_count(); i++)
        if (changes[i] == event_count)
            priorities[path[event_count - 1].thread] = i;
    unsigned best = nth(available, 0);
    for (unsigned t = 0; t < thread_count; t++)
        if (available & bit(t) && priorities[t] > priorities[best])
            best = t;
    return best;
}

// ---- beginnings

void search_begin(void)
{
    if (config.mode == EXPLORE_RANDOM && !replaying) {
        roll_priorities();
        path_length = 0;
    }
    depend_begin();
    point_count = guided = 0;
    memset(sleeping, 0, sizeof sleeping);
}

void search_reset(void)
{
    dice = config.seed * 0x9e37'79b97f4a7c15ull + 1;
    longest = 0;
    path_length = 0;
}

// ---- which thread goes on

static uint32_t mark_of(const struct node *node, unsigned thread)
{
    return node->sleep[thread] == ASLEEP ? 0 : node->sleep[thread];
}

static uint8_t enabled_now(void)
{
    uint8_t enabled = 0;
    for (unsigned t = 0; t < thread_count; t++)
        if (threads[t].state == THREAD_READY && memory_enabled(t))
            enabled |= bit(t);
    return enabled;
}

// Whether another thread than the one that could have gone on does.
static bool is_preemption(unsigned at)
{
    unsigned before = at > 0 ? path[at - 1].thread : THREADS;
    return at > 0 && path[at].thread != before && path[at].enabled & bit(before);
}

static void node_open(struct node *node)
{
    *node = (struct node){.enabled = enabled_now()};
    memcpy(node->sleep, sleeping, sizeof sleeping);
    for (unsigned t = 0; t < thread_count; t++)
        if (node->enabled & bit(t) &&
            (sleeping[t] == 0 || (sleeping[t] != ASLEEP && memory_choices(t, sleeping[t]) > 0)))
            node->available |= bit(t);
    if (event_count == 0)
        return;
    unsigned before = event_count - 1;
    node->preemptions = (uint16_t)(path[before].preemptions + is_preemption(before));
    if (config.bounded && node->preemptions >= config.bound &&
        node->enabled & bit(path[before].thread))
        node->available &= bit(path[before].thread);
}

// Sleeping loads for which a store has come. Without weak memory, what another thread does next may
// leave no order of all events in which they read it: then they would sleep on, and what their threads
// do after that be seen by nobody. So there they are tried at once.
static uint8_t woken(const struct node *node)
{
    uint8_t found = 0;
    for (unsigned t = 0; t < thread_count && config.sequential; t++)
        if (node->available & bit(t) && node->sleep[t] != 0)
            found |= bit(t);
    return found;
}

static bool node_choose(struct node *node)
{
    if (!node->available)
        return false;
    uint8_t first = woken(node);
    unsigned thread = first ? nth(first, 0)
                      : current < THREADS && node->available & bit(current)
                          ? current
                          : nth(node->available, 0);
    if (config.mode == EXPLORE_RANDOM)
        thread = highest(node->available);
    node->thread = (uint8_t)thread;
    node->backtrack = config.mode == EXPLORE_NAIVE ? node->enabled : first | bit(node->thread);
    return true;
}

// As the guide says, while it does.
static void node_follow(struct node *node)
{
    while (guided < guide_length && !(node->enabled & bit(guide[guided].thread)))
        guided++;
    if (guided == guide_length)
        return;
    node->thread = guide[guided].thread;
    unsigned choices = memory_choices(node->thread, 0);
    node->choice = guide[guided].choice < choices ? guide[guided].choice : 0;
    guided++;
}

static void node_replay(struct node *node)
{
    unsigned thread = node->thread, wanted = node->choice;
    node_open(node);
    node->thread = (uint8_t)thread;
    node->choice = (uint16_t)wanted;
    if (!(node->enabled & bit(thread)))
        explore_fail("schedule", "thread %s cannot go on at event %u", threads[thread].name,
                     event_count);
}

unsigned search_pick(unsigned *choice, uint32_t *mark)
{
    if (event_count == EVENTS_MAX)
        explore_fail("livelock", "the execution goes on for %u events", EVENTS_MAX);
    struct node *node = &path[event_count];
    if (event_count >= path_length) {
        node_open(node);
        if (!node_choose(node))
            return THREADS;
        if (guide)
            node_follow(node);
        path_length = event_count + 1;
    } else if (replaying) {
        node_replay(node);
    } else if (node->enabled != enabled_now()) {
        explore_fail("engine", "the same decisions led elsewhere at event %u", event_count);
    }
    point_count += (node->enabled & (node->enabled - 1)) != 0;
    if (node->choices == 0) {
        node->choices = (uint16_t)memory_choices(node->thread, mark_of(node, node->thread));
        if (config.mode == EXPLORE_RANDOM && !replaying && node->choices)
            node->choice = (uint16_t)(roll(2) ? 0 : roll(node->choices));
        if (node->choices == 0)
            explore_fail("engine", "a thread has no outcome");
    }
    *choice = node->choice;
    *mark = mark_of(node, node->thread);
    return node->thread;
}

bool search_next(void)
{
    if (config.mode == EXPLORE_RANDOM)
        return true;
    for (unsigned d = path_length; d-- > 0;) {
        struct node *node = &path[d];
        path_length = d + 1;
        if (node->choice + 1u < node->choices) {
            node->choice++;
            return true;
        }
        node->done |= bit(node->thread);
        uint8_t left = node->backtrack & node->available & (uint8_t)~node->done;
        if (left) {
            node->thread = (uint8_t)nth(left, 0);
            node->choice = node->choices = 0;
            return true;
        }
    }
    return false;
}
