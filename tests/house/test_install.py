"""What `make install` leaves is enough: the example builds against it, shared and static, and runs."""

import os
import subprocess

import pytest

from layering import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(where the files are, an environment in which pkg-config finds them)"""
    destination = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", os.environ["HELIO_BUILD"], "--no-rebuild", "--quiet", "--destdir", destination],
                   check=True, capture_output=True)
    (pc,) = destination.rglob("libhelio.pc")
    return destination, dict(os.environ, PKG_CONFIG_PATH=str(pc.parent), PKG_CONFIG_SYSROOT_DIR=str(destination))


def pkg_config(env, *options):
    return subprocess.run(["pkg-config", *options, "libhelio"], env=env, check=True, capture_output=True, text=True).stdout.split()


def build_and_run(tmp_path, env, libraries):
    program = tmp_path / "hello"
    subprocess.run(["cc", str(ROOT / "examples" / "hello.c"), "-o", program, *pkg_config(env, "--cflags"), *libraries],
                   check=True, env=env)
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["alice says hello", "bob says hello"]


def test_shared(installed, tmp_path):
    destination, env = installed
    (library,) = destination.rglob("libhelio.so")
    assert library.parent.name != "lib64"  # where nothing looks on Debian
    build_and_run(tmp_path, dict(env, LD_LIBRARY_PATH=str(library.parent)), pkg_config(env, "--libs"))


def test_static(installed, tmp_path):
    destination, env = installed
    (library,) = destination.rglob("libhelio.a")
    libraries = [str(library) if name == "-lhelio" else name for name in pkg_config(env, "--libs", "--static")]
    assert str(library) in libraries
    build_and_run(tmp_path, env, libraries)


def test_program_and_its_manual(installed):
    destination, _ = installed
    (program,) = [path for path in destination.rglob("helio") if path.is_file()]
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout.startswith("helio ")
    assert len(list(destination.rglob("helio.1*"))) == 1
