from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Convoy(CMakePackage):
    """Data-parallel training of convolutional networks on CPU clusters, with MPI and oneDNN."""

    # There is no archive to download: spack dev-build in a checkout.
    manual_download = True

    license("Apache-2.0")

    version("0.1.0")

    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("mpi@3:")
    depends_on("onednn@2.6.3: cpu_runtime=omp")
    depends_on("hdf5@1.10:")
    # 2.5 to 2.7 can crash in a Slurm job.
    depends_on("hwloc@2.1:2.4,2.8:")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("libjpeg-turbo")
    depends_on("libpng")
    depends_on("libarchive")
    depends_on("xxhash@0.8:")
    with when("+tests"):
        depends_on("cmocka", type="build")
        depends_on("python@3.9:", type="build")
        depends_on("py-numpy", type="build")
        depends_on("py-h5py", type="build")
        depends_on("py-pillow", type="build")

    generator("ninja")

    def cmake_args(self):
        return [self.define_from_variant("CONVOY_TESTS", "tests")]
