// SPDX-License-Identifier: MIT
//
// Which locks are left out just now: see mutant.h.
#pragma once

void switch_lock_left_out(const void *lock);

// Whether the running CPU has left the lock out; from now on it has not.
bool switch_lock_taken(const void *lock);
