"""Builds the wheel: one for all versions of Python, with the programs and the library inside.

The programs are built with cargo from the repository around this folder. If the variable
MSUP_PROGRAMS is set, those of that folder are taken instead.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

NAMES = ["msup", "msup-worker", "libmsup.so"]


def built() -> Path:
    """The folder with the programs. Builds them if none is given."""
    given = os.environ.get("MSUP_PROGRAMS")
    if given:
        return Path(given)
    repository = Path(__file__).resolve().parents[2]
    packages = ["--package", "msup", "--package", "msup-ffi"]
    command = ["cargo", "build", "--release", *packages]
    try:
        subprocess.run(command, cwd=repository, check=True)
    except FileNotFoundError:
        raise SystemExit("msup: cargo is not there: building msup needs Rust") from None
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    return repository / target / "release"


class BuildWithPrograms(build_py):
    """Puts the programs beside the modules."""

    def run(self) -> None:
        super().run()
        place = Path(self.build_lib) / "msup" / "_programs"
        place.mkdir(parents=True, exist_ok=True)
        source = built()
        for name in NAMES:
            shutil.copy2(source / name, place / name)


class PlatformWheel(bdist_wheel):
    """`py3-none-linux_ARCH`: for any Python, but for one kind of machine."""

    def get_tag(self) -> tuple:
        return "py3", "none", sysconfig.get_platform().replace("-", "_").replace(".", "_")


class WithPrograms(Distribution):
    """Not a pure package, although it has no extension modules."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    distclass=WithPrograms,
    cmdclass={"build_py": BuildWithPrograms, "bdist_wheel": PlatformWheel},
)
