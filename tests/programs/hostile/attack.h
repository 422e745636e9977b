// SPDX-License-Identifier: MIT
//
// The attack by system calls: every call is made through count(), which holds the kernel to its
// table: a status that the call does not list is a failure. In the end each call has succeeded
// often, and each error that it lists was seen, but for those that excused() explains.
#pragma once

#include <abi_table.h>
#include <sdk/machine.h>

#include "hostile.h"

typedef uint64_t arguments_t[6];

// Makes a call and counts what it answers.
struct raw_result count(uint32_t call, const arguments_t a);
void count_seen(uint32_t call, status_t status); // of a call that somebody else made
uint32_t times_seen(uint32_t call, status_t status);

// ---- the world: objects to attack with (world.c)

struct world {
    event_t event;   // never raised
    event_t raised;  // bit 0 is
    event_t pending; // bound to reply_port, bit 0
    timer_t timer;
    port_t port, reply_port;
    vmo_t vmo;
    channel_t end0, end1;      // depth 2, 64 bytes, 2 handles, 2 calls; nobody listens
    channel_t full, full_peer; // a sender to full waits for room; nobody makes any
    channel_t echo;            // a server answers
    channel_t asked;           // the caller's calls arrive here
    account_t spare;           // empty
    account_t no_objects, no_pages, dying;
    process_t process; // with a thread that never starts; the program's text is mapped
    aspace_t aspace;
    thread_t new_thread;
    process_t process_no_objects, process_no_pages;
    aspace_t aspace_no_objects, aspace_no_pages;
    port_t port_no_objects;
    thread_t main, sleeper, caller;
    dmaspace_t dmaspace;
    pin_t pin;
    iorange_t ports;             // machine_has_ports only
    interrupt_t interrupt;       // of the machine's device
    channel_t no_peer;           // its peer is closed
    uint64_t gone[OBJECT_COUNT]; // a handle to a destroyed object of each type that can be
};
extern struct world world;

constexpr uint64_t ATTACKER_PRIORITY = 20; // of the thread that makes the calls

void world_make(void);
// Handles that the attack needs: random calls must not hit them.
void world_keep(uint64_t handle);
bool world_holds(uint64_t handle);

// Where threads of other processes have a stack, one after the other.
constexpr uint64_t STUB_STACK = 0x3f'0000'0000;
constexpr uint64_t STUB_SP = STUB_STACK + PAGE_SIZE - 16 - SDK_ENTRY_STACK_BIAS;
void stub_stack_map(aspace_t aspace);

// Never handed out twice within 512 times: a page in the victim's address space.
uint64_t fresh_address(void);

// What the other threads do to the main one: any of these.
enum pest : uint32_t { PEST_NONE = 0, PEST_CANCEL = 1, PEST_SCRIBBLE = 2 };
void pest(uint32_t what);
void caller_ask(void); // the caller makes its next call

// ---- how calls succeed (recipes.c)

// Fills in arguments with which the call succeeds. false: this machine has no such thing.
bool prepare(uint32_t call, arguments_t a);
// Takes back what prepare and the call made.
void undo(uint32_t call, const arguments_t a, const struct raw_result *result);
void protect_while_mapping(void);                        // meets VM_PROTECT's BAD_STATE
void exits_phase(uint32_t times);                        // process_exit and thread_exit
void thread_exit_stub(uint64_t argument, uint64_t gift); // what a thread can run

// ---- the phases

void errors_phase(void);
void storm_phase(struct random *random, uint64_t calls);
