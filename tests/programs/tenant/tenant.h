// SPDX-License-Identifier: MIT
//
// A tenant that attacks, and a neighbour that works. What the parts share:
//
//   main.c       root: for each attack a tenant in an account of its own, with a share of each CPU; the
//                neighbour's throughput meanwhile, and what is left behind
//   neighbour.c  a server and clients in processes of their own, calls between all CPUs, checked on both
//                sides; and a desk that serves strangers
//   reader.c     or, in place of server and clients, readers of a disk, who check what comes
//   memory_disk.c    of one that knows only virtual time, behind the driver's own client side
//   disk.c       or of the machine's, behind the system's devd and driver; root, in init's place, starts these
//   attacks.c    what the tenant does: one resource after the other, with threads on all CPUs
//
// The board is a page that root and neighbour share. The tenant has none of it.
#pragma once

#include <kit/kit.h>

#include "relax.h"

enum part : uint64_t {
    PART_SERVER,
    PART_CLIENT,
    PART_READER,
    PART_MEMORY_DISK,
    PART_DESK,
    PART_TENANT
};

constexpr uint64_t ROOT_PRIORITY = 60, TENANT_PRIORITY = 40, NEIGHBOUR_PRIORITY = 30;
constexpr uint64_t DRIVER_PRIORITY = 46; // as in user/system.toml: above all who may read the disk
constexpr unsigned CPUS_MOST = 8;

constexpr uint64_t NO_DEVICE = 0xfff0; // nothing stands there: what the tenant pins, nobody reaches

struct board {
    uint64_t cpus;
    struct {
        alignas(64) _Atomic uint64_t trips, wrong; // by client, or blocks by reader
    } clients[CPUS_MOST];
};

// words of a child: part, CPUs, for the tenant the attack
void neighbour_main(enum part part);
void reader_main(void);
void memory_disk_main(void);
void tenant_main(void);

// The handles that root sends a child after its start.
void send_handles(const struct child *child, const uint64_t *handles, uint32_t count);
void receive_handles(uint64_t *handles, uint32_t count);

// Starts a driver (the system's, which is a service, behind devd) and the readers, these with their copy of the
// board. `working`: their accounts.
void readers_start(const struct child_spec *driver_spec, const struct child_spec *reader_spec,
                   uint64_t board_copy, account_t working[2]);

// One number that follows from another.
uint64_t mixed(uint64_t value);

void board_map(vmo_t vmo);
extern struct board *board;

uint32_t attack_count(void);
const char *attack_name(uint64_t number);
