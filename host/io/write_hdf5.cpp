// Matrices as the dataset /data of an HDF5 file.
#include "elbo/error.hpp"
#include "host/io/matrix_format.hpp"

#ifndef ELBO_WITH_HDF5

namespace elbo::io {

std::unique_ptr<matrix_writer::format> create_hdf5(const std::string& path, std::int64_t, std::int64_t, output_type) {
    throw not_available(path + ": this build of elbo writes no HDF5 files: install HDF5 and build with -DELBO_HDF5=ON");
}

} // namespace elbo::io

#else

#include "host/io/hdf5_handle.hpp"

namespace elbo::io {
namespace {

hid_t type_of(output_type type) {
    switch (type) {
    case output_type::float32:
        return H5T_IEEE_F32LE;
    case output_type::float64:
        return H5T_IEEE_F64LE;
    case output_type::int32:
        return H5T_STD_I32LE;
    case output_type::int64:
        return H5T_STD_I64LE;
    }
    return -1;
}

class hdf5_format final : public matrix_writer::format {
public:
    hdf5_format(const std::string& name, std::int64_t row_count, std::int64_t column_count, output_type number)
        : temporary_(name) {
        const hdf5_section section;
        // The temporary file exists already; the library opens it by name.
        file_ = hdf5_handle(H5Fcreate(temporary_.temporary_path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                            H5Fclose);
        if (!file_.valid())
            fail_hdf5(name, "cannot write");
        const hsize_t shape[] = {static_cast<hsize_t>(row_count), static_cast<hsize_t>(column_count)};
        const hdf5_handle space(H5Screate_simple(2, shape, nullptr), H5Sclose);
        set_ = hdf5_handle(
            H5Dcreate2(file_.get(), "/data", type_of(number), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
            H5Dclose);
        if (!set_.valid())
            fail_hdf5(name, "cannot write");
    }

    ~hdf5_format() override {
        const hdf5_section section;
        set_ = hdf5_handle();
        file_ = hdf5_handle();
    }

    void write(const void* numbers, std::int64_t count) override {
        if (count * cols == 0)
            return;
        const hdf5_section section;
        const hsize_t start[] = {static_cast<hsize_t>(written), 0};
        const hsize_t size[] = {static_cast<hsize_t>(count), static_cast<hsize_t>(cols)};
        const hdf5_handle file_space(H5Dget_space(set_.get()), H5Sclose);
        const hdf5_handle memory_space(H5Screate_simple(2, size, nullptr), H5Sclose);
        H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start, nullptr, size, nullptr);
        if (H5Dwrite(set_.get(), type_of(type), memory_space.get(), file_space.get(), H5P_DEFAULT, numbers) < 0)
            fail_hdf5(path, "cannot write");
    }

    void close() override {
        const hdf5_section section;
        if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0)
            fail_hdf5(path, "cannot write");
        set_ = hdf5_handle();
        file_ = hdf5_handle();
        temporary_.commit();
    }

private:
    atomic_file temporary_;
    hdf5_handle file_, set_;
};

} // namespace

std::unique_ptr<matrix_writer::format> create_hdf5(const std::string& path, std::int64_t rows, std::int64_t cols,
                                                   output_type type) {
    return std::make_unique<hdf5_format>(path, rows, cols, type);
}

} // namespace elbo::io

#endif
