from ._packstream_py import Packer as Packer
from ._packstream_py import Unpacker as Unpacker
from ._packstream_py import cast_rows as cast_rows
from ._packstream_py import pack as pack
from ._packstream_py import unpack as unpack

__all__ = ["Packer", "Unpacker", "cast_rows", "pack", "unpack"]
