"""Makes the files of this folder with the reference implementations of their formats (NumPy, h5py, safetensors).

Each array holds x[i, j] = 10 i + j, of the shape and type that its name says.
"""
import gzip
import pathlib

import h5py
import numpy as np
from safetensors.numpy import save_file

folder = pathlib.Path(__file__).parent


def table(rows, cols, dtype):
    return (10 * np.arange(rows)[:, None] + np.arange(cols)[None, :]).astype(dtype)


for dtype in ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "i2", "u2", ">i2", "i4", "u4", "i8", "u8", "bool"]:
    name = dtype.replace(">", "big_")
    values = table(5, 3, dtype) if dtype != "bool" else table(5, 3, int) % 2 == 1
    np.save(folder / f"{name}_5x3.npy", values)
np.save(folder / "fortran_f8_5x3.npy", np.asfortranarray(table(5, 3, "f8")))
np.save(folder / "fortran_i4_5x3.npy", np.asfortranarray(table(5, 3, "i4")))
np.save(folder / "column_f4_5.npy", table(5, 1, "f4").ravel())
np.save(folder / "images_u1_4x2x2.npy", np.arange(16, dtype="u1").reshape(4, 2, 2))
np.save(folder / "complex.npy", table(2, 2, "c16"))
np.save(folder / "object.npy", np.array([[1, "a"], [None, 2]], dtype=object))
np.save(folder / "structured.npy", np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]))
np.save(folder / "text.npy", np.array(["ab", "c"]))
for version in [(2, 0), (3, 0)]:
    with open(folder / f"version{version[0]}_f4_5x3.npy", "wb") as file:
        np.lib.format.write_array(file, table(5, 3, "f4"), version=version)
arrays = {"x": table(5, 3, "f4"), "f": np.asfortranarray(table(5, 3, "f8")), "labels": table(5, 1, "i8").ravel()}
np.savez(folder / "stored.npz", **arrays)
np.savez_compressed(folder / "deflated.npz", **arrays)
np.savez(folder / "single.npz", table(5, 3, "f4"))

with h5py.File(folder / "matrices.h5", "w") as file:
    file["plain"] = table(5, 3, "f8")
    file.create_dataset("group/packed", data=table(100, 3, "i4"), chunks=(7, 3), compression="gzip")
    file["column"] = table(5, 1, "f4").ravel()
    file["names"] = np.array([b"a", b"b"])
with h5py.File(folder / "kinds.h5", "w") as file:  # what else h5py and PyTables write
    file["boolean"] = table(5, 3, int) % 2 == 1
    bits = h5py.h5d.create(file.id, b"bits", h5py.h5t.STD_B8LE, h5py.h5s.create_simple((5, 3)))  # as PyTables: booleans
    bits.write(h5py.h5s.ALL, h5py.h5s.ALL, (table(5, 3, int) % 2).astype("u1"), mtype=h5py.h5t.NATIVE_B8)
    colours = h5py.enum_dtype({"red": -1, "green": 300}, basetype=">i2")
    file.create_dataset("colour", data=np.array([[-1, 300], [300, -1]]), dtype=colours)
    file.create_dataset("lzf", data=table(1000, 3, "f8"), chunks=(64, 3), compression="lzf", shuffle=True)
    file.create_dataset("lzf_integers", data=table(1000, 3, ">i4"), chunks=(1000, 3), compression="lzf")
    file["stamps"] = np.array([[1700000000, 1], [1699999971, 2]], dtype="i8")
    file["too_large"] = np.array([[1, 2], [3, 2**53 + 1]], dtype="u8")
    file["complex"] = table(2, 2, "c16")
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((5, 3))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))  # zstd, which needs a plugin
    zstd = h5py.h5d.create(file.id, b"zstd", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((5, 3)), dcpl=plan)
    zstd.write(h5py.h5s.ALL, h5py.h5s.ALL, table(5, 3, "f8"))
with h5py.File(folder / "single.h5", "w") as file:
    file["x"] = table(5, 3, ">f4")
    file["column"] = table(5, 1, "f4").ravel()

save_file({"x": table(5, 3, "f4"), "y": table(2, 3, "f8"), "n": np.arange(4, dtype="i8")},
          folder / "tensors.safetensors", metadata={"made by": "safetensors"})

# Two gzip members after one another, as concatenated logs are.
text = b"a,b\n1,2\n3,4\n"
(folder / "two_members.csv.gz").write_bytes(gzip.compress(text, mtime=0) + gzip.compress(b"5,6\n", mtime=0))
