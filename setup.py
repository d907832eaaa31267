"""Compiles what every character of a stream or turn of a dialogue passes through; all else stands in pyproject.toml.

mypyc turns the typed source into C, so there is one source, and the tests run on either form. Without a C compiler, or
with TIANJING_PURE=1, the same modules run as Python, two to three times slower. One loop over the cells of many texts
is written in C; numpy's form of it does the same several times slower.
"""

import os
import shutil
import sysconfig

from setuptools import Extension, setup

COMPILED = [
    *(f"serving/streams/{name}.py" for name in ("choices", "guarded", "shapes", "sse")),
    "serving/guard/outlet.py",
    *(f"tianjing/rulebook/{name}.py" for name in ("automaton", "folding", "guards", "lexicon", "matcher")),
    *(f"tianjing/guard/{name}.py" for name in ("hearing", "privacy", "rules", "sieve", "stream", "verdicts")),
    *(
        f"tianjing/privacy/{name}.py"
        for name in (
            "addresses",
            "answers",
            "checks",
            "codes",
            "dates",
            "digits",
            "employers",
            "engine",
            "findings",
            "hints",
            "names",
            "numbers",
            "openings",
            "scanner",
            "turns",
            "words",
        )
    ),
]


def extensions() -> list:
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if os.environ.get("TIANJING_PURE") == "1" or not shutil.which(compiler) or not os.path.exists(header):
        return []
    from mypyc.build import mypycify

    # Higher levels of optimisation take half as long again to compile and are no faster: the time goes into the
    # interpreter's own functions.
    options = ["--config-file=", "--ignore-missing-imports", *COMPILED]
    compiled = mypycify(options, group_name="tianjing_core", opt_level="1", debug_level="0")
    loop = Extension("tianjing.rulebook._nearby", ["tianjing/rulebook/_nearby.c"], extra_compile_args=["-O3"])
    return [*compiled, loop]


setup(ext_modules=extensions())
