// Matrices as datasets of HDF5 files: /data of a new file, or a named one beside what a file holds already.
#include "elbo/error.hpp"
#include "host/io/write/matrix.hpp"

#ifndef ELBO_WITH_HDF5

namespace elbo::io {

void check_hdf5_target(const located_file&) {}

std::unique_ptr<matrix_writer::format> create_hdf5(const located_file& target, std::int64_t, std::int64_t,
                                                   output_type) {
    throw not_available(target.path +
                        ": this build of elbo writes no HDF5 files: install HDF5 and build with -DELBO_HDF5=ON");
}

} // namespace elbo::io

#else

#include "host/io/array/hdf5.hpp"
#include "host/io/write/atomic_file.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace elbo::io {
namespace {

hid_t type_of(output_type type) {
    const hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I32LE, H5T_STD_I64LE}; // in the order of output_type
    return types[static_cast<int>(type)];
}

constexpr const char* usual_name = "/data";

bool is_hdf5(const std::string& path) {
    std::error_code failed;
    return std::filesystem::is_regular_file(path, failed) &&
           format_of_bytes(first_bytes(path, 64)).format == file_format::hdf5;
}

herr_t note_name(hid_t, const char* name, const H5L_info_t*, void* data) {
    static_cast<std::vector<std::string>*>(data)->push_back(std::string("/") + name);
    return 0;
}

// Names of all groups and datasets in a file.
std::vector<std::string> names_in(const std::string& path) {
    const hdf5_section section;
    const hdf5_handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    std::vector<std::string> names;
    if (!file.valid() || H5Lvisit(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, note_name, &names) < 0)
        fail_hdf5(path, "cannot list what it holds");
    return names;
}

class hdf5_format final : public matrix_writer::format {
public:
    hdf5_format(const located_file& target, std::int64_t row_count, std::int64_t column_count, output_type number)
        : temporary_(target.path) {
        const bool adds = !target.dataset.empty() && is_hdf5(target.path);
        if (adds)
            copy(target.path);
        const hdf5_section section;
        // The temporary file exists already; the library opens it by name.
        const char* const name = temporary_.temporary_path().c_str();
        file_ = hdf5_handle(adds ? H5Fopen(name, H5F_ACC_RDWR, H5P_DEFAULT)
                                 : H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                            H5Fclose);
        if (!file_.valid())
            fail_hdf5(target.path, "cannot write");
        const hsize_t shape[] = {static_cast<hsize_t>(row_count), static_cast<hsize_t>(column_count)};
        const hdf5_handle space(H5Screate_simple(2, shape, nullptr), H5Sclose);
        const hdf5_handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
        H5Pset_create_intermediate_group(links.get(), 1);
        set_ = hdf5_handle(H5Dcreate2(file_.get(), target.dataset.empty() ? usual_name : target.dataset.c_str(),
                                      type_of(number), space.get(), links.get(), H5P_DEFAULT, H5P_DEFAULT),
                           H5Dclose);
        if (!set_.valid())
            fail_hdf5(target.path, "cannot write");
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
    // What the file holds is kept by working on a copy, so that a failure leaves the file as it was.
    void copy(const std::string& from) {
        std::error_code failed;
        std::filesystem::copy_file(from, temporary_.temporary_path(), std::filesystem::copy_options::overwrite_existing,
                                   failed);
        if (failed)
            fail_system(from, "copy, to add a dataset to it", failed.value());
    }

    atomic_file temporary_;
    hdf5_handle file_, set_;
};

} // namespace

void check_hdf5_target(const located_file& target) {
    if (target.dataset == "/")
        throw invalid_argument(fmt::format("'{}:/': expected the name of a dataset after :/", target.path));
    if (!is_hdf5(target.path))
        return;
    const std::vector<std::string> names = names_in(target.path);
    if (target.dataset.empty()) {
        const auto other = std::find_if(names.begin(), names.end(), [](const auto& n) { return n != usual_name; });
        if (other != names.end())
            throw invalid_argument(
                fmt::format("'{0}' holds {1} already: {0}:/NAME adds a dataset to it; to replace the "
                            "file, remove it before",
                            target.path, in_quotes(*other)));
    } else if (std::find(names.begin(), names.end(), target.dataset) != names.end()) {
        throw invalid_argument(
            fmt::format("'{}:{}': the file has a dataset or group of this name already", target.path, target.dataset));
    }
}

std::unique_ptr<matrix_writer::format> create_hdf5(const located_file& target, std::int64_t rows, std::int64_t cols,
                                                   output_type type) {
    check_hdf5_target(target);
    return std::make_unique<hdf5_format>(target, rows, cols, type);
}

} // namespace elbo::io

#endif
