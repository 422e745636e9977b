// SPDX-License-Identifier: MIT
//
// Processes: a handle table, an address space, an exception channel, and threads.
//
//   CREATED -> RUNNING -> EXITING -> DEAD    (DEAD: TERMINATED is raised)
//
// A handle is 32 bits of slot index and 32 bits of slot generation. Slots are reused first-in
// first-out, and one whose generation would wrap is retired, so a stale or forged value is an
// error, never another object (O2). Lookup takes no lock: it reads tag, word, tag.
//
// O3: a handle is live in one table, or in one message. While its sender waits for a queued
// call to be taken, it is HELD in its own slot: unusable, and restored in place if the call is
// withdrawn.
#pragma once

#include "account.h"
#include "syscall.h"

struct aspace;
struct thread;

constexpr unsigned HANDLES_PER_PAGE = 128;
constexpr unsigned HANDLE_PAGES_MAX = 16;
constexpr uint32_t HANDLES_MAX = HANDLES_PER_PAGE * HANDLE_PAGES_MAX;

enum handle_phase : uint8_t { HANDLE_FREE, HANDLE_LIVE, HANDLE_HELD };

struct handle_entry {
    _Atomic uint64_t tag;  // slot generation << 2 | enum handle_phase
    _Atomic uint64_t word; // object index | type << 24 | rights << 32
    _Atomic uint64_t object_generation;
    uint64_t next_free; // FREE: the slot that is reused after this one
};
static_assert(sizeof(struct handle_entry) * HANDLES_PER_PAGE == PAGE_SIZE);

// One handle on its way between tables.
struct handle_transfer {
    struct object *object;
    uint64_t generation;
    uint32_t rights;
    uint16_t slot; // where it came from
    enum abi_object type;
};
static_assert(HANDLES_MAX <= UINT16_MAX);

enum process_state : uint8_t {
    PROCESS_CREATED,
    PROCESS_RUNNING,
    PROCESS_EXITING,
    PROCESS_DEAD,
    PROCESS_STATES,
};

struct process {
    struct object object;
    struct aspace *aspace;
    struct object_ref exceptions; // a channel end, held by a handle of the process's own
    char name[16];
    uint64_t exit_code;
    uint32_t close_cursor; // of the teardown

    struct spinlock table_lock;
    struct list threads GUARDED_BY(&table_lock);
    uint32_t thread_count GUARDED_BY(&table_lock); // listed, or being made
    bool ending GUARDED_BY(&table_lock);           // no new threads and handles
    uint8_t handle_pages GUARDED_BY(&table_lock);
    uint8_t pages_paid GUARDED_BY(&table_lock);    // those, and one that what is reserved needs
    uint32_t handles_used GUARDED_BY(&table_lock); // live and held
    uint32_t handles_reserved GUARDED_BY(&table_lock);
    uint32_t handles_retired GUARDED_BY(&table_lock);
    uint32_t free_head GUARDED_BY(&table_lock), free_tail GUARDED_BY(&table_lock);
    // Set once, freed when the process is dead.
    _Atomic(struct handle_entry *) pages[HANDLE_PAGES_MAX];
    uint64_t ended_cpu_ns GUARDED_BY(&table_lock); // of threads that ended
};
OBJECT_BODY(process);

static inline struct process *process_of(struct object *object)
{
    return (struct process *)(void *)object;
}

// An empty process and its address space, charged to the account; neither is published.
[[nodiscard]] status_t process_create(struct object_ref account, const char name[16],
                                      struct process **out);

// Counts a thread that is being made, so that the process does not end before the thread is
// there, or is given up. false: the process ends already.
[[nodiscard]] bool process_thread_expect(struct object_ref process);
void process_thread_added(struct process *process, struct thread *thread);
void process_thread_not_added(struct process *process);
void process_thread_gone(struct process *process, struct thread *thread);

// Whether its end has begun.
bool process_ends(struct process *process);

// Begins the end of the process: all threads stop, handles and mappings go.
void process_kill(struct object_ref process, uint64_t exit_code);

enum step process_teardown(struct object *object);
void process_inspect(struct object *object, struct abi_inspect *out);

// ---- handle tables

// Takes room for `count` handles, growing the table at the process's charge; NO_HANDLES.
[[nodiscard]] status_t handles_reserve(struct process *process, uint32_t count);
void handles_unreserve(struct process *process, uint32_t count);

// Installs a new handle in reserved room; cannot fail. handle_install_reserved counts it with
// the object; handle_place moves one that is counted already. handle_publish is the end of making
// an object: it may be torn down by another CPU at once, and then the handle answers GONE.
uint64_t handle_publish(struct process *process, struct object *object, uint32_t rights);
uint64_t handle_install_reserved(struct process *process, struct object_ref object,
                                 enum abi_object type, uint32_t rights);
uint64_t handle_place(struct process *process, const struct handle_transfer *transfer);

// Takes the handles of a message out of a table, all or none. They are HELD until each is
// committed (the slot is free) or restored. `except0/1` may not be among them (INVALID).
[[nodiscard]] status_t handles_hold(struct process *process, const uint64_t *values, uint32_t count,
                                    const struct object *except0, const struct object *except1,
                                    struct handle_transfer *out);
void handles_commit(struct process *process, const uint16_t *held, uint32_t count);
void handles_held(struct process *process, const uint16_t *held, uint32_t count,
                  struct handle_transfer *out); // what they are
void handles_restore(struct process *process, const uint16_t *held, uint32_t count);

// Moves one looked-up handle to another process. Errors: BAD_HANDLE, NO_HANDLES.
[[nodiscard]] status_t handle_move(struct process *from, const struct handle_lookup *handle,
                                   struct process *to, uint64_t *value);

// Common start of system calls that create: reserves a handle, charges, makes the object.
[[nodiscard]] status_t create_with_handle(struct entry *entry, const struct handle_lookup *account,
                                          enum abi_object type, struct object **out);

// The address space has been taken down. Called by its teardown.
void process_aspace_gone(struct process *process);

// Closes whatever is in one slot, for the teardown.
void handle_close_slot(struct process *process, uint32_t slot);
