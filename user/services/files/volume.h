// SPDX-License-Identifier: MIT
//
// The archive on the disk: found, indexed, and read. It never waits: what needs the disk answers
// VOLUME_LATER, and `changed` says when trying again is worth it.
//
//   waiting for a disk --> indexing --> usable
//                             |
//                             +--> unusable, with a text that says why
#pragma once

#include <stdint.h>

#include <sdk/loop.h>

#include "index.h"

enum volume_state : uint8_t { VOLUME_WAITING, VOLUME_INDEXING, VOLUME_USABLE, VOLUME_UNUSABLE };

enum volume_answer { VOLUME_OK, VOLUME_LATER, VOLUME_FAILED };

struct volume_status {
    enum volume_state state;
    bool unavailable; // the disk was taken out, or its driver is held: what is not in memory cannot
                      // be read now
    bool taken_out;   // of the two
    bool away;        // since it was connected last: the next one may be another one
    uint32_t generation; // counts the disks: after one was away, another one may be there
    char message[160];
    uint64_t bytes; // of the disk
};

// Begins: connects to the disk that `service` drives, or where there is none to that of `otherwise` (may be null),
// and indexes it. `changed` is called in the loop. Errors: those of
// vmo_create, event_create, port_bind and thread_create.
[[nodiscard]] status_t volume_start(struct loop *loop, const char *service, const char *otherwise,
                                    void (*changed)(void));

const struct volume_status *volume_status(void);
const struct index *volume_index(void); // complete when usable

// Copies content of a file that is there: [offset, offset + bytes) lies inside it. `ahead` blocks
// behind it, inside the file, begin to be read too. What is in memory of a read that has to wait
// for the rest stays there until volume_forget_holds.
enum volume_answer volume_read(const struct index_node *file, uint64_t offset, void *to,
                               uint32_t bytes, uint32_t ahead);

void volume_forget_holds(void);

// A call came: whether the driver is still held is found out anew, since somebody may have started
// it again. `changed` says when that is known.
void volume_ask_again(void);

// Lets the driver see what was asked for. After the last volume_read of a turn.
void volume_flush(void);
