// SPDX-License-Identifier: MIT
//
// A tenant that attacks, and a neighbour that works. What the parts share:
//
//   main.c       root: for each attack a tenant in an account of its own, with a share of each CPU; the
//                neighbour's throughput meanwhile, and what is left behind
//   neighbour.c  a server and clients in processes of their own, calls between all CPUs, checked on both
//                sides; and a desk that serves strangers
//   attacks.c    what the tenant does: one resource after the other, with threads on all CPUs
//
// The board is a page that root and neighbour share. The tenant has none of it.
#pragma once

#include <kit/kit.h>

#include "relax.h"

enum part : uint64_t { PART_SERVER, PART_CLIENT, PART_DESK, PART_TENANT };

constexpr uint64_t ROOT_PRIORITY = 60, TENANT_PRIORITY = 40, NEIGHBOUR_PRIORITY = 30;
constexpr unsigned CPUS_MOST = 8;

struct board {
    uint64_t cpus;
    struct {
        alignas(64) _Atomic uint64_t trips, wrong; // by client
    } clients[CPUS_MOST];
};

// words of a child: part, CPUs, for the tenant the attack
void neighbour_main(enum part part);
void tenant_main(void);

// The handles that root sends a child after its start.
void receive_handles(uint64_t *handles, uint32_t count);

void board_map(vmo_t vmo);
extern struct board *board;

uint32_t attack_count(void);
const char *attack_name(uint64_t number);
