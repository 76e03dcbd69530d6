from spack_repo.builtin.packages.onednn.package import Onednn as BuiltinOnednn

from spack.package import *


class Onednn(BuiltinOnednn):
    __doc__ = BuiltinOnednn.__doc__

    # By its tag: the checksum of an archive was not at hand.
    version("3.7.2", tag="v3.7.2")
