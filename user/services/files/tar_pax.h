// SPDX-License-Identifier: MIT
//
// The part of the tar reader that understands pax records; for tar.c only.
#pragma once

#include "tar.h"

// Begins a header whose records go to `target`.
void tar_pax_start(struct tar_reader *tar, struct tar_override *target);

// Takes the next bytes of the header. false: they are no records.
[[nodiscard]] bool tar_pax_bytes(struct tar_reader *tar, const char *bytes, size_t count);

// Whether the last record was whole.
[[nodiscard]] bool tar_pax_complete(const struct tar_reader *tar);
