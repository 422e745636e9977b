// SPDX-License-Identifier: MIT
//
// What the ABI's documentation (abi/abi.toml, docs/) promises, as a small program of its own. It
// shares no code with the kernel but the ABI's header: no slots, no generations, no bounded steps,
// no queues of nodes. A call is one step; what it causes in the background has happened when the
// machine rests, and that is when the two are compared.
//
// Handles are registers of actors (worlds.h). Where the documentation leaves open which of two
// errors is answered, the model says: handles first, in the order of the arguments, for each
// BAD_HANDLE, WRONG_TYPE, NO_RIGHT, GONE; then values that are never good (INVALID); then the
// state; then who pays (pages before objects). Only the mint of a line pays first: whether the
// controller has it, and who has it already, is asked last. Of a message: its size, then room for
// it, then its handles. Of a reservation that moves: what the child gives, then what the parent
// gives.
#pragma once

#include "describe.h"
#include "worlds.h"

constexpr unsigned M_ACTORS = 3, M_OBJECTS = 28, M_CARRIED = 2, M_DEPTH = 2, M_CALLS = 2;
constexpr unsigned M_PORTS = 64; // ports that are read and written
constexpr unsigned M_MAPPINGS = 4, M_BOUND = 4, M_DEADLINES = 8;

// The values of a description, by the meaning that the ABI gives them.
enum m_phase : uint8_t { M_EMPTY, M_USABLE, M_HELD }; // HELD: in what was not sent or taken yet
enum m_wait : uint8_t {
    M_RUNS,
    M_SLEEPS,
    M_SIGNALS,
    M_MESSAGE,
    M_PORT,
    M_OPERATION,
    M_SEND,
    M_REPLY
};
enum m_call_phase : uint8_t { M_NO_CALL, M_QUEUED, M_TAKEN, M_ABANDONED };
// ENDING: a VMO, before what it waits for is looked at; never described.
enum m_life : uint8_t { M_FREE, M_LIVE, M_DYING, M_LAST_EVENT, M_ENDING };

struct m_handle {
    enum m_phase phase;
    uint8_t type;
    uint8_t object; // NOTHING: it is gone
    uint32_t rights;
};

struct m_list {
    uint8_t count, at[8];
};

struct m_message {
    uint8_t bytes, tag, handles;
    uint8_t call; // NOTHING: none waits for an answer
    struct m_handle carried[M_CARRIED];
};

struct m_call {
    enum m_call_phase phase;
    uint8_t caller, reply_handles;
    uint32_t serial; // what a token stands for
};

constexpr unsigned M_CPUS = 2;

struct m_mapping {
    uint8_t vmo, slice; // NOTHING: made through none
    uint64_t page, pages, offset, protection;
    uint32_t rights; // of the handle that it was made with
    bool foreign;    // paid by its own account
};

struct m_object {
    enum m_life life;
    uint8_t type, state, payer, owner; // owner: the actor of an account, address space, thread
    uint32_t signals, handles;
    uint8_t port; // NOTHING: not bound
    bool pending;
    uint64_t key;
    uint32_t mask;
    struct m_list waiters;
    struct { // account
        uint64_t limit, used, children;
    } pages, objects, contiguous;
    uint8_t parent;
    struct m_list children;
    uint64_t share[M_CPUS], shares_below[M_CPUS]; // of each CPU, of 2^32
    bool budget_page;
    uint8_t peer; // channel
    uint32_t message_bytes, message_handles, depth, calls_max;
    uint8_t ceiling, reach; // of those who wait for this end, and for its peer
    uint8_t queued;
    struct m_message queue[M_DEPTH];
    struct m_call calls[M_CALLS];
    struct m_list callers;
    struct m_list senders; // that wait for room, in their order
    uint64_t overflow;
    uint32_t lost;                // not told yet
    struct m_list bound, telling; // port
    uint64_t size;                // VMO, in pages
    uint64_t block;               // contiguous pages that it takes
    uint8_t holder;               // of those: the account
    uint8_t source, whole;        // of a slice; NOTHING: it is none
    uint64_t first;               // page of the whole
    bool orphan;
    uint8_t mapped;
    uint8_t mapping_count; // address space
    struct m_mapping mappings[M_MAPPINGS];
    bool armed; // timer
    uint64_t when;
    uint64_t device;               // DMA space, pin
    uint8_t pinned;                // VMO
    uint8_t vmo;                   // pin
    struct m_list quarantined;     // account: pins
    uint64_t line, trigger, count; // interrupt
    uint64_t first_port, ports;    // I/O range
    uint8_t aspace, exceptions;    // process
    struct m_list threads;         // process; those of actors are not objects of the model
    uint8_t process;               // address space, thread; NOTHING: an actor's
    uint64_t tables, buffer;       // address space: pages that it pays for; page of the buffer
};

struct m_outcome {
    bool over;
    uint8_t status;
    uint64_t value[4];
    uint8_t compared;  // bit i: value[i] is predicted
    uint8_t tag;       // first byte of a message that came; 0: none
    uint8_t inspected; // type of an object whose inspection came; 0: none
    uint32_t signals, handles;
};

