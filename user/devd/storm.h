// SPDX-License-Identifier: MIT
//
// Interrupts that come too often: the kernel puts them aside and raises STORM on the machine; here
// it is found out whose they are, and said in the log, at most once a second.
#pragma once

#include <sdk/loop.h>

// Listens at the machine.
[[nodiscard]] status_t storms_watch(struct loop *loop);

// Says what is new, if its time has come. Answers when it has to be called again, at the latest.
uint64_t storms_poll(void);
