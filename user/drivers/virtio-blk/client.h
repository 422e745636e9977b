// SPDX-License-Identifier: MIT
//
// The clients of the disk, each with a ring in memory of its own.
//
//   idle --attach--> attached --the connection ends, or a lie--> draining --last answer--> idle
//
// A client that is gone leaves its requests with the device: its memory stays mapped and pinned,
// at our charge, until the last of them is answered. Nothing that a client writes is believed
// (sdk/ring.h); one that lies is drained as if it were gone, and its connection closed.
//
// Invariants: outstanding = slots of the disk that name this client; the ring of completions has
// room for all of them.
#pragma once

#include <stdint.h>

#include <sdk/block_server.h>
#include <sdk/driver.h>
#include <sdk/loop.h>
#include <sdk/service.h>

constexpr uint32_t CLIENTS = 8;

enum client_state : uint8_t { CLIENT_IDLE, CLIENT_ATTACHED, CLIENT_DRAINING };

struct disk;
struct clients;

struct client {
    enum client_state state;
    bool doorbell_due;             // something was put into its ring of completions
    struct clients *clients;       // all of them
    struct connection *connection; // null when it is gone
    struct source doorbell;        // bound to `share.requests`
    struct block_share share;
    struct dma_buffer data;
    uint32_t outstanding;
};

struct clients {
    struct disk *disk;
    struct loop *loop;
    struct client client[CLIENTS];
    uint32_t next; // whose turn it is
};

void clients_start(struct clients *clients, struct disk *disk, struct loop *loop);

// Serves the rings of `request` for a connection. Takes its handles, whatever it answers.
// Errors: those of vm_map, dma_pin and port_bind; BLOCK_BAD_RING, BLOCK_NO_ROOM.
[[nodiscard]] status_t client_attach(struct clients *clients, struct connection *connection,
                                     const struct block_attach_request *request);

// The connection is gone.
void client_detach(struct clients *clients, struct connection *connection);

// Moves requests from all rings to the disk, one of each client in turn, while it has room.
void clients_submit(struct clients *clients);

// A request that the device had is answered. clients_ring_doorbells tells the client.
void client_complete(struct client *client, uint64_t id, enum block_status status);

// Raises the doorbell of each client for whom there is something new.
void clients_ring_doorbells(struct clients *clients);

// How many are attached.
uint32_t clients_count(const struct clients *clients);
