# SPDX-License-Identifier: MIT
"""FP and vector registers (tests/programs/fpu): each thread's own, on one CPU and on four."""

from harness import arches, check, limit, note
from test_hostile import program_lines, run_program


def run_fpu(arch, seed, cpus, cpu=None, rounds=1500):
    lines = run_program(arch, "fpu", f"seed={seed} rounds={rounds}", cpus=cpus, cpu=cpu)
    ok = [line for line in lines if line.startswith("ok process")]
    check(len(ok) == 2, "not both processes have ended well")
    note(f"{cpus} CPUs: {ok[0].removeprefix('ok ')}")
    return ok


@limit(150)
def test_registers_of_threads(arch, seed):
    for cpus in (1, 4):
        run_fpu(arch, seed, cpus)


@arches("x86_64")
def test_registers_of_threads_without_avx(arch, seed):
    """FXSAVE instead of XSAVE."""
    check("AVX" not in run_fpu(arch, seed, 2, cpu="qemu64")[0], "there is AVX")


def test_registers_of_a_kernel_that_mixes_them(arch, seed):
    lines = program_lines(arch, "fpu", f"seed={seed} rounds=100", cpus=2, bug="F1 restore")
    check(any("differs" in line for line in lines), "nothing was noticed")
