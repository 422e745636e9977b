// SPDX-License-Identifier: MIT
//
// All of the SDK's everyday parts.
#pragma once

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>
#include <sdk/loop.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/syscalls.h>
#include <sdk/thread.h>
#include <sdk/wire.h>
