// SPDX-License-Identifier: MIT
//
// The local APIC of the calling CPU (Intel SDM volume 3, chapter 11), by registers in memory
// (xAPIC) or, where the processor can or the firmware has switched it so, by MSRs (x2APIC).
#pragma once

#include <lib/types.h>

// Vectors from 0x30 on belong to lines; these do not.
enum lapic_vector : uint8_t {
    VECTOR_I8259_FIRST = 0x20, // masked, yet its spurious interrupts cannot be
    VECTOR_LINES_FIRST = 0x30,
    VECTOR_LINES_END = 0xe0,
    VECTOR_TIMER = 0xf0,
    VECTOR_IPI = 0xf1,
    VECTOR_SPURIOUS = 0xff,
};

// The ids that an xAPIC has; the next is all of them. x2APICs have 32 bits, and so are all of
// them. Devices name a CPU by 8 bits: I/O APICs and messages reach the ids of xAPICs only.
constexpr uint32_t XAPIC_ID_MAX = 254;
constexpr uint32_t X2APIC_ID_MAX = UINT32_MAX - 1;

// Which mode it will be, or is, in.
bool lapic_is_x2apic(void);

// Chooses the mode and maps the registers, which every CPU finds at the same address. nullptr: done; otherwise what is
// wrong, as below.
const char *lapic_init(paddr_t address);

// Switches the calling CPU's on, with its timer, error and performance inputs masked.
const char *lapic_start(uint8_t nmi_inputs);
uint32_t lapic_id(void);
void lapic_end_of_interrupt(void);

// The same, as struct irq_controller has it. Of the mode that lapic_init chose; immutable then.
extern void (*lapic_complete)(uint32_t line);

// Raises `vector` on a CPU, this one or another, as if a device had. Does not wait for it.
void lapic_interrupt(uint32_t id, uint8_t vector);

// The first and the second message that start a CPU; `page` is the number of the page, below 256,
// that it begins at.
void lapic_send_init(uint32_t id);
void lapic_send_startup(uint32_t id, uint8_t page);

// The one-shot timer: counts down from `count` to 0 and raises VECTOR_TIMER. 0 stops it.
extern void (*lapic_timer_start)(uint32_t count); // as lapic_complete is
void lapic_timer_masked(bool masked);
uint32_t lapic_timer_count(void);
