"""The recipes of jobs/packaging: valid, complete against what CMake looks for, of convoy's
version, and without checksums that nobody computed."""

import re
import sys
import types
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "jobs" / "packaging"

# What CMake calls it: EasyBuild's name, Spack's name.
NAMES = {
    "Dnnl": ("oneDNN", "onednn"),
    "HDF5": ("HDF5", "hdf5"),
    "JPEG": ("libjpeg-turbo", "libjpeg-turbo"),
    "PNG": ("libpng", "libpng"),
    "LibArchive": ("libarchive", "libarchive"),
    "LibYaml": ("libyaml", "libyaml"),
    "Jansson": ("Jansson", "jansson"),
    "Xxhash": ("xxHash", "xxhash"),
    "Hwloc": ("hwloc", "hwloc"),
}
OF_THE_TOOLCHAIN = {"Threads", "OpenMP", "MPI"}


def looked_for():
    text = (ROOT / "cmake" / "ConvoyDependencies.cmake").read_text()
    return dict(re.findall(r"^find_package\((\w+) ?([0-9.]*)", text, re.M))


def version():
    return re.search(r"project\(convoy VERSION ([0-9.]+)",
                     (ROOT / "CMakeLists.txt").read_text())[1]


def easyconfig(path):
    values = {"SHLIB_EXT": "so"}
    exec(compile(path.read_text(), str(path), "exec"), values)
    return values


def spack_package(name):
    """The class, after its directives have been recorded as (directive, arguments)."""
    calls = []

    def directive(kind):
        return lambda *args, **options: calls.append((kind, args, options))

    class When:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    spack = types.ModuleType("spack.package")
    spack.__all__ = ["version", "variant", "depends_on", "license", "generator", "when"]
    for kind in spack.__all__:
        setattr(spack, kind, directive(kind))
    spack.when = When
    base = types.ModuleType("base")
    base.CMakePackage = base.Onednn = type("Base", (), {"__doc__": "of Spack"})
    sys.modules.update({
        "spack": types.ModuleType("spack"), "spack.package": spack,
        "spack_repo.builtin.build_systems.cmake": base,
        "spack_repo.builtin.packages.onednn.package": base,
    })
    path = PACKAGING / "spack/spack_repo/convoy/packages" / name / "package.py"
    exec(compile(path.read_text(), str(path), "exec"), {})
    return calls


class Packaging(unittest.TestCase):
    def test_every_library_has_a_name_in_both(self):
        self.assertEqual(set(looked_for()) - OF_THE_TOOLCHAIN, set(NAMES))

    def test_easyconfigs(self):
        paths = sorted((PACKAGING / "easybuild").glob("*.eb"))
        self.assertEqual(len(paths), 3)
        for path in paths:
            with self.subTest(path.name):
                values = easyconfig(path)
                chain = values["toolchain"]
                self.assertEqual(path.name, "{name}-{version}-".format(**values)
                                 + f"{chain['name']}-{chain['version']}.eb")
                for key in ("easyblock", "homepage", "description", "sources", "moduleclass",
                            "sanity_check_paths"):
                    self.assertTrue(values[key], key)
                self.assertNotIn("checksums", values)

    def test_easyconfig_of_convoy(self):
        values = easyconfig(next((PACKAGING / "easybuild").glob("convoy-*.eb")))
        self.assertEqual(values["version"], version())
        self.assertEqual({name for name, _ in values["dependencies"]},
                         {names[0] for names in NAMES.values()})
        onednn = easyconfig(next((PACKAGING / "easybuild").glob("oneDNN-*.eb")))
        self.assertIn(("oneDNN", onednn["version"]), values["dependencies"])

    def test_spack_package(self):
        calls = spack_package("convoy")
        self.assertIn(("version", (version(),), {}), calls)
        wanted = [args[0].split("@") for kind, args, options in calls
                  if kind == "depends_on" and "type" not in options]
        least = {names[1]: looked_for()[cmake] for cmake, names in NAMES.items()}
        self.assertEqual({spec[0] for spec in wanted}, set(least) | {"mpi"})
        for name, *versions in wanted:
            if least.get(name):
                self.assertTrue(versions[0].startswith(least[name] + ":"), name)

    def test_spack_onednn(self):
        (kind, args, options), = spack_package("onednn")
        self.assertEqual((kind, options), ("version", {"tag": "v" + args[0]}))

    def test_apptainer_takes_what_there_is(self):
        text = (PACKAGING / "apptainer.def").read_text()
        files = re.search(r"%files\n(.*?)\n\n", text, re.S)[1].split("\n")
        for line in files:
            self.assertTrue((ROOT / line.split()[0]).exists(), line)


if __name__ == "__main__":
    unittest.main()
