// SPDX-License-Identifier: MIT
//
// The message buffer for SDK code that is tested on the host: the test has one.
#pragma once

#include <sdk/syscalls.h>

struct abi_message_buffer *message_buffer(void);