struct m_actor {
    bool dead;
    uint8_t priority;
    uint8_t account, aspace, thread;
    struct m_handle registers[REGISTERS];
    uint8_t token_end, token_slot;
    uint32_t token_serial;
    enum m_wait waits;
    uint8_t waits_on, call_slot; // call_slot: NOTHING: it waits for room
    uint32_t wait_mask;
    uint64_t reply_flag;                 // MSG_REPLY_FAILED for what comes next from a port
    uint8_t held[M_CARRIED], held_count; // registers of what was not sent or taken yet
    uint64_t sending;                    // a msginfo, while it waits for room
    struct m_outcome outcome;
};

struct m_deadline {
    uint64_t when;
    uint8_t timer, actor; // one of them is NOTHING
};

extern struct model {
    uint64_t now;
    uint8_t actor_count;
    struct m_actor actors[M_ACTORS];
    struct m_object objects[M_OBJECTS];
    struct m_deadline deadlines[M_DEADLINES]; // in the order in which they pass
    uint8_t deadline_count;
    uint32_t serial;
    bool asserted[64];      // lines
    uint8_t ports[M_PORTS]; // what the devices' ports hold, from 0 on
} model;

// ---- for perform.c

// The actor's account has all of a CPU, from outside.
void model_whole_cpu(uint8_t actor, uint32_t cpu);

// One more actor. The figures of its account are those of the kernel's.
void model_actor(uint8_t priority, uint64_t pages_limit, uint64_t pages_used,
                 uint64_t objects_limit, uint64_t objects_used, uint64_t contiguous,
                 const uint32_t handles[3]);
void model_grant(uint8_t from, uint8_t from_register, uint8_t to, uint8_t to_register);
struct m_outcome *model_call(const struct action *action);
void model_time(uint64_t ns);
void model_machine(uint8_t actor, uint8_t at, uint32_t handles);
void model_line(uint64_t line, uint64_t what);
bool model_access(uint8_t actor, uint64_t address, uint64_t kind);
void model_describe(struct description *out);
uint8_t model_empty_register(uint8_t actor); // the first one; NOTHING: none

// ---- between the parts of the model

static inline struct m_object *object_of(uint8_t object)
{
    return &model.objects[object];
}

void list_add(struct m_list *list, uint8_t item);
bool list_take_out(struct m_list *list, uint8_t item);

// A handle argument: the object, or why not. `type` 0: any.
uint8_t handle_argument(const struct action *action, unsigned index, uint8_t type, uint32_t rights,
                        uint8_t *object);
const struct m_handle *handle_in(const struct action *action, unsigned index);
uint64_t value_argument(const struct action *action, unsigned index);

uint8_t charge(uint8_t account, uint64_t pages, uint64_t objects);
void uncharge(uint8_t account, uint64_t pages, uint64_t objects);
void hold_above(uint8_t vmo);
uint8_t object_make(uint8_t type, uint8_t payer); // paid for
void object_free(uint8_t object);                 // and what it costs its payer
void give_handle(struct m_outcome *out, unsigned index, uint8_t actor, uint8_t object,
                 uint32_t rights);
void handle_drop(struct m_handle *handle);
void handle_dropped(uint8_t object); // one less
void object_end(uint8_t object);
void begin_end(uint8_t object); // its handles and waiters hear of it; the rest follows
void account_take_down(uint8_t account);
void actor_end(uint8_t actor);

void wait_begin(uint8_t actor, enum m_wait kind, uint8_t object, uint64_t deadline);
struct m_outcome *wait_end(uint8_t actor, uint8_t status);
void wait_give_up(uint8_t actor, uint8_t status); // for another reason than what it waits for
void raise_signals(uint8_t object, uint32_t signals);
void deadline_add(uint64_t when, uint8_t timer, uint8_t actor);
void deadline_remove(uint8_t timer, uint8_t actor);
void deadlines_pass(void);

// model_channels.c
void channel_end(uint8_t object);
void send_abandon(uint8_t actor); // a send or a call
void first_message(uint8_t end, uint8_t actor, struct m_outcome *out, unsigned value);
uint8_t call_reply(const struct action *action);
uint8_t call_channels(const struct action *action, struct m_outcome *out);

// model_ports.c
void port_tell(uint8_t object);
void port_end(uint8_t object);
void last_event(uint8_t object);
uint8_t call_ports(const struct action *action, struct m_outcome *out);

// model_devices.c
uint8_t call_devices(const struct action *action, struct m_outcome *out);
void pin_end(uint8_t object); // not released: into quarantine
void pin_let_go(uint8_t object);

// model_processes.c
uint8_t call_processes(const struct action *action, struct m_outcome *out);
void process_end(uint8_t process);
void thread_end(uint8_t thread);
void finished_drop(uint8_t object); // the last handle of what may have ended already

// model_memory.c
uint64_t tables_missing(uint8_t aspace); // that a mapping needs: all of these are near each other
bool buffer_fits(uint8_t aspace, uint64_t page);
void vmo_maybe_free(uint8_t vmo);
uint8_t call_memory(const struct action *action, struct m_outcome *out);
void vmo_end(uint8_t object, bool revoked);
void aspace_end(uint8_t object);
