// SPDX-License-Identifier: MIT
//
// libfdt includes <stdlib.h> and, in the files that are built here, uses nothing of it.
#pragma once

#include <stddef.h>
