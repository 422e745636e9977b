// SPDX-License-Identifier: MIT
//
// Chooses the mutant of this process, by the environment:
//
//   SKERRY_MUTANT=17        number 17 is on
//   SKERRY_MUTANT=met:FILE  none; each that could be on is marked in FILE, a byte each
//   SKERRY_MUTANT_MS        of processor time, after which a process is killed
#include "switch.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <pthread.h>

// Not <arch/arch.h>: its names and those of <sys/mman.h> are partly the same.
extern struct arch_percpu *host_running;

constexpr size_t NUMBERS = 1 << 16;

uint32_t mutants_first, mutants_count; // constants for those that ask
static uint8_t *met;

bool mutant_met(uint32_t number);
bool mutant_met(uint32_t number)
{
    if (!met)
        return true;
    met[number] = 1;
    return false;
}

static struct itimerval patience;

static void be_patient(void)
{
    setitimer(ITIMER_PROF, &patience, nullptr); // its signal kills
}

[[gnu::constructor]] static void choose(void)
{
    const char *wanted = getenv("SKERRY_MUTANT"), *ms = getenv("SKERRY_MUTANT_MS");
    if (ms) {
        long limit = strtol(ms, nullptr, 10);
        patience.it_value = (struct timeval){limit / 1000, limit % 1000 * 1000};
        be_patient();
        pthread_atfork(nullptr, nullptr, be_patient); // children have no timer otherwise
    }
    if (!wanted)
        return;
    if (strncmp(wanted, "met:", 4) != 0) {
        mutants_first = (uint32_t)strtoul(wanted, nullptr, 10);
        mutants_count = 1;
        return;
    }
    int file = open(wanted + 4, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, NUMBERS) != 0)
        abort();
    met = mmap(nullptr, NUMBERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (met == MAP_FAILED)
        abort();
    close(file);
    mutants_count = NUMBERS;
}

// ---- locks: few are left out at a time

static struct {
    const void *lock;
    const struct arch_percpu *cpu;
} left_out[64];
static unsigned left_out_count;

void switch_lock_left_out(const void *lock)
{
    (void)switch_lock_taken(lock);
    if (left_out_count == 64)
        abort();
    left_out[left_out_count].lock = lock;
    left_out[left_out_count++].cpu = host_running;
}

bool switch_lock_taken(const void *lock)
{
    for (unsigned i = 0; i < left_out_count; i++)
        if (left_out[i].lock == lock && left_out[i].cpu == host_running) {
            left_out[i] = left_out[--left_out_count];
            return true;
        }
    return false;
}
