// SPDX-License-Identifier: MIT
//
// GICv2m: a frame that turns a write into an edge on one of a run of SPIs. Registers from the
// Server Base System Architecture (DEN 0029), appendix "GICv2m architecture".
//
// Context: allocate and free are serialised by the kernel's machine lock.
#include "gicv2.h"

#include <arch/arch.h>
#include <hal/mmio.h>

constexpr uint64_t MSI_TYPER = 0x008;     // base SPI in bits 25-16, number in 9-0
constexpr uint64_t MSI_SETSPI_NS = 0x040; // a write of an SPI's INTID raises it
constexpr size_t FRAME_BYTES = 0x1000;
constexpr uint32_t SPI_END = 1020;

static struct gicv2m_frame frames[GICV2M_FRAMES_MAX];
static unsigned frame_count;
static uint64_t taken[(SPI_END + 63) / 64]; // by line

static const struct gicv2m_frame *frame_of(uint32_t line)
{
    for (unsigned i = 0; i < frame_count; i++) {
        if (line >= frames[i].base && line - frames[i].base < frames[i].count)
            return &frames[i];
    }
    return nullptr;
}

bool gicv2m_owns(uint32_t line)
{
    return frame_of(line) != nullptr;
}

// A frame does not tell devices apart.
bool gicv2m_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                     uint32_t *data)
{
    (void)device;
    for (unsigned i = 0; i < frame_count; i++) {
        if (controller.value != 0 && controller.value != frames[i].registers.value)
            continue;
        for (uint32_t l = frames[i].base; l < frames[i].base + frames[i].count; l++) {
            if ((taken[l / 64] >> l % 64 & 1) != 0)
                continue;
            taken[l / 64] |= 1ull << l % 64;
            gicv2_configure(l, TRIGGER_EDGE); // drops what a former owner's device still sent
            *line = l;
            *address = frames[i].registers.value + MSI_SETSPI_NS;
            *data = l;
            return true;
        }
    }
    return false;
}

void gicv2m_free(uint32_t line)
{
    gicv2_mask(line);
    gicv2_clear_pending(line);
    taken[line / 64] &= ~(1ull << line % 64);
}

const char *gicv2m_add(const struct gicv2m_frame *frame)
{
    if (frame_count == GICV2M_FRAMES_MAX)
        return "there are too many frames";
    struct gicv2m_frame f = *frame;
    const volatile void *registers = hal_own(f.registers, FRAME_BYTES);
    uint32_t type;
    if (registers == nullptr)
        return "its registers cannot be mapped";
    if (!mmio_probe32(registers, MSI_TYPER, &type))
        return "nothing is there";
    if (f.count == 0) {
        f.base = type >> 16 & 0x3ff;
        f.count = type & 0x3ff;
    }
    if (f.base < GIC_FIRST_SPI || f.count == 0 || f.base >= gicv2_lines() ||
        f.count > gicv2_lines() - f.base)
        return "its interrupts are not among the controller's";
    for (unsigned i = 0; i < frame_count; i++) {
        if (f.base < frames[i].base + frames[i].count && frames[i].base < f.base + f.count)
            return "its interrupts belong to another frame";
    }
    frames[frame_count++] = f;
    gicv2_enable_messages();
    return nullptr;
}
