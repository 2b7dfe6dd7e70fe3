#!/usr/bin/python3
"""Constant time, looked for in what compilers made of it: `make check-ct`.

Builds ct_idea.c and what it tests with each compiler at each level of optimisation and runs it
 - under valgrind, with the secrets called undefined: portable, SSE2 and AVX2 kernels, the AEAD, the comparison of tags;
 - built with clang's MemorySanitizer, which knows AVX-512 and valgrind does not: all kernels.
Each must stay silent, and must speak up when the program commits a leak on purpose.
Of the AVX-512 kernel every instruction is looked at as well: none may take anything from a vector or a mask to where a branch or an address
could see it.

The last line is "N passed, N failed"; exits 0 only when something ran and nothing failed.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ["-O1", "-O2", "-O3", "-Os"]
COMPILERS = ["gcc", "clang"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-gdwarf-4", "-fstack-protector-strong", f"-I{ROOT}/include", f"-I{ROOT}/src", f"-I{ROOT}/tests"]
KERNEL_FLAGS = {"idea_sse2.c": ["-msse2"], "idea_avx2.c": ["-mavx2"], "idea_avx512bw.c": ["-mavx512bw"]}
IDEA = ["src/base/wipe.c", "src/cpu/cpu.c", "src/idea/dispatch.c", "src/idea/idea.c", "src/idea/idea_portable.c",
        "src/idea/idea_sse2.c", "src/idea/idea_avx2.c", "src/idea/idea_avx512bw.c", "tests/ct/ct_idea.c"]
AEAD = ["src/crypto/aead.c", "src/crypto/aead_evp.c", "src/crypto/aead_idea.c", "src/crypto/result.c"]
LEAKS = ["branch", "index"]
# What carries lanes or masks into general registers or flags, or uses lanes as addresses.
FORBIDDEN = re.compile(r"kortest|ktest|kmov[bwdq]\s+%k\d,%[er]|v?p?movmsk|v?pextr|vmov[dq]\s+%xmm\d+,%[er]|vptest\s|gather|scatter|comis|"
                       r"vcvt\w*si\s")


class Tally:
    passed = failed = 0

    def note(self, good, what, output=""):
        print("ok  " if good else "FAIL", what, flush=True)
        if not good:
            print(output)
        self.passed += good
        self.failed += not good


def run(*command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def build(directory, compiler, flags, sources):
    """The program, or what the compiler said against it."""
    objects = []
    for source in sources:
        path = ROOT / source
        objects.append(directory / (path.stem + ".o"))
        done = run(compiler, *FLAGS, *flags, *KERNEL_FLAGS.get(path.name, []), "-c", path, "-o", objects[-1])
        if done.returncode:
            return None, done.stdout
    program = directory / "ct_idea"
    libraries = ["-lcrypto"] if AEAD[0] in sources else []
    done = run(compiler, *flags, "-Wl,--wrap=equal_secret", *objects, "-o", program, *libraries)
    return (program, "") if done.returncode == 0 else (None, done.stdout)


def try_program(tally, what, command, kernels):
    done = run(*command)
    seen = done.stdout.split()
    tally.note(done.returncode == 0 and all(kernel in seen for kernel in kernels), what, done.stdout)
    for leak in LEAKS:
        done = run(*command, leak)
        tally.note(done.returncode == 99, f"{what}: a leak by {leak} is seen", done.stdout)


def check_instructions(tally, what, obj):
    done = run("objdump", "-d", "--no-show-raw-insn", obj)
    found = [line.strip() for line in done.stdout.splitlines() if FORBIDDEN.search(line)]
    vectors = done.stdout.count("%zmm")
    tally.note(done.returncode == 0 and not found and vectors > 500, f"{what}: {vectors} uses of vectors, none leaves them",
               "\n".join(found) or done.stdout[:500])


def machine_has_avx512():
    return "avx512bw" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()


def main():
    tally = Tally()
    # valgrind shows a program the processor that it emulates.
    by_valgrind = ["portable", "sse2", "avx2"]
    by_msan = by_valgrind + (["avx512bw"] if machine_has_avx512() else [])
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for compiler in COMPILERS:
            for level in LEVELS:
                what = f"{compiler} {level} valgrind"
                program, said = build(directory, compiler, [level], IDEA + AEAD)
                if not program:
                    tally.note(False, what, said)
                    continue
                try_program(tally, what, ["valgrind", "-q", "--error-exitcode=99", program], by_valgrind)
                check_instructions(tally, f"{compiler} {level} AVX-512", directory / "idea_avx512bw.o")
        for level in LEVELS:
            what = f"clang {level} MemorySanitizer"
            program, said = build(directory, "clang", [level, "-fsanitize=memory", "-fno-sanitize-recover=all"], IDEA)
            if program:
                try_program(tally, what, ["env", "MSAN_OPTIONS=exit_code=99", program], by_msan)
            else:
                tally.note(False, what, said)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.passed > 0 and tally.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
