// SPDX-License-Identifier: MIT
//
// Small worlds: a booted kernel with a few actors, each with a few registers for handles, and a
// list of actions. The search makes every action in every state that it reaches, breadth first.
// After each of them the kernel is compared with a model (model.h) that was written from the ABI's
// documentation: the status, the results, who was woken with what, and a description of all that
// exists, which both give in the same words (describe.h). Then the invariants are checked.
//
// A world is one file, world_NAME.c. Its setup makes actors and performs actions that are not
// part of the search; its `actions` offers those that are.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/layout.h>

#include "memory.h"

constexpr unsigned REGISTERS = 8;
constexpr uint8_t NOTHING = 0xff;
constexpr uint64_t DEVICE = 7;       // the only one that pins are for
constexpr uint64_t TIME_UNIT = 1000; // nanoseconds; all deadlines are multiples of it

// ---- actions

enum operand_kind : uint8_t {
    OPERAND_VALUE,
    OPERAND_REGISTER, // the handle in a register of the actor's; an empty one: a closed handle
    OPERAND_AFTER,    // a deadline so many units from now
    OPERAND_TOKEN,    // of the last call that the actor took
};

struct operand {
    enum operand_kind kind;
    uint64_t value;
};
#define V(value_) ((struct operand){OPERAND_VALUE, (value_)})
#define R(register_) ((struct operand){OPERAND_REGISTER, (register_)})
#define AFTER(units) ((struct operand){OPERAND_AFTER, (units)})
#define TOKEN ((struct operand){OPERAND_TOKEN, 0})
#define NEVER V(ABI_DEADLINE_NEVER)
#define NOW V(0)

enum action_kind : uint8_t {
    ACTION_CALL,
    ACTION_TIME,   // argument[0] units pass
    ACTION_ACCESS, // user code touches argument[0] as argument[1] (enum host_access)
    ACTION_LINE,   // a device on line argument[0]: an edge (0), asserted (1), no longer (2)
    ACTION_GRANT,  // setup only: argument[0] of the actor's for register argument[2] of actor [1]
};

struct action {
    enum action_kind kind;
    uint8_t actor;
    uint16_t number;
    struct operand argument[6];
    uint8_t new_handles; // results that are handles: they go into the first empty registers
    uint8_t takes;       // handles that a message may bring into empty registers
    uint8_t sends;       // handles that go along with the message
    uint8_t sent[2];     // the registers that they come from
};
#define CALLS(actor_, name, ...)                                                 \
    (struct action)                                                              \
    {                                                                            \
        .actor = (actor_), .number = SYSCALL_##name, .argument = { __VA_ARGS__ } \
    }

// ---- worlds

struct world_definition {
    const char *name;
    const char *about;
    uint64_t contiguous; // pages of contiguous memory that each actor's account has
    const char *bugs[5]; // planted ones (SEEDED_BUG): the search must find each
    void (*setup)(void);
    void (*actions)(void); // calls offer(); `whole` is false in the short form
};
#define WORLD(identifier, ...)                                                                    \
    static const struct world_definition world_##identifier = {.name = #identifier, __VA_ARGS__}; \
    [[gnu::used,                                                                                  \
      gnu::section(                                                                               \
          "worlds")]] static const struct world_definition *const world_pointer_##identifier =    \
        &world_##identifier

extern bool whole; // the long form

// In setup: a process with one thread, in an account of its own that has room for so many more
// pages and objects. Registers 0, 1 and 2 hold its account, address space and thread.
enum { ACCOUNT, ASPACE, THREAD, FIRST };
extern uint8_t register_count; // of each actor; set by the setup
uint8_t make_actor(uint64_t pages, uint64_t objects);

// In setup: the actor's account gets all of a CPU, at the cost of one of its pages.
void give_cpu(uint8_t actor, uint32_t cpu);
extern uint8_t actor_priority;       // of those that are made next
extern uint8_t actor_cpu;            // the same
extern unsigned world_cpus;          // before the world is made
uint8_t give_machine(uint8_t actor); // the register
void prepare(struct action action);  // performs it, compared with the model
void offer(struct action action);    // in actions

// ---- performing (perform.c)

extern const struct world_definition *here;

void world_make(const struct world_definition *definition);

// Whether there are empty registers for what it may bring, and its actor can make a call.
bool action_possible(const struct action *action);

// Performs it in the kernel and in the model, and compares (memory.h: search_fail).
void action_perform(const struct action *action);

// Two calls of actors on two CPUs, their entries interleaved as the seed says: the model must make
// them one after the other, in one of the two orders.
void pair_perform(const struct action *one, const struct action *two, uint64_t seed);

// What came of it: its status, and where results were kept.
enum kept_from : uint8_t { KEPT_RESULT, KEPT_MESSAGE, KEPT_TOKEN };
struct done {
    uint8_t status, kept_count;
    struct kept {
        uint8_t actor, at;
        enum kept_from from;
        uint8_t index;
    } kept[4];
};
extern struct done last_done;

// As lines of a unit test.
void action_print(const struct action *action, const struct done *done);
void pair_print(const struct action *one, const struct action *two, uint64_t seed,
                const struct done *done);
void setup_print(void);
